//! What clients may read, and from whom.

use super::script::plays;

/// KIP-207: its high watermark may be below what its predecessor has committed and shown.
#[test]
fn a_new_leader_does_not_know_the_latest_offset_at_once() {
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
        ask b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
        take b1
        ask b2
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
        take b2
            b0: high watermark 1
            b0: a acknowledged
        latest b0
            1
        elect b1
        see b1 b2
            b1: leads in epoch 1
            b2: follows b1 in epoch 1
        latest b1
            OFFSET_NOT_AVAILABLE
        fetch b2
            b2 asks: fetch from 1 after epoch 0 (epoch 1)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        latest b1
            OFFSET_NOT_AVAILABLE
        see b0
            b0: follows b1 in epoch 1
        fetch b0
            b0 asks: fetch from 1 after epoch 0 (epoch 1)
            b1: high watermark 1
            b1: low watermark moved
            b0 is told: nothing with high watermark 0
            b0: appends nothing
            b0: high watermark 0
        latest b1
            1
",
    );
}

/// A new epoch begins at the end of the log also for whoever led before.
#[test]
fn a_leader_in_a_new_epoch_does_not_know_it_either() {
    plays(
        "
        produce b0
        latest b0
            0
        elect b1
        elect b0
        see b0
            b0: leads in epoch 2
        latest b0
            OFFSET_NOT_AVAILABLE
",
    );
}

#[test]
fn followers_serve_what_they_know_to_be_committed() {
    plays(
        "
        produce b0
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 b0 with high watermark 0
            b1: appends a0 b0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 b0 with high watermark 0
            b2: appends a0 b0
        read b1 0
            UpTo(Offset(0))
        fetch b1 b2
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
            b2 asks: fetch from 2 after epoch 0 (epoch 0)
            b0: high watermark 2
            b0: a acknowledged
            b0: b acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: high watermark 2
        read b1 0
            UpTo(Offset(2))
        read b1 3
            OFFSET_OUT_OF_RANGE
        latest b1
            NOT_LEADER_OR_FOLLOWER
        latest b1 any
            2
",
    );
}

/// Not to one out of sync, or without the offset.
#[test]
fn a_reader_is_sent_to_a_replica_in_its_rack() {
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
        near b0 r1 0
            b1
        fetch b1 b2
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: high watermark 1
            b0: a acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        near b0 r1 0
            b1
        near b0 r1 1
            b1
        near b0 r1 2
            the leader
        near b0 r0 0
            the leader
        near b0 r9 0
            the leader
        fence b1
        see b0
        near b0 r1 0
            the leader
",
    );
}

#[test]
fn the_end_of_an_epoch_is_told_by_the_leader() {
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
        see b1
            b1: leads in epoch 1
        produce b1
        end b1 0
            epoch 0 ends at 1
        end b1 1
            epoch 1 ends at 2
        end b1 2
            unknown epoch
        end b2 0
            NOT_LEADER_OR_FOLLOWER
",
    );
}

/// The low watermark is what DeleteRecords waits for.
#[test]
fn deleted_records_go_everywhere() {
    plays(
        "
        produce b0
        produce b0
        fetch b1 b2
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 b0 with high watermark 0
            b1: appends a0 b0
            b2 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b2 is told: a0 b0 with high watermark 0
            b2: appends a0 b0
        fetch b1 b2
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
            b2 asks: fetch from 2 after epoch 0 (epoch 0)
            b0: high watermark 2
            b0: a acknowledged
            b0: b acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        fetch b1 b2
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: high watermark 2
            b2 asks: fetch from 2 after epoch 0 (epoch 0)
            b2 is told: nothing with high watermark 2
            b2: appends nothing
            b2: high watermark 2
        delete-records b0 1
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
            b1: log starts at 1
        fetch b2
            b2 asks: fetch from 2 after epoch 0 (epoch 0)
            b2 is told: nothing with high watermark 2
            b2: appends nothing
            b2: log starts at 1
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 2
            b1: appends nothing
        fetch b2
            b2 asks: fetch from 2 after epoch 0 (epoch 0)
            b0: low watermark moved
            b2 is told: nothing with high watermark 2
            b2: appends nothing
        logs
            b0 1: b0 |
            b1 1: b0 |
            b2 1: b0 |
",
    );
}
