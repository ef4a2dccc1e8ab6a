//! The determinism fence: what would make two runs of one seed differ may not be written.
//!
//! `.clippy.toml` bans the calls; this bans the names, so that an import shows at once.

use super::{Breach, Source, assert_none, everywhere};

/// A word, where it may stand, and what to use instead.
const FENCED: &[(&str, &[&str], &str)] = &[
    ("std::time::Instant", &["src/env/real", "src/cli"], "env::Instant"),
    ("SystemTime", &["src/env/real", "src/cli"], "env.clock.wall_time()"),
    ("std::thread", &["src/env/real", "src/cli", "src/testbed/runner"], "env.tasks"),
    ("std::fs", &["src/env/real", "src/cli"], "env.disk"),
    ("std::env::", &["src/env/real", "src/cli", "src/main"], "the plan or the command line"),
    ("std::net", &["src/env/real", "src/cli"], "env.network"),
    ("tokio::net", &["src/env/real"], "env.network"),
    ("tokio::fs", &["src/env/real"], "env.disk"),
    ("tokio::time", &["src/env/real"], "env.clock"),
    ("tokio::task", &["src/env/real"], "env.tasks"),
    ("tokio::spawn", &["src/env/real"], "env.tasks"),
    ("tokio::runtime", &["src/env/real", "src/cli"], "env.tasks"),
    ("tokio::signal", &["src/env/real", "src/cli"], "cli"),
    ("madsim::", &["src/sim"], "the seam; only sim/ names madsim"),
    ("rand::rng()", &[], "env.rng.stream(name)"),
    ("new_v4", &[], "bytes drawn from env.rng"),
    ("thread_rng", &[], "env.rng.stream(name)"),
    // It wakes those who wait in an order of its own; tokio's other primitives do so first come, first served.
    ("sync::watch", &["src/cli"], "kafka::broker::signal"),
    ("watch::channel", &["src/cli"], "kafka::broker::signal"),
];

fn rule(source: &Source) -> Vec<Breach> {
    if source.is_test() {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (number, line) in source.lines_outside_tests() {
        let code = line.split("//").next().unwrap_or_default();
        for (word, allowed, instead) in FENCED {
            if code.contains(word) && !allowed.iter().any(|place| source.is_in(place)) {
                breaches.push(source.breach(number, &format!("`{word}` here: use {instead}")));
            }
        }
    }
    breaches
}

/// `select!` without `biased;` draws from a process-wide counter.
fn select_rule(source: &Source) -> Vec<Breach> {
    if source.is_in("tests/tidy") {
        return Vec::new();
    }
    let lines: Vec<_> = source.text.lines().collect();
    let unbiased = |index: &usize| {
        let call = lines[*index].trim_end();
        call.contains("select!") && call.ends_with('{') && {
            let next = lines.get(index + 1).map_or("", |line| line.trim());
            next != "biased;"
        }
    };
    (0..lines.len())
        .filter(unbiased)
        .map(|index| source.breach(index + 1, "`select!` must begin with `biased;`"))
        .collect()
}

/// State machines never wait.
fn sans_io_rule(source: &Source) -> Vec<Breach> {
    let sans_io = [
        "src/kafka/controller",
        "src/kafka/coordinator",
        "src/kafka/raft",
        "src/kafka/replica",
        "src/kafka/types",
        "src/testbed/checker",
    ];
    if !sans_io.iter().any(|place| source.is_in(place)) {
        return Vec::new();
    }
    let waits = |line: &str| {
        // Not `.awaiting_join`.
        let after = line.split_once(".await").map(|(_, after)| after);
        line.contains("async ")
            || after
                .is_some_and(|after| !after.starts_with(|c: char| c.is_alphabetic() || c == '_'))
    };
    source
        .lines_outside_tests()
        .filter(|(_, line)| waits(line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, _)| source.breach(number, "a sans-io module never waits"))
        .collect()
}

#[test]
fn nothing_reaches_around_the_seam() {
    assert_none(&everywhere(rule));
}

#[test]
fn every_select_is_biased() {
    assert_none(&everywhere(select_rule));
}

#[test]
fn state_machines_never_wait() {
    assert_none(&everywhere(sans_io_rule));
}

#[test]
fn a_breach_of_the_fence_is_seen() {
    let source = Source::new("src/kafka/a.rs", "//! A.\nuse std::time::Instant;\nuse std::fs;");
    assert_eq!(rule(&source).len(), 2);
    let source = Source::new("src/kafka/a.rs", "//! A.\nuse tokio::sync::watch;");
    assert_eq!(rule(&source).len(), 1);
    let call = concat!("fn f() { tokio::sel", "ect! {\n x = y => {} } }");
    assert_eq!(select_rule(&Source::new("src/a.rs", call)).len(), 1);
    let waits = Source::new("src/kafka/coordinator/a.rs", "async fn f() {}");
    assert_eq!(sans_io_rule(&waits).len(), 1);
}
