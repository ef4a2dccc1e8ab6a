//! Brokers come, stay, stop and are missed.

use super::{
    super::{BrokerEpochCheck, ControllerConfig, Policies},
    driver::{config, plays, plays_with},
};

#[test]
fn a_broker_is_unfenced_once_it_has_read_its_registration() {
    plays(
        "
        register 1
            + broker 1 epoch 0 fenced
            <- epoch 0
        beat 1 read=-1
            <- fenced
        beat 1 fence
            <- caught up, fenced
        beat 1
            + broker 1 unfenced
            <- caught up
        beat 1
            <- caught up
        register 1 again
            + broker 1 epoch 0
            <- epoch 0
        beat 1 read=0
            <- behind
",
    );
}

#[test]
fn a_silent_broker_is_fenced_and_its_partitions_are_led_by_others() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        broker 3
            + broker 3 epoch 4 fenced
            + broker 3 unfenced
            <- epoch 4
            <- caught up
        topic t on 1,2,3
            + topic t
            + t-0 [1,2,3] leader 1 isr [1,2,3]
            <- 1 x 3
        tick 5s
        beat 2
            <- caught up
        beat 3
            <- caught up
        tick 5s
            at 9.000s
            + t-0 leader 2 isr [2,3]
            + broker 1 fenced
        beat 1
            + broker 1 unfenced
            <- caught up
        show t-0
            [1,2,3] leader 2 isr [2,3] epoch 1.1
        isr t-0 2,3,1
            + t-0 isr [2,3,1]
            <- isr [2,3,1] epoch 1.2
",
    );
}

#[test]
fn a_second_broker_of_the_same_id_waits_for_the_session_of_the_first_to_end() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        crash 1
            <- DUPLICATE_BROKER_REGISTRATION
        tick 9s
        crash 1
            <- DUPLICATE_BROKER_REGISTRATION
        tick 0.1s
            at 9.000s
            + broker 1 fenced
        crash 1
            + broker 1 epoch 3 fenced
            <- epoch 3
",
    );
}

#[test]
fn a_controlled_shutdown_ends_when_the_others_know_of_it() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        broker 3
            + broker 3 epoch 4 fenced
            + broker 3 unfenced
            <- epoch 4
            <- caught up
        topic t on 1,2,3
            + topic t
            + t-0 [1,2,3] leader 1 isr [1,2,3]
            <- 1 x 3
        beat 1 stop
            + broker 1 shutting down
            + t-0 leader 2 isr [2,3]
            <- caught up
        isr t-0 2,3,1
            <- INELIGIBLE_REPLICA
        beat 2 read=6
            <- caught up
        beat 3
            <- caught up
        beat 1 stop
            <- caught up
        beat 2
            <- caught up
        beat 1 stop
            + broker 1 fenced
            <- caught up, fenced, may stop
        restart 1
            + broker 1 epoch 11 fenced
            <- epoch 11
        beat 1
            + broker 1 unfenced
            <- caught up
        isr t-0 2,3,1
            + t-0 isr [2,3,1]
            <- isr [2,3,1] epoch 1.2
",
    );
}

#[test]
fn a_broker_that_leads_nothing_may_stop_at_once() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        beat 2 stop
            + t-0 isr [1] elr [2]
            + broker 2 fenced
            <- caught up, fenced, may stop
",
    );
}

#[test]
fn requests_of_an_earlier_incarnation_are_refused() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        tick 9.1s
            at 9.000s
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 fenced
            + t-0 leader -1 isr [] elr [1,2] last [2]
            + broker 2 fenced
        restart 1
            + broker 1 epoch 10 fenced
            <- epoch 10
        beat 1
            + broker 1 unfenced
            + t-0 leader 1 isr [1] elr [2] last []
            <- caught up
        beat 1 epoch=0 fence
            <- STALE_BROKER_EPOCH
        isr t-0 1 epoch=0
            <- STALE_BROKER_EPOCH
