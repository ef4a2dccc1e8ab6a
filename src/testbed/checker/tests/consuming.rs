//! Processing, effects and commits of one group.

use super::{breach, holds, says, unknown};
use crate::testbed::plan::{Cause, Guarantee};

const COMMIT_FIRST: &str = "
    shop acks 0..5
    billing/1 joins 1 orders-0
    billing/1 starts 0 reset-to-earliest
    billing/1 polls 0..4
    billing/1 commits 5
    billing/1 processes 0 1
    billing/1 begins 2
    billing/1 crashes
    billing/1 starts 5 committed
    billing/1 polls 5
    billing/1 processes 5
    log 0..5";

const COMMIT_LAST: &str = "
    shop acks 0..5
    billing/1 joins 1 orders-0
    billing/1 starts 0 reset-to-earliest
    billing/1 polls 0..4
    billing/1 processes 0 1
    billing/1 begins 2
    billing/1 crashes
    billing/1 starts 0 committed
    billing/1 polls 0..5
    billing/1 processes 0..5
    billing/1 commits 6
    log 0..5";

const SOUND: &str = "
    shop acks 0..3
    billing/1 joins 1 orders-0
    billing/1 starts 0 reset-to-earliest
    billing/1 polls 0..1
    billing/1 processes 0..1
    billing/1 commits 2
    billing/1 polls 2..3
    billing/1 processes 2..3
    billing/1 commits 4
    log 0..3";

#[test]
fn a_commit_before_processing_then_a_crash_breaks_at_least_once() {
    let at_least_once = Guarantee::ProcessedAtLeastOnce;
    let cause = Cause::CommittedBeforeProcessing;
    let violation = breach(at_least_once, "billing", COMMIT_FIRST, cause, "0@2 0@3 0@4");
    assert_eq!(
        says(&violation),
        [
            "billing/1 received orders-0@0..4",
            "billing/1 committed 5 while 2..4 were not processed",
            "billing/1 crashed; processed: 0..1",
            "billing/1 started orders-0 at the committed offset, 5",
            "the log holds orders-0@2..4",
        ]
    );
    holds(Guarantee::ProcessedAtMostOnce, "billing", COMMIT_FIRST);
}

#[test]
fn a_commit_whose_answer_was_lost_in_the_crash_is_still_in_force() {
    let heard = "billing/1 commits 5";
    let unheard = COMMIT_FIRST.replace(heard, "b1 accepts billing/1 orders-0@5");
    let (guarantee, cause) = (Guarantee::ProcessedAtLeastOnce, Cause::CommittedBeforeProcessing);
    let violation = breach(guarantee, "billing", &unheard, cause, "0@2 0@3 0@4");
    assert!(says(&violation).contains(&"billing/1 crashed; processed: 0..1"), "{violation:#?}");
}

#[test]
fn a_crash_before_the_commit_breaks_at_most_once() {
    let (guarantee, cause) = (Guarantee::ProcessedAtMostOnce, Cause::ReprocessedAfterRestart);
    let violation = breach(guarantee, "billing", COMMIT_LAST, cause, "0@0 0@1");
    assert_eq!(
        says(&violation),
        [
            "billing/1 processed orders-0@0..1",
            "billing/1 crashed",
            "billing/1 started orders-0 at the committed offset, 0",
            "billing/1 processed orders-0@0..1 again",
        ]
    );
    holds(Guarantee::ProcessedAtLeastOnce, "billing", COMMIT_LAST);
    let exactly = Guarantee::ProcessedExactlyOnce;
    breach(exactly, "billing", COMMIT_LAST, cause, "0@0 0@1");
}

#[test]
fn processing_before_committing_without_faults_is_exactly_once() {
    for guarantee in [
        Guarantee::ProcessedExactlyOnce,
        Guarantee::EffectExactlyOnce,
        Guarantee::NoCommitPassesUnprocessed,
        Guarantee::MonotonePolls,
        Guarantee::NoSkip,
        Guarantee::LagDrains,
    ] {
        holds(guarantee, "billing", SOUND);
    }
}

#[test]
fn the_same_work_by_the_next_owner_breaks_at_most_once() {
    let lines = "
        shop acks 0..2
        billing/1 joins 1 orders-0
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..2
        billing/1 processes 0
        billing/1 leaves max.poll.interval.ms passed
        b1 rebalances a member left
        billing/1 processes 1
        b1 generation 2 billing/2=orders-0
        billing/2 joins 2 orders-0
        billing/2 starts 0 committed
        billing/2 polls 0..2
        billing/2 processes 0..2
        log 0..2";
    let (guarantee, cause) = (Guarantee::ProcessedAtMostOnce, Cause::ReprocessedAfterRebalance);
    let violation = breach(guarantee, "billing", lines, cause, "0@0 0@1");
    assert_eq!(says(&violation)[1], "billing/1 left the group: max.poll.interval.ms passed");
}

#[test]
fn an_upsert_hides_the_repetition_and_an_append_shows_it() {
    let (guarantee, cause) = (Guarantee::EffectExactlyOnce, Cause::ReprocessedAfterRestart);
    breach(guarantee, "billing", COMMIT_LAST, cause, "0@0 0@1");
    holds(guarantee, "billing", &format!("upserts\n{COMMIT_LAST}"));
}

