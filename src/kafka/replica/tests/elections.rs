//! How leaders come and go, and what becomes of logs that differ.

use super::script::plays;

/// A follower learns with its next fetch what this one commits.
#[test]
fn a_write_is_committed_once_all_in_sync_ask_for_what_follows() {
    plays(
        "
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 with high watermark 0
            b2: appends a0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        fetch b2
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: high watermark 1
            b0: a acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 1
            b1: appends nothing
            b1: high watermark 1
        logs
            b0 0: a0 |
            b1 0: a0 |
            b2 0:  | a0
",
    );
}

#[test]
fn a_demoted_leader_gives_up_what_its_successor_has_not() {
    plays(
        "
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 with high watermark 0
            b2: appends a0
        produce b0 acks=1
        elect b1
        see b1 b2 b0
            b1: leads in epoch 1
            b2: follows b1 in epoch 1
            b0: follows b1 in epoch 1
        produce b1
        fetch b0
            b0 asks: fetch from 2 after epoch 0 (epoch 1)
            b0 is told: diverging: epoch 0 ends at 1
            b0: truncates to 1
        fetch b0
            b0 asks: fetch from 1 after epoch 0 (epoch 1)
            b0 is told: c1 with high watermark 0
            b0: appends c1
        logs
            b0 0:  | a0 c1
            b1 0:  | a0 c1
            b2 0:  | a0
",
    );
}

/// b1 knows an epoch that b0 does not, and ended the one before it earlier.
#[test]
fn logs_that_part_twice_are_cut_in_two_steps() {
    plays(
        "
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 with high watermark 0
            b2: appends a0
        produce b0 acks=1
        produce b0 acks=1
        elect b1
        see b1
            b1: leads in epoch 1
        produce b1 acks=1
        elect b0
        see b0
            b0: leads in epoch 2
        produce b0 acks=1
        elect b1
        see b1 b0
            b1: leads in epoch 3
            b0: follows b1 in epoch 3
        produce b1
        fetch b0
            b0 asks: fetch from 4 after epoch 2 (epoch 3)
            b0 is told: diverging: epoch 1 ends at 2
            b0: truncates to 3
        fetch b0
            b0 asks: fetch from 3 after epoch 0 (epoch 3)
            b0 is told: diverging: epoch 0 ends at 1
            b0: truncates to 1
        fetch b0
            b0 asks: fetch from 1 after epoch 0 (epoch 3)
            b0 is told: d1 f3 with high watermark 0
            b0: appends d1 f3
        logs
            b0 0:  | a0 d1 f3
            b1 0:  | a0 d1 f3
            b2 0:  | a0
",
    );
}

/// Its metadata comes late: epoch 1 was another broker's. Its followers have to fetch anew before it commits.
#[test]
fn a_leader_that_missed_an_epoch_asks_nobody_but_its_followers() {
    plays(
        "
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 with high watermark 0
            b2: appends a0
        elect b1
        elect b0
        see b0 b1 b2
            b0: leads in epoch 2
            b1: follows b0 in epoch 2
            b2: follows b0 in epoch 2
        fetch b1 b2
            b1 asks: fetch from 1 after epoch 0 (epoch 2)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
            b2 asks: fetch from 1 after epoch 0 (epoch 2)
            b0: high watermark 1
            b0: low watermark moved
            b0: a acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 2)
            b1 is told: nothing with high watermark 1
            b1: appends nothing
            b1: high watermark 1
",
    );
}

#[test]
fn without_a_leader_nobody_is_asked() {
    plays(
        "
        fence b1
        fence b2
        see b1
        fence b0
        see b1
            b1: has no leader in epoch 1
        ask b1
            b1 asks: nothing
        isr
            leader none ISR [] ELR [b0 b2]
        unfence b1
        isr
            leader none ISR [] ELR [b0 b2]
        see b1 b2
            b2: has no leader in epoch 1
        fetch b2
            b2 asks: nothing
",
    );
}

/// The record was committed: that is the price, and the high watermark of b0 falls.
#[test]
fn an_unclean_leader_cuts_the_logs_of_the_others() {
    plays(
        "
        fence b2
        see b0 b1 b2
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b1 is told: a0 with high watermark 0
            b1: appends a0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: high watermark 1
            b0: a acknowledged
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        logs
            b0 0: a0 |
            b1 0:  | a0
            b2 0:  |
        elect-unclean b2
            ! b2 may lead and lacks what was committed
        unfence b2
        see b2 b0
            b2: leads in epoch 1
            b0: follows b2 in epoch 1
",
    );
}

/// Records fetched by all, a checkpoint, more records, and the leader dies.
const RESTART_AFTER_CHECKPOINT: &str = "
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 with high watermark 0
            b2: appends a0
        fetch b1 b2
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: high watermark 1
            b0: a acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        checkpoint b0
        produce b0
        fetch b1 b2
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: b0 with high watermark 1
            b1: appends b0
            b1: high watermark 1
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
            b2 is told: b0 with high watermark 1
            b2: appends b0
            b2: high watermark 1
        fetch b1 b2
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 1
            b1: appends nothing
            b2 asks: fetch from 2 after epoch 0 (epoch 0)
            b0: high watermark 2
            b0: b acknowledged
            b2 is told: nothing with high watermark 1
            b2: appends nothing
        kill b0
        restart b0
            b0: follows b1 in epoch 1
        see b1 b2
            b1: leads in epoch 1
            b2: follows b1 in epoch 1
        fetch b0 b2
            b0 asks: fetch from 2 after epoch 0 (epoch 1)
            b0 is told: nothing with high watermark 1
            b0: appends nothing
            b2 asks: fetch from 2 after epoch 0 (epoch 1)
            b1: high watermark 2
            b1: low watermark moved
            b2 is told: nothing with high watermark 1
            b2: appends nothing
        fetch b0
            b0 asks: fetch from 2 after epoch 0 (epoch 1)
            b0 is told: nothing with high watermark 2
            b0: appends nothing
            b0: high watermark 2
        logs
            b0 0: a0 b0 |
            b1 0: a0 b0 |
            b2 0: a0 | b0
";

#[test]
fn a_restarted_broker_begins_at_its_checkpoint() {
    plays(RESTART_AFTER_CHECKPOINT);
}
