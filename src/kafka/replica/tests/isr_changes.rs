//! Who is in sync, by whose word, and what may be written meanwhile.

use super::{
    controller::Elr,
    script::{plays, plays_under},
    world::Setup,
};
use crate::kafka::replica::{ReplicaPolicy, UnderMinIsr};

#[test]
fn a_laggard_leaves_and_comes_back() {
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
        tick 25000
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        tick 10000
            b0: * [b2] should leave the ISR
            b0: asks for ISR [b0@0 b1@0] in epoch 0, partition epoch 0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        tick 10000
        alter
        altered
            b0: * ISR [b0 b1] as of partition epoch 1
            b0: high watermark 1
            b0: a acknowledged
        fetch b2
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@0 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 1
            b2: appends nothing
            b2: high watermark 1
        alter
        altered
            b0: * ISR [b0 b1 b2] as of partition epoch 2
        isr
            leader b0 ISR [b0 b1 b2] ELR []
",
    );
}

#[test]
fn a_shrink_does_not_count_before_the_controller_says_so() {
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
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        tick 29000
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        tick 16000
            b0: * [b2] should leave the ISR
            b0: asks for ISR [b0@0 b1@0] in epoch 0, partition epoch 0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        produce b0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: b0 with high watermark 0
            b1: appends b0
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        alter
        altered
            b0: * ISR [b0 b1] as of partition epoch 1
            b0: high watermark 2
            b0: a acknowledged
            b0: b acknowledged
",
    );
}

#[test]
fn whoever_is_about_to_join_counts_at_once() {
    plays(
        "
        fence b2
        see b0 b1
        unfence b2
        see b0 b1
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b1 is told: a0 with high watermark 0
            b1: appends a0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        alter
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: a0 with high watermark 0
            b2: appends a0
        fetch b2
            b2 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: high watermark 1
            b0: a acknowledged
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        altered
            b0: * ISR [b0 b1 b2] as of partition epoch 2
",
    );
}

#[test]
fn too_few_in_sync_take_no_write_for_all() {
    plays(
        "
        fence b1
        fence b2
        see b0
        produce b0
            NOT_ENOUGH_REPLICAS
        produce b0 acks=1
        unfence b1
        see b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: * b1 may join the ISR
            b0: asks for ISR [b0@0 b1@0] in epoch 0, partition epoch 2
            b0: low watermark moved
            b1 is told: a0 with high watermark 0
            b1: appends a0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        alter
        altered
            b0: * ISR [b0 b1] as of partition epoch 3
            b0: high watermark 1
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 1
            b1: appends nothing
            b1: high watermark 1
",
    );
}

/// Before KIP-966; since then it takes an increase of `min.insync.replicas` at the wrong moment.
#[test]
fn a_write_can_be_committed_with_too_few_in_sync() {
    let policy = ReplicaPolicy { under_min_isr: UnderMinIsr::Advances, ..Default::default() };
    plays_under(
        Setup { policy, elr: Elr::Off, ..Setup::default() },
        "
        fence b2
        see b0 b1
        produce b0
        fence b1
        see b0
            b0: high watermark 1
            b0: a NOT_ENOUGH_REPLICAS_AFTER_APPEND
",
    );
}

#[test]
fn a_replica_the_controller_refuses_is_proposed_again() {
    plays(
        "
        fence b2
        see b0 b1
        unfence b2
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter-fails INELIGIBLE_REPLICA
            b0 is told: INELIGIBLE_REPLICA
            b0: * the ISR stays
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter-fails OPERATION_NOT_ATTEMPTED
            b0 is told: OPERATION_NOT_ATTEMPTED
            b0: * the ISR stays
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        altered
            b0: * ISR [b0 b1 b2] as of partition epoch 2
",
    );
}

#[test]
fn a_leader_behind_the_controller_waits_for_metadata() {
    plays(
        "
        fence b2
        see b0
        unfence b2
        see b0
        fence b1
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        altered
            b0 is told: INVALID_UPDATE_VERSION
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b2@0] in epoch 0, partition epoch 2
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        altered
            b0: * ISR [b0 b2] as of partition epoch 3
        isr
            leader b0 ISR [b0 b2] ELR []
",
    );
}

#[test]
fn a_leader_of_an_old_epoch_changes_nothing() {
    plays(
        "
        fence b2
        see b0
        unfence b2
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        elect b1
        alter
        altered
            b0 is told: FENCED_LEADER_EPOCH
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        see b0
            b0: follows b1 in epoch 1
        isr
            leader b1 ISR [b0 b1] ELR []
",
    );
}

#[test]
fn what_the_controller_could_not_judge_is_asked_again() {
    plays(
        "
        fence b2
        see b0
        unfence b2
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter-fails NOT_CONTROLLER
            b0 is told: NOT_CONTROLLER
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
        alter
        altered
            b0: * ISR [b0 b1 b2] as of partition epoch 2
",
    );
}

