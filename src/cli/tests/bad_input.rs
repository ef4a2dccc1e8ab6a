//! What people get wrong: each mistake is answered with its place and what is allowed, exit 2, and nothing
//! runs.

#![allow(clippy::disallowed_methods, reason = "files of the tests' own")]

use std::path::Path;

use super::{
    super::{Exit, scenarios},
    commands::{SMALL, retrial, small},
};

/// The command is refused, prints no result, and says all of these.
fn refused(args: &[&str], parts: &[&str]) {
    let (exit, out, err) = retrial(args);
    assert_eq!((exit, out.as_str()), (Exit::BadInput, ""), "{args:?}\n{err}");
    for part in parts {
        assert!(err.contains(part), "{args:?}: no `{part}` in\n{err}");
    }
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn files_and_directories_that_are_not_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, empty) = (path(dir.path(), "no.scenario.toml"), path(dir.path(), ""));
    for verb in ["run", "lint", "list", "replay"] {
        refused(&[verb, &missing], &["failed to read ", "no.scenario.toml"]);
    }
    for verb in ["run", "lint", "list"] {
        refused(&[verb, &empty], &["no *.scenario.toml file in "]);
    }
    refused(&["replay", &empty], &["failed to read "]);
}

#[test]
fn numbers_are_told_their_range() {
    let (_dir, file) = small();
    for (flag, value, part) in [
        ("--seed", "-1", "expected a whole number from 0 to 18446744073709551615"),
        ("--seed", "x", "expected a whole number from 0"),
        ("--seeds", "5..=1", "the range is empty"),
        ("--seeds", "-3", "`-3` is not a seed: expected A..=B, like 1..=200"),
        ("--seeds", "0..=18446744073709551615", "at most 10000000 are allowed"),
        ("--jobs", "0", "expected a whole number from 1 on"),
    ] {
        refused(&["run", &file, flag, value], &[part]);
    }
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let (_dir, file) = small();
    refused(&["run", &file, "--variant", "x"], &["no variant `x`; there are: all, base, more"]);
    let set = |set: &str, parts: &[&str]| refused(&["run", &file, "--set", set], parts);
    set("producers.shop.config.akcs=all", &["`akcs`", "--set:1:1", "did you mean `acks`?"]);
    set("producers.shop.config.acks=2", &["--set:1:28", "expected one of all, -1, 0, 1"]);
    set("producers.nobody.records=1", &["[producers.nobody]", "there are: shop"]);
    set("groups.billing.members=1", &["the scenario has no groups"]);
    set("nonsense", &["expected a dotted key", "--set producers.shop.config.acks=all"]);
    refused(&["explain", "qqqqqqqq"], &["nothing is named `qqqqqqqq`", "there are settings"]);
}

#[test]
fn files_that_cannot_be_scenarios_are_refused_before_they_are_read_through() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = path(dir.path(), name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let binary = write("binary.scenario.toml", b"scenario = 1\n\xff\xfe\x00\x80");
    refused(&["lint", &binary], &["not UTF-8 from here on", "binary.scenario.toml:2:1"]);
    let huge = write("huge.scenario.toml", &vec![b'#'; 3 << 20]);
    refused(&["run", &huge], &["huge.scenario.toml", "too large", "1048576 bytes are allowed"]);
}

#[test]
fn a_trace_that_cannot_be_written_is_heard_of_before_anything_runs() {
    let (dir, file) = small();
    let nowhere = path(dir.path(), "no/such/dir/t.trace");
    refused(&["run", &file, "--trace", &nowhere], &["failed to write the trace", &nowhere]);
}

#[test]
fn a_directory_that_links_to_itself_is_read_once() {
    let (dir, _) = small();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
    let (exit, out, _) = retrial(&["lint", dir.path().to_str().unwrap()]);
    assert_eq!((exit, out.as_str()), (Exit::AsExpected, "✓ 1 files, 1 variants: no problems\n"));
}

#[test]
fn a_damaged_trace_is_told_its_line() {
    let (dir, file) = small();
    let trace = path(dir.path(), "t.trace");
    assert_eq!(
        retrial(&["run", &file, "--trace", &trace, "--variant", "base"]).0,
        Exit::AsExpected
    );
    let good = String::from_utf8(scenarios::read(trace.as_ref(), u64::MAX).unwrap()).unwrap();
    let third = good.lines().nth(2).unwrap();
    let damaged = |bytes: &[u8], parts: &[&str]| {
        std::fs::write(&trace, bytes).unwrap();
        refused(&["replay", &trace], &[&[&trace as &str], parts].concat());
    };
    damaged(b"", &["line 1: the file is empty"]);
    damaged(SMALL.as_bytes(), &["line 1: no header of a trace that `run --trace` writes"]);
    damaged(good.replace(third, "{").as_bytes(), &["line 3: no event: "]);
    damaged(&good.as_bytes()[..good.len() / 2], &["line "]);
    let cut = &good.as_bytes()[..good.rfind("{\"e\"").unwrap()];
    damaged(cut, &["line 1: the trace is cut off: "]);
    let mut binary = good.clone().into_bytes();
    binary[good.find('\n').unwrap() + 5] = 0xff;
    damaged(&binary, &["line 2: no trace: the file is not UTF-8"]);
}

/// A header can be edited: what a scenario file must not say, a trace must not say either.
#[test]
fn a_trace_whose_plan_no_scenario_could_have_is_refused() {
    let (dir, file) = small();
    let trace = path(dir.path(), "t.trace");
    let args = ["run", &file, "--trace", &trace, "--set", "producers.shop.config.acks=all"];
    assert_eq!(retrial(&args).0, Exit::AsExpected);
    let good = String::from_utf8(scenarios::read(trace.as_ref(), u64::MAX).unwrap()).unwrap();
    for (part, wrong, told) in [
        ("\"acks\":\"all\"", "\"acks\":\"7\"", "expected one of all, -1, 0, 1"),
        ("\"topic\":\"orders\"", "\"topic\":\"nope\"", "`nope`"),
        ("\"brokers\":1", "\"brokers\":0", "brokers"),
    ] {
        assert!(good.contains(part), "no {part} in the header");
        std::fs::write(&trace, good.replace(part, wrong)).unwrap();
        refused(&["replay", &trace], &["line 1: the plan cannot be run: ", told]);
    }
}
