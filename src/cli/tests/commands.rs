//! Whole commands, without a process of their own.

use std::path::Path;

use insta::assert_snapshot;

use super::super::{Exit, main_from, scenarios};

/// A command's exit, and what it printed and complained, without colours.
pub(super) fn retrial(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["retrial"].iter().chain(args);
    let exit = main_from(args, &mut out, &mut err);
    let plain = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        anstream::adapter::strip_str(&text).to_string()
    };
    (exit, plain(out), plain(err))
}

#[test]
fn wrong_usage_is_exit_2_and_prints_no_result() {
    let (exit, out, err) = retrial(&["run"]);
    assert_eq!(exit, Exit::BadInput);
    assert_eq!(out, "");
    assert!(err.contains("FILE|DIR"), "{err}");
}

#[test]
fn help_is_a_result() {
    let (exit, out, err) = retrial(&["--help"]);
    assert_eq!((exit, err.as_str()), (Exit::AsExpected, ""));
    assert_snapshot!(out);
}

fn text_of(file: &Path) -> String {
    String::from_utf8(scenarios::read(file, u64::MAX).unwrap()).unwrap()
}

fn scenario(name: &str) -> String {
    format!("{}/scenarios/lessons/{name}.scenario.toml", env!("CARGO_MANIFEST_DIR"))
}

const LESSON: &str = "12-commit-before-processing";

/// A scenario without groups: what is tested here is the door, not what is behind it.
pub(super) const SMALL: &str = r#"
scenario = 1
title    = "What is sent is there"

[run]
seed = 1

[cluster]
brokers = 1

[topics.orders]
partitions = 1

[producers.shop]
topic   = "orders"
records = 10
every   = "5ms"

[[expect]]
guarantee = "acked-records-survive"
of        = "shop"
verdict   = "holds"

[[expect]]
fact = "log-end"
of   = "orders-0"
is   = "10"

[[variant]]
id  = "more"
say = "Twice as many. Nothing else changes."
[variant.set.producers.shop]
records = 20
[[variant.expect]]
fact = "log-end"
of   = "orders-0"
is   = "20"
"#;

/// [`SMALL`] in a directory of its own, which lives as long as the first value.
pub(super) fn small() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("small.scenario.toml");
    scenarios::write(&file, SMALL).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (dir, file)
}

#[test]
fn a_lesson_tells_its_story_with_evidence_and_the_line_to_repeat_it() {
    let (exit, out, err) = retrial(&["run", &scenario(LESSON)]);
    assert_eq!((exit, err.as_str()), (Exit::AsExpected, ""), "{out}");
    for part in [
        "✗ CRASH    while processing orders-0@2",
        "│ billing/1 polled offsets 0..4",
        "✓ processed-at-least-once",
        "violated, as expected: orders-0@2..4",
        "because  committed-before-processing",
        "variant commit-after",
        "variant auto-commit",
        "expectations met, 3 runs, ",
        "reproduce  retrial run ",
    ] {
        assert!(out.contains(part), "no `{part}` in\n{out}");
    }
}

#[test]
fn one_variant_is_told_in_full() {
    let (exit, out, _) = retrial(&["run", &scenario(LESSON), "--variant", "commit-after"]);
    assert_eq!(exit, Exit::AsExpected, "{out}");
    assert!(out.contains("because  reprocessed-after-restart"), "{out}");
    assert!(out.contains("--variant commit-after"), "{out}");
}

#[test]
fn an_override_changes_the_run_and_stands_in_the_line_to_repeat_it() {
    let (_dir, file) = small();
    let args = ["run", &file, "--variant", "base", "--set", "producers.shop.records=7"];
    let (exit, out, _) = retrial(&args);
    assert_eq!(exit, Exit::NotAsExpected, "{out}");
    assert!(out.contains("expected = 10, but it was 7"), "{out}");
    assert!(out.contains("--set producers.shop.records=7"), "{out}");
}

