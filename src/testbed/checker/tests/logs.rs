//! What the logs hold: survival, duplicates, order, agreement.

use super::{breach, breaches, holds, says, unknown};
use crate::testbed::plan::{Cause, Guarantee};

#[test]
fn acked_records_found_at_their_offsets_survive() {
    holds(Guarantee::AckedRecordsSurvive, "shop", "shop acks 0..3\n log 0..3");
    holds(Guarantee::AckedRecordsSurvive, "orders", "shop acks 0..3\n log 0..3");
    unknown(Guarantee::AckedRecordsSurvive, "shop", "shop doubts shop#0\n log orders-0@");
    unknown(Guarantee::AckedRecordsSurvive, "shop", "shop acks 0..3\n panic");
}

#[test]
fn a_power_loss_without_a_flush_takes_acked_records() {
    let lines = "
        shop acks 0..4
        b1 loses-power
        b1 recovers 2
        log 0..1 2=shop#9";
    let (guarantee, cause) = (Guarantee::AckedRecordsSurvive, Cause::UnflushedPowerLoss);
    let violation = breach(guarantee, "shop", lines, cause, "0@2 0@3 0@4");
    assert_eq!(
        says(&violation),
        [
            "shop#2 was acked at orders-0@2",
            "b1 lost power",
            "b1 came back with orders-0 ending at 2",
            "orders-0@2 holds shop#9",
        ]
    );
    let expected = "shop#2 was acked at orders-0@2 and is not in the log, and 2 more like it";
    assert_eq!(&*violation.what, expected);
}

#[test]
fn a_disk_that_lies_is_named_before_the_power_loss() {
    let lines = "b1 lies\n shop acks 0..2\n b1 loses-power\n b1 recovers 1\n log 0";
    let guarantee = Guarantee::AckedRecordsSurvive;
    let violation = breach(guarantee, "shop", lines, Cause::LyingDisk, "0@1 0@2");
    assert!(says(&violation)[0].starts_with("b1's disk"), "{violation:#?}");
}

#[test]
fn an_acked_record_gone_after_no_more_than_a_crash_is_unexplained() {
    let lines = "shop acks 0..2\n b1 crashes\n b1 recovers 2\n log 0..1";
    breach(Guarantee::AckedRecordsSurvive, "shop", lines, Cause::Unexplained, "0@2");
}

#[test]
fn a_power_loss_before_the_ack_is_not_to_blame() {
    let lines = "b1 loses-power\n b1 recovers 0\n shop acks 0..1\n log 0";
    breach(Guarantee::AckedRecordsSurvive, "shop", lines, Cause::Unexplained, "0@1");
}

#[test]
fn a_retry_that_is_not_recognised_doubles_the_record() {
    let lines = "
        shop sends shop#0 shop#1
        shop retries orders-0
        shop hears-of 0=shop#0 1=shop#1
        log 0=shop#0 1=shop#1 2=shop#0 3=shop#1";
    let (guarantee, cause) = (Guarantee::NoDuplicateAppend, Cause::RetryDuplicate);
    let violation = breach(guarantee, "orders", lines, cause, "0@2 0@3");
    assert_eq!(
        says(&violation),
        [
            "shop#0 was sent, once",
            "shop sent its batch again after NetworkException",
            "the log holds it at orders-0@0 and orders-0@2",
        ]
    );
    holds(Guarantee::PartitionOrder, "orders", lines);
}

#[test]
fn a_record_the_application_sent_twice_is_no_duplicate_append() {
    let lines = "
        shop doubts shop#0
        shop acks 1=shop#0.2
        log 0=shop#0 1=shop#0.2";
    holds(Guarantee::NoDuplicateAppend, "orders", lines);
}

#[test]
fn a_duplicate_nobody_retried_is_unexplained() {
    let lines = "shop acks 0\n shop retries orders-0\n log 0 1=shop#0";
    breach(Guarantee::NoDuplicateAppend, "orders", lines, Cause::Unexplained, "0@1");
}

#[test]
fn a_retry_overtaken_by_a_later_batch_breaks_the_order() {
    let lines = "
        shop sends shop#0 shop#1
        shop retries orders-0
        shop hears-of 0=shop#1
        shop hears-of 1=shop#0
        log 0..1";
    let (guarantee, cause) = (Guarantee::PartitionOrder, Cause::RetryReorder);
    let violation = breach(guarantee, "orders", lines, cause, "0@1");
    assert_eq!(says(&violation)[2], "shop sent a batch again");
    breach(guarantee, "shop", lines, cause, "0@1");
    unknown(guarantee, "till", lines);
}

#[test]
fn producers_may_interleave_and_partitions_may_differ() {
    let lines = "
        shop sends shop#0 shop#1
        till sends till#0 till#1
        log 0=till#0 1=shop#0 2=till#1 orders-1@0=shop#1";
    holds(Guarantee::PartitionOrder, "orders", lines);
    holds(Guarantee::PartitionOrder, "orders-0", lines);
}

#[test]
fn a_key_in_two_partitions_has_moved() {
    let sent = "shop sends shop#0 shop#1 shop#2";
    let lines = format!("{sent}\n log 0=shop#0:red 1=shop#1:blue orders-1@0=shop#2:red");
    breach(Guarantee::KeyOrder, "orders", &lines, Cause::KeyMoved, "1@0");
    let lines = format!("{sent}\n log 0=shop#0:red 1=shop#2:red orders-1@0=shop#1:blue");
    holds(Guarantee::KeyOrder, "orders", &lines);
    unknown(Guarantee::KeyOrder, "orders", &format!("{sent}\n log 0..2"));
}