/// b2 fetches while the controller has not answered the request that b0 has given up.
#[test]
fn one_request_at_a_time_even_when_metadata_overtakes_it() {
    plays(
        "
        fence b2
        see b0
        unfence b2
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@0] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        fence b1
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        altered
            b0 is told: INVALID_UPDATE_VERSION
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b2@0] in epoch 0, partition epoch 2
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        altered
            b0: * ISR [b0 b2] as of partition epoch 3
",
    );
}

/// b2 restarts; b0 hears of it only later. A fetch of b2's former life arrives last.
#[test]
fn a_former_incarnation_joins_nothing() {
    plays(
        "
        fence b2
        see b0
        unfence b2
        see b0
        ask b2
            b2 asks: fetch from 0 (epoch 0)
        kill b2
        restart b2
            b2: follows b0 in epoch 0
        unfence b2
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        see b0
        take b2
        give b2
            b2 is told: NOT_LEADER_OR_FOLLOWER
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@-1 b2@5] in epoch 0, partition epoch 1
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        altered
            b0: * ISR [b0 b1 b2] as of partition epoch 2
        isr
            leader b0 ISR [b0 b1 b2] ELR []
",
    );
}

#[test]
fn a_broker_on_its_way_out_does_not_join() {
    plays(
        "
        fence b2
        see b0
        unfence b2
        shut-down b2
        see b0
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        isr
            leader b0 ISR [b0 b1] ELR []
",
    );
}

#[test]
fn a_write_waits_until_enough_are_in_sync_again() {
    plays(
        "
        produce b0
        fence b2
        fence b1
        see b0
        unfence b1
        see b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: * b1 may join the ISR
            b0: asks for ISR [b0@0 b1@0] in epoch 0, partition epoch 2
            b0: low watermark moved
            b1 is told: a0 with high watermark 0
            b1: appends a0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        alter
        altered
            b0: * ISR [b0 b1] as of partition epoch 3
            b0: high watermark 1
            b0: a acknowledged
        isr
            leader b0 ISR [b0 b1] ELR []
",
    );
}

/// The walks found it: b0 hears late of a state that it knows from the controller's answer, while it waits
/// for the next one. b2 must count on, however long it lags: the controller may have taken it in.
#[test]
fn metadata_known_already_withdraws_nothing() {
    plays(
        "
        fence b1
        fence b2
        see b0
        unfence b1
        unfence b2
        see b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: * b1 may join the ISR
            b0: asks for ISR [b0@0 b1@0] in epoch 0, partition epoch 2
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        alter
        altered
            b0: * ISR [b0 b1] as of partition epoch 3
        fetch b2
            b2 asks: fetch from 0 (epoch 0)
            b0: * b2 may join the ISR
            b0: asks for ISR [b0@0 b1@0 b2@0] in epoch 0, partition epoch 3
            b0: low watermark moved
            b2 is told: nothing with high watermark 0
            b2: appends nothing
        alter
        tick 31000
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        see-next b0
        produce b0
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b1 is told: a0 with high watermark 0
            b1: appends a0
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b1 is told: nothing with high watermark 0
            b1: appends nothing
        isr
            leader b0 ISR [b0 b1 b2] ELR []
",
    );
}

/// Each of b1's fetches asks for what was the end at the one before: it is never further behind than that.
#[test]
fn a_follower_one_fetch_behind_a_busy_leader_stays() {
    plays(
        "
        fence b2
        see b0
        produce b0 acks=1
        fetch b1
            b1 asks: fetch from 0 (epoch 0)
            b0: low watermark moved
            b1 is told: a0 with high watermark 0
            b1: appends a0
        tick 12000
        produce b0 acks=1
        fetch b1
            b1 asks: fetch from 1 after epoch 0 (epoch 0)
            b0: high watermark 1
            b1 is told: b0 with high watermark 0
            b1: appends b0
        tick 12000
        produce b0 acks=1
        fetch b1
            b1 asks: fetch from 2 after epoch 0 (epoch 0)
            b0: high watermark 2
            b1 is told: c0 with high watermark 1
            b1: appends c0
            b1: high watermark 1
        tick 12000
        produce b0 acks=1
        fetch b1
            b1 asks: fetch from 3 after epoch 0 (epoch 0)
            b0: high watermark 3
            b1 is told: d0 with high watermark 2
            b1: appends d0
            b1: high watermark 2
        tick 12000
        produce b0 acks=1
        fetch b1
            b1 asks: fetch from 4 after epoch 0 (epoch 0)
            b0: high watermark 4
            b1 is told: e0 with high watermark 3
            b1: appends e0
            b1: high watermark 3
        isr
            leader b0 ISR [b0 b1] ELR []
",
    );
}
