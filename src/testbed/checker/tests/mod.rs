//! Every checker seen red on a history written by hand, green on its sound twin, and unknown where there
//! is nothing to judge.

mod consuming;
mod expectations;
mod faults;
mod groups;
mod logs;
mod mutations;
mod reached;
mod red;
mod replicas;
mod script;
mod script_replicas;

use script::history_of;

use super::{Index, Verdict, Violation, check};
use crate::testbed::plan::{Cause, Guarantee};

fn verdict(guarantee: Guarantee, of: &str, lines: &str) -> Verdict {
    check(&Index::of(&history_of(lines)), guarantee, of)
}

fn holds(guarantee: Guarantee, of: &str, lines: &str) {
    let verdict = verdict(guarantee, of, lines);
    assert!(matches!(verdict, Verdict::Holds { examined: 1.., .. }), "{guarantee:?}: {verdict:#?}");
}

fn unknown(guarantee: Guarantee, of: &str, lines: &str) {
    let verdict = verdict(guarantee, of, lines);
    assert!(matches!(verdict, Verdict::Unknown { .. }), "{guarantee:?}: {verdict:#?}");
}

fn breaches(guarantee: Guarantee, of: &str, lines: &str) -> Vec<Violation> {
    match verdict(guarantee, of, lines) {
        Verdict::Violated { violations } => violations,
        other => panic!("{guarantee:?} should be violated: {other:#?}"),
    }
}

/// The only violation, which must have this cause and concern these records (`0@2 1@7`, of orders).
fn breach(guarantee: Guarantee, of: &str, lines: &str, cause: Cause, records: &str) -> Violation {
    let mut violations = breaches(guarantee, of, lines);
    assert_eq!(violations.len(), 1, "{violations:#?}");
    let violation = violations.remove(0);
    let concerned: Vec<String> =
        violation.records.iter().map(|record| record.to_string().replace("orders-", "")).collect();
    assert_eq!((violation.cause, concerned.join(" ")), (cause, records.to_owned()));
    let ascending = violation.why.is_sorted_by(|a, b| a.event <= b.event);
    assert!(ascending && !violation.why.is_empty(), "{violation:#?}");
    violation
}

fn says(violation: &Violation) -> Vec<&str> {
    violation.why.iter().map(|evidence| &*evidence.says).collect()
}
