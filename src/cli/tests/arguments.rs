//! Parsing.

use clap::{CommandFactory, Parser};
use insta::assert_snapshot;

use super::super::args::{Args, Run, Seeds, Verb};

fn run(line: &str) -> Result<Run, String> {
    match Args::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?.verb {
        Verb::Run(run) => Ok(run),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Args::command().debug_assert();
}

#[test]
fn run_takes_files_seeds_variant_and_overrides() {
    let line = "retrial run a.toml dir --seeds 1..=200 --variant acks-all --set a.b=c --set d=1 --twice --jobs 3";
    let run = run(line).unwrap();
    assert_eq!(run.paths.len(), 2);
    assert_eq!(run.seeds, Some(Seeds(1..=200)));
    assert_eq!(run.variant, "acks-all");
    assert_eq!(run.overrides, ["a.b=c", "d=1"]);
    assert_eq!(run.jobs.map(usize::from), Some(3));
    assert!(run.twice && !run.json);
}

#[test]
fn all_variants_run_unless_told_otherwise() {
    assert_eq!(run("retrial run a.toml").unwrap().variant, "all");
}

#[test]
fn seeds_are_a_range_or_one() {
    assert_eq!("0..=0".parse(), Ok(Seeds(0..=0)));
    assert_eq!("3..5".parse(), Ok(Seeds(3..=4)));
    assert_eq!("7".parse(), Ok(Seeds(7..=7)));
    for bad in ["", "..", "5..=3", "3..3", "0..0", "1..=x", "-1"] {
        assert!(bad.parse::<Seeds>().is_err(), "{bad}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for line in [
        "retrial run",
        "retrial",
        "retrial run a --seed 1 --seeds 1..=2",
        "retrial run a --seeds 1..=2 --trace t",
        "retrial run a --json --ask",
        "retrial run a --jobs 0",
        "retrial walk a",
    ] {
        assert!(run(line).is_err(), "{line}");
    }
}

#[test]
fn help_tells_every_flag_and_exit_code() {
    let mut command = Args::command().term_width(100);
    let run = command.find_subcommand_mut("run").unwrap();
    assert_snapshot!(run.render_long_help());
}