#[test]
fn records_of_different_keys_owe_each_other_no_order() {
    let sent = "shop sends shop#0 shop#1 shop#2\n shop retries orders-0";
    let lines = format!("{sent}\n log 0=shop#1:blue 1=shop#0:red 2=shop#2:red");
    holds(Guarantee::KeyOrder, "orders", &lines);
    breach(Guarantee::PartitionOrder, "orders", &lines, Cause::RetryReorder, "0@1");
    let lines = format!("{sent}\n log 0=shop#1:blue 1=shop#2:red 2=shop#0:red");
    breach(Guarantee::KeyOrder, "orders", &lines, Cause::RetryReorder, "0@2");
}

#[test]
fn order_across_partitions_is_nobodys_promise() {
    let lines = "
        shop sends shop#0 shop#1 shop#2
        shop hears-of 0=shop#0 orders-1@0=shop#1 1=shop#2
        billing/1 polls 0..1
        billing/1 polls orders-1@0
        log 0..1 orders-1@0";
    let (guarantee, cause) = (Guarantee::TopicOrder, Cause::SeveralPartitions);
    breach(guarantee, "billing", lines, cause, "1@0");
    holds(Guarantee::PartitionOrder, "orders", lines);
    let in_order = lines.replace("polls 0..1", "polls 0").replace("1@0\n", "1@0 1\n");
    holds(guarantee, "billing", &in_order);
}

#[test]
fn one_offset_with_two_records_is_inconsistent() {
    let lines = "
        shop acks 0..1
        billing/1 polls 0..1
        shop acks 1=shop#7
        log 0..1";
    let violations = breaches(Guarantee::OffsetsAgree, "orders", lines);
    assert_eq!(&*violations[0].anomaly, "inconsistent-offsets");
    assert_eq!(&*violations[0].what, "orders-0@1 was shop#1, then shop#7");
    holds(Guarantee::OffsetsAgree, "orders", "shop acks 0..1\n billing/1 polls 0..1\n log 0..1");
    unknown(Guarantee::OffsetsAgree, "refunds", lines);
}

#[test]
fn an_accepted_commit_that_is_forgotten_is_a_lost_commit() {
    let lines = "
        shop acks 0..4
        b1 accepts billing/1 orders-0@3
        b1 accepts billing/1 orders-0@5
        log 0..4
        left committed 3";
    let violations = breaches(Guarantee::OffsetsAgree, "orders", lines);
    assert_eq!(&*violations[0].anomaly, "lost-commit");
    let kept = lines.replace("committed 3", "committed 5");
    holds(Guarantee::OffsetsAgree, "orders", &kept);
    // Appended by a coordinator that lost its office before it could say so.
    let later = lines.replace("log 0..4", "billing/1 tries-to-commit 7\n log 0..4");
    holds(Guarantee::OffsetsAgree, "orders", &later.replace("committed 3", "committed 7"));
    assert_eq!(breaches(Guarantee::OffsetsAgree, "orders", &later).len(), 1);
}

#[test]
fn a_record_that_never_came_before_an_acked_one_is_a_gap() {
    let lines = "
        shop sends shop#0 shop#1
        shop hears-of 0=shop#1
        shop gives-up-on shop#0
        log 0=shop#1";
    let (guarantee, cause) = (Guarantee::PartitionOrder, Cause::SequenceGap);
    let violation = breach(guarantee, "orders", lines, cause, "0@0");
    assert_eq!(
        says(&violation),
        [
            "shop#0 was sent before shop#1",
            "shop#1 was acked at orders-0@0",
            "shop#0 was given up, and is in no log",
        ]
    );
    breach(guarantee, "shop", lines, cause, "0@0");
    unknown(guarantee, "till", lines);
}

#[test]
fn a_record_given_up_before_a_later_one_was_acked_is_no_gap() {
    let order = Guarantee::PartitionOrder;
    let earlier = "shop sends shop#0 shop#1\n shop gives-up-on shop#0\n shop hears-of 0=shop#1";
    holds(order, "orders", &format!("{earlier}\n log 0=shop#1"));
    let sent_later = "shop sends shop#1\n shop hears-of 0=shop#1\n shop doubts shop#0";
    holds(order, "orders", &format!("{sent_later}\n log 0=shop#1"));
}

#[test]
fn a_gap_is_where_the_record_would_have_gone_and_did_not() {
    let order = Guarantee::PartitionOrder;
    let lines = "shop sends shop#0 shop#1\n shop hears-of 1=shop#1\n shop gives-up-on shop#0";
    holds(order, "orders", &format!("{lines}\n log 0=shop#0 1=shop#1"));
    let log = "log 0=till#0 1=shop#1";
    breach(order, "orders", &format!("{lines}\n {log}"), Cause::SequenceGap, "0@1");
    for elsewhere in ["orders-1@shop#0", "?@shop#0"] {
        let lines = lines.replace("on shop#0", &format!("on {elsewhere}"));
        holds(order, "orders", &format!("{lines}\n {log}\n log orders-1@"));
    }
    // What went since, in good order or not, may be either of them.
    holds(order, "orders", &format!("{lines}\n log 1=shop#1"));
    unknown(order, "orders", &format!("{lines}\n log 0=till#0 1=till#1"));
}