/// Without what depends on the wall clock.
fn timeless(out: &str) -> String {
    let keep = |line: &&str| !line.contains("Summary");
    let cut = |line: &str| match line.split_once(']') {
        Some((head, tail)) if line.contains(" [") => {
            format!("{}]{tail}", head.rsplit_once(' ').map_or(head, |(head, _)| head))
        }
        _ => line.to_owned(),
    };
    out.lines().filter(keep).map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_sweep_prints_the_same_on_one_thread_and_on_three() {
    let (_dir, file) = small();
    let sweep =
        |jobs: &str| retrial(&["run", &file, "--seeds", "1..=6", "--twice", "--jobs", jobs]);
    let (exit, one, err) = sweep("1");
    assert_eq!(exit, Exit::AsExpected, "{one}");
    assert!(err.contains("threads: 1\n"), "{err}");
    assert_eq!(timeless(&one), timeless(&sweep("3").1));
    assert!(one.contains("Summary 12 runs"), "{one}");
}

#[test]
fn json_lines_of_a_sweep_are_those_of_its_runs() {
    let (_dir, file) = small();
    let run = |args: &[&str]| {
        let (exit, out, _) = retrial(args);
        assert_eq!(exit, Exit::AsExpected, "{out}");
        let finished = out.lines().last().unwrap().to_owned();
        assert!(finished.starts_with(r#"{"v":1,"type":"finished","#), "{finished}");
        out.lines().filter(|line| **line != finished).map(str::to_owned).collect::<Vec<_>>()
    };
    let base = ["run", &file, "--json", "--variant", "base"];
    let mut single = run(&[&base[..], &["--seed", "3"]].concat());
    single.extend(run(&[&base[..], &["--seed", "4"]].concat()));
    assert_eq!(run(&[&base[..], &["--seeds", "3..=4", "--jobs", "2"]].concat()), single);
}

#[test]
fn a_trace_replays_and_a_forged_one_is_caught() {
    let (dir, small) = small();
    let file = dir.path().join("small.trace");
    let shown = file.to_str().unwrap();
    let (exit, out, _) = retrial(&["run", &small, "--trace", shown]);
    assert_eq!(exit, Exit::AsExpected, "{out}");
    let (exit, out, _) = retrial(&["replay", shown]);
    assert_eq!(exit, Exit::AsExpected, "{out}");
    assert_eq!(out.matches("the same trace again").count(), 2, "{out}");
    let text = text_of(&file);
    let at = text.find("\"digest\":\"").unwrap() + 10;
    let forged = format!("{}{}{}", &text[..at], "000000000000", &text[at + 12..]);
    scenarios::write(&file, &forged).unwrap();
    let (exit, out, _) = retrial(&["replay", shown]);
    assert_eq!(exit, Exit::NotDeterministic, "{out}");
    assert!(out.contains("not the same trace"), "{out}");
}

#[test]
fn every_bad_file_of_a_directory_is_reported_and_nothing_runs() {
    let dir = tempfile::tempdir().unwrap();
    let text = text_of(scenario(LESSON).as_ref());
    for (name, text) in [
        ("good", text.clone()),
        ("bad-verb", text.replace("\"crash\"", "\"crsh\"")),
        ("bad-key", text.replace("max.poll.records ", "max.poll.record ")),
    ] {
        let file = dir.path().join(format!("{name}.scenario.toml"));
        scenarios::write(&file, &text).unwrap();
    }
    let (exit, out, err) = retrial(&["run", dir.path().to_str().unwrap()]);
    assert_eq!((exit, out.as_str()), (Exit::BadInput, ""), "{err}");
    for part in ["bad-verb.scenario.toml", "`crash`", "bad-key.scenario.toml", "`max.poll.records`"]
    {
        assert!(err.contains(part), "no `{part}` in\n{err}");
    }
    let (exit, _, linted) = retrial(&["lint", dir.path().to_str().unwrap()]);
    assert_eq!((exit, linted), (Exit::BadInput, err));
}

#[test]
fn every_lesson_passes_lint_and_is_listed() {
    let dir = format!("{}/scenarios", env!("CARGO_MANIFEST_DIR"));
    let (exit, out, err) = retrial(&["lint", &dir]);
    assert_eq!(exit, Exit::AsExpected, "{err}");
    assert!(out.contains("no problems"), "{out}");
    let (exit, out, _) = retrial(&["list", &dir]);
    assert_eq!(exit, Exit::AsExpected);
    assert!(out.contains(LESSON), "{out}");
}

#[test]
fn names_are_explained_and_unknown_ones_get_a_suggestion() {
    let (exit, out, _) = retrial(&["explain", "acks"]);
    assert_eq!(exit, Exit::AsExpected);
    assert!(out.contains("acks"), "{out}");
    let (exit, _, err) = retrial(&["explain", "ackss"]);
    assert_eq!(exit, Exit::BadInput);
    assert!(err.contains("`acks`"), "{err}");
}

#[test]
fn ascii_output_is_ascii() {
    let (_dir, file) = small();
    let (exit, out, _) = retrial(&["run", &file, "--ascii"]);
    assert_eq!(exit, Exit::AsExpected);
    assert!(out.is_ascii(), "{out}");
}

mod asking {
    //! The prediction before the run.

    use std::io::Cursor;

    use super::super::super::{
        ask::{ask, compare},
        streams::{Audience, Streams},
    };
    use crate::testbed::scenario::Prediction;

    fn predict() -> Prediction {
        Prediction {
            ask: "Where does it start?".to_owned(),
            options: vec!["offset 0".to_owned(), "offset 5".to_owned()],
            answer: 2,
        }
    }

    fn answer(typed: &'static str) -> (Option<usize>, String) {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), Cursor::new(typed));
        let mut streams = Streams::new(&mut out, &mut err, &mut input, Audience::Caller);
        let answer = ask(&predict(), &mut streams).unwrap();
        (answer, String::from_utf8(out).unwrap())
    }

    #[test]
    fn it_asks_until_an_option_is_named() {
        let (answer, shown) = answer("x\n3\n2\n");
        assert_eq!(answer, Some(2));
        assert_eq!(shown.matches("a number from 1 to 2").count(), 2);
        assert!(shown.contains("2) offset 5"), "{shown}");
    }

    #[test]
    fn nobody_answering_is_no_answer() {
        assert_eq!(answer("").0, None);
    }

    #[test]
    fn the_answer_is_held_against_what_happened() {
        assert!(compare(&predict(), 1).contains("You said offset 0. It was offset 5."));
        assert!(compare(&predict(), 2).contains("You said offset 5, and so it was."));
    }
}
