//! States are reached when the history shows them, and not by the fault alone.

use super::script::history_of;
use crate::testbed::checker::{
    Reached::{self, *},
    reached,
};

/// The state is reached by these lines, and not without the marked one.
fn reached_by(state: Reached, lines: &str) {
    assert!(reached(&history_of(&lines.replace('*', ""))).contains(&state), "{state}");
    let without: Vec<&str> = lines.lines().filter(|line| !line.contains('*')).collect();
    assert!(!reached(&history_of(&without.join("\n"))).contains(&state), "{state} without it");
}

#[test]
fn a_kill_counts_if_it_comes_between_work_and_commit() {
    let killed = MemberKilledBetweenProcessingAndCommit;
    reached_by(killed, "billing/1 polls 0..1\n billing/1 processes 0\n *billing/1 crashes");
    let lines = "billing/1 polls 0\n billing/1 processes 0\n billing/1 commits 1";
    assert!(!reached(&history_of(&format!("{lines}\n billing/1 crashes"))).contains(&killed));
    assert!(!reached(&history_of("billing/1 processes 0\n billing/1 ends")).contains(&killed));
}

#[test]
fn a_rebalance_counts_if_records_are_in_hand() {
    let polled = "billing/1 polls 0..1\n billing/1 processes 0";
    reached_by(RebalanceWithRecordsInHand, &format!("{polled}\n *b1 rebalances for a reason"));
    reached_by(RebalanceWithRecordsInHand, &format!("{polled}\n *billing/1 loses orders-0"));
    let idle = format!("{polled}\n billing/1 processes 1\n b1 rebalances for a reason");
    assert!(!reached(&history_of(&idle)).contains(&RebalanceWithRecordsInHand));
}

#[test]
fn a_coordinator_counts_as_reloaded_when_it_serves_the_group_again() {
    let lines = "
        *b1 accepts billing/1 orders-0@5
        b1 crashes
        b1 rebalances for a reason";
    reached_by(CoordinatorReloaded, lines);
    let elsewhere = "b1 accepts billing/1 orders-0@5\n b1 crashes\n b2 rebalances";
    assert!(!reached(&history_of(elsewhere)).contains(&CoordinatorReloaded));
}

#[test]
fn the_others_are_told_by_one_event() {
    reached_by(DeliveredTwice, "billing/1 polls 0..2\n *billing/2 polls 2");
    reached_by(CommitRejected, "*b1 refuses billing/1");
    reached_by(PollTimeout, "*billing/1 leaves max.poll.interval.ms passed");
    reached_by(SendOutcomeUnknown, "shop acks 0\n *shop doubts shop#1");
    reached_by(RecordResent, "shop acks 0\n *shop acks 1=shop#0.2");
    reached_by(BatchRetried, "*shop retries orders-0");
    reached_by(RecoveryCutTornTail, "*b1 recovers 3");
    reached_by(RecoveryLostRecords, "*b1 appends 3\n b1 recovers 3");
    reached_by(PowerLost, "b1 crashes\n *b1 loses-power");
    reached_by(PositionReset, "billing/1 starts 3 committed\n *billing/1 starts 3 reset-to-latest");
    let zombie = "*billing/1 loses orders-0\n billing/1 processes 0";
    reached_by(ProcessedAfterLosingThePartition, zombie);
}

#[test]
fn states_have_names_people_can_read() {
    assert_eq!(RetryWasDuplicate.to_string(), "retry-was-duplicate");
}

#[test]
fn replication_tells_what_became_of_leaders_and_isrs() {
    reached_by(LeaderMoved, "c makes b1,b2\n c elects nobody\n *c elects b2");
    reached_by(Leaderless, "c makes b1,b2\n *c elects nobody");
    let again = "c makes b1,b2\n c elects nobody\n c elects b1";
    assert!(!reached(&history_of(again)).contains(&LeaderMoved));
    reached_by(IsrShrunk, "*c shrinks b1");
    reached_by(IsrGrown, "*c grows b1,b2");
    reached_by(ReplicaTruncated, "*b2 cuts 5..3");
    let more = "c makes P b1,b2\n *billing/1 joins 2 orders-0 orders-1";
    reached_by(AddedPartitionAssigned, &format!("c makes b1,b2\n {more}"));
    // It is the topic's first one.
    for at_first in ["", "c makes b1,b2\n c deletes orders\n "] {
        let lines = format!("{at_first}{}", more.replace('*', ""));
        assert!(!reached(&history_of(&lines)).contains(&AddedPartitionAssigned));
    }
    reached_by(ControllerMoved, "b1 leads M 1@0\n *b2 leads M 2@5");
    // A follower that lags loses nothing when it recovers.
    let lags = "b1 appends 3\n b2 copies 0..0 0\n b2 recovers 1";
    assert!(!reached(&history_of(lags)).contains(&RecoveryLostRecords));
}