#[test]
fn a_group_that_began_at_the_end_owes_what_lay_there_before() {
    let lines = "
        shop acks 0..2
        billing/1 joins 1 orders-0
        billing/1 starts 2 reset-to-latest
        billing/1 polls 2
        billing/1 processes 2
        billing/1 commits 3
        log 0..2";
    let cause = Cause::ResetToLatest;
    breach(Guarantee::ProcessedAtLeastOnce, "billing", lines, cause, "0@0 0@1");
    breach(Guarantee::NoSkip, "billing", lines, cause, "0@0 0@1");
    holds(Guarantee::NoCommitPassesUnprocessed, "billing", lines);
}

#[test]
fn work_given_to_a_thread_is_lost_behind_a_commit() {
    let lines = "
        shop acks 0..2
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..2
        billing/1 hands-off 0..2
        billing/1 processes 0
        billing/1 commits 3
        billing/1 crashes
        billing/1 starts 3 committed
        log 0..2";
    let guarantee = Guarantee::ProcessedAtLeastOnce;
    breach(guarantee, "billing", lines, Cause::HandedOff, "0@1 0@2");
    let guarantee = Guarantee::NoCommitPassesUnprocessed;
    breach(guarantee, "billing", lines, Cause::HandedOff, "0@1 0@2");
}

#[test]
fn closing_after_an_error_commits_what_was_not_done() {
    let lines = "
        shop acks 0..4
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..4
        billing/1 processes 0..1
        billing/1 fails-on 2
        billing/1 closes-with 5
        billing/1 ends
        log 0..4";
    let guarantee = Guarantee::ProcessedAtLeastOnce;
    let violation = breach(guarantee, "billing", lines, Cause::ClosedAfterError, "0@2 0@3 0@4");
    assert_eq!(says(&violation)[1], "billing/1 failed on orders-0@2: HandlerException");
}

#[test]
fn going_on_after_an_error_skips_the_record() {
    let lines = "
        shop acks 0..4
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..4
        billing/1 processes 0..1
        billing/1 fails-on 2
        billing/1 processes 3..4
        billing/1 closes-with 5
        log 0..4";
    let guarantee = Guarantee::ProcessedAtLeastOnce;
    breach(guarantee, "billing", lines, Cause::SkippedAfterError, "0@2");
}

#[test]
fn polling_again_after_an_error_skips_the_rest_of_the_batch() {
    let lines = "
        shop acks 0..4
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..3
        billing/1 processes 0
        billing/1 fails-on 1
        billing/1 polls 4
        billing/1 processes 4
        billing/1 commits 5
        log 0..4";
    let guarantee = Guarantee::ProcessedAtLeastOnce;
    breach(guarantee, "billing", lines, Cause::SkippedAfterError, "0@1 0@2 0@3");
}

#[test]
fn an_error_before_which_all_was_committed_is_not_to_blame() {
    let lines = "
        shop acks 0..2
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..2
        billing/1 commits 3
        billing/1 processes 0
        billing/1 fails-on 1
        billing/1 crashes
        billing/1 starts 3 committed
        log 0..2";
    let guarantee = Guarantee::ProcessedAtLeastOnce;
    breach(guarantee, "billing", lines, Cause::CommittedBeforeProcessing, "0@1 0@2");
}

#[test]
fn a_commit_ahead_is_a_breach_even_if_all_went_well_afterwards() {
    let lines = "
        shop acks 0..2
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0..2
        billing/1 commits 3
        billing/1 processes 0..2
        log 0..2";
    let (guarantee, cause) =
        (Guarantee::NoCommitPassesUnprocessed, Cause::CommittedBeforeProcessing);
    let violation = breach(guarantee, "billing", lines, cause, "0@0 0@1 0@2");
    let ahead = "billing/1 committed 3 while orders-0@0..2 were not processed";
    assert_eq!(says(&violation), [ahead]);
    holds(Guarantee::ProcessedExactlyOnce, "billing", lines);
}

#[test]
fn nothing_processed_acked_or_committed_is_unknown() {
    for guarantee in [
        Guarantee::ProcessedAtMostOnce,
        Guarantee::ProcessedAtLeastOnce,
        Guarantee::ProcessedExactlyOnce,
        Guarantee::EffectAtMostOnce,
        Guarantee::EffectAtLeastOnce,
        Guarantee::NoCommitPassesUnprocessed,
        Guarantee::MonotonePolls,
        Guarantee::NoSkip,
        Guarantee::TopicOrder,
        Guarantee::OneOwner,
    ] {
        unknown(guarantee, "billing", "log orders-0@");
    }
}

#[test]
fn without_an_end_only_a_breach_is_certain() {
    for end in ["stuck nobody reads orders-0", "panic", ""] {
        let lines = COMMIT_FIRST.replace("log 0..5", end);
        unknown(Guarantee::ProcessedAtLeastOnce, "billing", &lines);
        unknown(Guarantee::NoSkip, "billing", &lines);
        let lines = COMMIT_LAST.replace("log 0..5", end);
        let cause = Cause::ReprocessedAfterRestart;
        breach(Guarantee::ProcessedAtMostOnce, "billing", &lines, cause, "0@0 0@1");
    }
}

#[test]
fn an_unacked_record_is_owed_by_nobody() {
    let lines = "
        shop acks 0
        shop doubts shop#1
        billing/1 starts 0 reset-to-earliest
        billing/1 polls 0
        billing/1 processes 0
        log 0..1";
    holds(Guarantee::ProcessedAtLeastOnce, "billing", lines);
}
