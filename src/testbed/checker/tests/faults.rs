//! A verdict that holds says under which faults; what did not happen is not among them.

use super::{history_of, verdict};
use crate::testbed::{
    checker::{FaultModel, Verdict},
    plan::Guarantee,
};

/// Under what the records survive when these lines come before the end.
fn under(lines: &str) -> String {
    let lines = format!("shop acks 0..1\n{lines}\nlog 0..1");
    match verdict(Guarantee::AckedRecordsSurvive, "shop", &lines) {
        Verdict::Holds { under, .. } => under.to_string(),
        other => panic!("should hold: {other:#?}"),
    }
}

#[test]
fn a_run_in_which_nothing_happened_proves_nothing_about_faults() {
    assert_eq!(under(""), "without faults");
    assert_eq!(under("billing/1 ends\n b1 recovers 2"), "without faults");
}

#[test]
fn crashes_are_told_by_what_was_lost_and_by_whom() {
    assert_eq!(under("b1 crashes"), "under broker crashes");
    assert_eq!(under("b1 loses-power\n b2 loses-power"), "under broker power losses");
    assert_eq!(under("shop crashes\n billing/2 crashes"), "under client crashes");
    assert_eq!(
        under("billing/1 loses-power\n b1 crashes\n b1 pauses"),
        "under broker crashes, client power losses, pauses"
    );
}

#[test]
fn every_kind_of_fault_has_its_words() {
    for (kind, words) in [
        ("sever", "severed links"),
        ("hold", "held links"),
        ("delay", "slow links"),
        ("reset", "reset connections"),
        ("slow-disk", "slow disks"),
        ("full-disk", "full disks"),
        ("lying-disk", "lying disks"),
        ("wiped-disk", "wiped disks"),
        ("moved-clock", "moved clocks"),
        ("stall", "stalled handlers"),
    ] {
        assert_eq!(under(&format!("b1 suffers {kind}")), format!("under {words}"));
    }
    assert_eq!(under("billing/1 fails-on 0"), "under failing handlers");
}

#[test]
fn a_network_that_loses_packets_is_part_of_the_model() {
    let mut history = history_of("shop acks 0..1\n log 0..1");
    history.setup.loses_packets = true;
    assert_eq!(FaultModel::of(&history).to_string(), "under lost packets");
}
