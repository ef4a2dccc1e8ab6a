//! What members see, who owns what, and whether groups come to rest.

use super::{breach, breaches, holds, says, unknown};
use crate::testbed::plan::{Cause, Guarantee};

#[test]
fn an_offset_below_the_last_one_is_a_nonmonotonic_poll() {
    let lines = "billing/1 starts 0 committed\n billing/1 polls 0..2\n billing/1 polls 1";
    let cause = Cause::Unexplained;
    let violation = breach(Guarantee::MonotonePolls, "billing", lines, cause, "0@1");
    assert_eq!(&*violation.what, "billing/1 saw orders-0@1 after 2");
}

#[test]
fn going_back_is_fine_after_a_seek_a_new_assignment_or_a_restart() {
    for between in [
        "billing/1 starts 1 seek",
        "billing/1 gives-up orders-0\n billing/1 starts 1 committed",
        "billing/1 loses orders-0",
        "billing/1 crashes",
    ] {
        let lines = format!("billing/1 polls 0..2\n {between}\n billing/1 polls 1..3");
        holds(Guarantee::MonotonePolls, "billing", &lines);
    }
}

#[test]
fn another_member_has_its_own_positions() {
    let lines = "billing/1 polls 0..2\n billing/2 polls 0..2\n billing/1 polls 3";
    holds(Guarantee::MonotonePolls, "billing", lines);
}

#[test]
fn a_gap_in_the_deliveries_is_a_skip_if_the_log_has_records_there() {
    let lines = "
        billing/1 starts 0 committed
        billing/1 polls 0..1
        billing/1 polls 4
        log 0..4";
    let violation = breach(Guarantee::NoSkip, "billing", lines, Cause::Unexplained, "0@2 0@3");
    assert_eq!(says(&violation)[1], "billing/1 was given 4 next");
    holds(Guarantee::NoSkip, "billing", &lines.replace("log 0..4", "log 0..1 4"));
    let sought = lines.replace("polls 4", "starts 4 seek\n billing/1 polls 4");
    holds(Guarantee::NoSkip, "billing", &sought);
}

#[test]
fn a_committed_offset_beyond_what_anybody_was_given_is_a_skip() {
    let lines = "
        shop acks 0..4
        billing/1 starts 0 committed
        billing/1 polls 0..1
        billing/1 crashes
        billing/1 starts 3 committed
        billing/1 polls 3..4
        log 0..4";
    breach(Guarantee::NoSkip, "billing", lines, Cause::Unexplained, "0@2");
}

#[test]
fn two_owners_in_one_generation_are_one_too_many() {
    let lines = "b1 generation 3 billing/1=orders-0 billing/2=orders-0";
    let violations = breaches(Guarantee::OneOwner, "billing", lines);
    assert_eq!(&*violations[0].what, "billing/1 and billing/2 were both given orders-0");
    let lines = "billing/1 joins 3 orders-0\n billing/2 joins 3 orders-0 orders-1";
    let violations = breaches(Guarantee::OneOwner, "billing", lines);
    assert_eq!(&*violations[0].what, "billing/1 and billing/2 both own orders-0");
}

#[test]
fn owners_change_with_the_generation() {
    let lines = "
        b1 generation 3 billing/1=orders-0 billing/2=orders-1
        billing/1 joins 3 orders-0
        billing/2 joins 3 orders-1
        b1 generation 4 billing/2=orders-0 billing/2=orders-1
        billing/2 joins 4 orders-0 orders-1";
    holds(Guarantee::OneOwner, "billing", lines);
}

#[test]
fn a_partition_not_read_to_its_end_has_lag() {
    let lines = "billing/1 starts 0 committed\n billing/1 polls 0..1\n log 0..4 orders-1@";
    breach(Guarantee::LagDrains, "billing", lines, Cause::Unexplained, "0@2");
    let drained = lines.replace("polls 0..1", "polls 0..4");
    holds(Guarantee::LagDrains, "billing", &drained);
    unknown(Guarantee::LagDrains, "billing", "billing/1 polls 0");
}

#[test]
fn a_group_settles_in_a_state_of_rest() {
    for (state, rest) in [("Stable", true), ("Empty", true), ("PreparingRebalance", false)] {
        let lines = format!("left state {state}");
        if rest {
            holds(Guarantee::GroupSettles, "billing", &lines);
        } else {
            let violations = breaches(Guarantee::GroupSettles, "billing", &lines);
            assert_eq!(&*violations[0].what, "billing ended as PreparingRebalance");
        }
    }
    unknown(Guarantee::GroupSettles, "billing", "");
}

#[test]
fn a_trial_that_gets_stuck_breaks_what_should_have_come_true() {
    for guarantee in [Guarantee::LagDrains, Guarantee::GroupSettles] {
        let violations = breaches(guarantee, "billing", "stuck nobody reads orders-0");
        assert_eq!(&*violations[0].what, "nobody reads orders-0");
        unknown(guarantee, "billing", "panic");
    }
}