",
    );
}

#[test]
fn without_broker_epochs_an_earlier_incarnation_fences_the_present_one() {
    let policies = Policies { broker_epoch_check: BrokerEpochCheck::Off, ..Policies::default() };
    plays_with(
        config(policies),
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        tick 9.1s
            at 9.000s
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 fenced
            + t-0 leader -1 isr [] elr [1,2] last [2]
            + broker 2 fenced
        restart 1
            + broker 1 epoch 10 fenced
            <- epoch 10
        beat 1
            + broker 1 unfenced
            + t-0 leader 1 isr [1] elr [2] last []
            <- caught up
        beat 1 epoch=0 fence
            + t-0 leader -1 isr [] elr [1,2] last [1]
            + broker 1 fenced
            <- caught up, fenced
        isr t-0 1 epoch=0
            <- STALE_BROKER_EPOCH
",
    );
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    plays(
        "
        register 1 cluster=other
            <- INCONSISTENT_CLUSTER_ID
        unregister 1
            <- BROKER_ID_NOT_REGISTERED: Broker ID 1 is not currently registered
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        unregister 1
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 unregistered
            <- ok
        beat 1
            <- STALE_BROKER_EPOCH
",
    );
}

#[test]
fn a_lost_disk_takes_its_replicas_out_of_each_isr() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        beat 1 lost-disk
            + t-0 leader 2 isr [2] elr [1]
            + broker 1
            <- caught up
",
    );
}

#[test]
fn an_answer_waits_until_what_it_says_is_committed() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        hold
        topic t on 1
            + topic t
            + t-0 [1] leader 1 isr [1]
        beat 1
        commit
            <- 1 x 1
            <- caught up
",
    );
}

#[test]
fn a_new_controller_knows_what_was_committed_and_gives_everybody_time() {
    plays(
        "
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        broker 2
            + broker 2 epoch 2 fenced
            + broker 2 unfenced
            <- epoch 2
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        tick 5s
        hold
        topic u on 2,1
            + topic u
            + u-0 [2,1] leader 2 isr [2,1]
        failover
            <- NOT_CONTROLLER
        topic u on 2,1
            + topic u
            + u-0 [2,1] leader 2 isr [2,1]
            <- 1 x 2
        tick 8s
        beat 2
            <- caught up
        tick 2s
            at 14.000s
            + t-0 leader 2 isr [2] elr [1]
            + u-0 isr [2] elr [1]
            + broker 1 fenced
",
    );
}

#[test]
fn producer_ids_come_in_blocks() {
    plays(
        "
        ids 1
            <- STALE_BROKER_EPOCH
        broker 1
            + broker 1 epoch 0 fenced
            + broker 1 unfenced
            <- epoch 0
            <- caught up
        ids 1
            + producer ids before 1000
            <- 1000 from 0
        ids 1
            + producer ids before 2000
            <- 1000 from 1000
        failover
        ids 1
            + producer ids before 3000
            <- 1000 from 2000
",
    );
}

#[test]
fn a_record_without_meaning_is_written_at_times() {
    let quiet = config(Policies::default());
    let no_op_interval = Some(std::time::Duration::from_millis(500));
    plays_with(
        ControllerConfig { no_op_interval, ..quiet },
        "
        tick 1.2s
            at 0.500s
            + NoOp
            at 1.000s
            + NoOp
",
    );
}

#[test]
fn a_broker_must_know_the_features_that_the_cluster_uses() {
    plays(
        "
        bootstrap metadata.version=25
            + FeatureLevel { name: \"metadata.version\", level: 25 }
        bootstrap metadata.version=26
        register 1
            <- UNSUPPORTED_VERSION
        register 1 knows=metadata.version:7-24
            <- UNSUPPORTED_VERSION
        register 1 knows=metadata.version:7-25
            + broker 1 epoch 1 fenced
            <- epoch 1
",
    );
}
