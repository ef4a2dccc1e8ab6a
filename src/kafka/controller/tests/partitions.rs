//! Who leads and who is in sync.

use std::time::Duration;

use super::{
    super::{AlterPartitionBrokerEpoch, ControllerConfig, EligibleLeaders, Policies},
    driver::{config, plays, plays_with},
};

#[test]
fn a_leader_must_know_what_it_changes() {
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
        broker 4
            + broker 4 epoch 6 fenced
            + broker 4 unfenced
            <- epoch 6
            <- caught up
        topic t on 1,2,3
            + topic t
            + t-0 [1,2,3] leader 1 isr [1,2,3]
            <- 1 x 3
        isr t-0 1,2
            + t-0 isr [1,2]
            <- isr [1,2] epoch 0.1
        isr t-0 1,2,3 partition-epoch=0
            <- INVALID_UPDATE_VERSION
        isr t-0 1,2,3 partition-epoch=9
            <- NOT_CONTROLLER
        isr t-0 1,2,3 leader-epoch=9
            <- NOT_CONTROLLER
        elect preferred t-0
            <- ELECTION_NOT_NEEDED
        isr t-0 1,2,3 by=2
            <- INVALID_REQUEST
        isr t-0 1,2,4
            <- INVALID_REQUEST
        isr t-0 2,3
            <- INVALID_REQUEST
        isr t-0 1,1
            <- INVALID_REQUEST
        isr t-0 1 recovering
            <- INVALID_REQUEST
        isr t-0 1,2,3 epoch=77
            <- STALE_BROKER_EPOCH
        isr t-0 1,2,3
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 0.2
        beat 1 fence
            + t-0 leader 2 isr [2,3]
            + broker 1 fenced
            <- caught up, fenced
        isr t-0 2,3 leader-epoch=0 by=1
            <- FENCED_LEADER_EPOCH
        isr t-0 2,3 leader-epoch=0
            <- FENCED_LEADER_EPOCH
        isr t-0 2,3,1
            <- INELIGIBLE_REPLICA
",
    );
}

#[test]
fn a_replica_of_an_earlier_incarnation_is_not_in_sync() {
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
        isr t-0 1,2
            + t-0 isr [1,2]
            <- isr [1,2] epoch 0.1
        beat 3 fence
            + broker 3 fenced
            <- caught up, fenced
        crash 3
            + broker 3 epoch 10 fenced
            <- epoch 10
        beat 3
            + broker 3 unfenced
            <- caught up
        isr t-0 1,2,3 epoch-of-3=4
            <- INELIGIBLE_REPLICA
",
    );
}

#[test]
fn without_kip_903_a_late_request_brings_an_empty_replica_into_the_isr() {
    let policies = Policies {
        alter_partition_broker_epoch: AlterPartitionBrokerEpoch::Off,
        ..Policies::default()
    };
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
        broker 3
            + broker 3 epoch 4 fenced
            + broker 3 unfenced
            <- epoch 4
            <- caught up
        topic t on 1,2,3
            + topic t
            + t-0 [1,2,3] leader 1 isr [1,2,3]
            <- 1 x 3
        isr t-0 1,2
            + t-0 isr [1,2]
            <- isr [1,2] epoch 0.1
        beat 3 fence
            + broker 3 fenced
            <- caught up, fenced
        crash 3
            + broker 3 epoch 10 fenced
            <- epoch 10
        beat 3
            + broker 3 unfenced
            <- caught up
        isr t-0 1,2,3 epoch-of-3=4
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 0.2
",
    );
}

#[test]
fn who_fell_out_below_the_minimum_is_elected_before_a_last_replica_that_crashed() {
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
        beat 1 fence
            + t-0 leader 2 isr [2,3]
            + broker 1 fenced
            <- caught up, fenced
        beat 2 fence
            + t-0 leader 3 isr [3] elr [2]
            + broker 2 fenced
            <- caught up, fenced
        tick 9.1s
            at 9.000s
            + t-0 leader -1 isr [] elr [2,3] last [3]
            + broker 3 fenced
        crash 3
            + t-0 elr [2]
            + broker 3 epoch 14 fenced
            <- epoch 14
        beat 3
            + broker 3 unfenced
            <- caught up
        show t-0
            [1,2,3] leader -1 isr [] elr [2] last [3] epoch 3.4
        beat 1
            + broker 1 unfenced
            <- caught up
        show t-0
            [1,2,3] leader -1 isr [] elr [2] last [3] epoch 3.4
        beat 2
            + broker 2 unfenced
            + t-0 leader 2 isr [2] elr [] last []
            <- caught up
        isr t-0 1,2,3
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 4.6
",
    );
}

#[test]
fn without_elr_the_last_replica_standing_leads_again_whatever_it_lost() {
    let policies = Policies { eligible_leaders: EligibleLeaders::Off, ..Policies::default() };
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
        broker 3
            + broker 3 epoch 4 fenced
            + broker 3 unfenced
            <- epoch 4
            <- caught up
        topic t on 1,2,3
            + topic t
            + t-0 [1,2,3] leader 1 isr [1,2,3]
            <- 1 x 3
        beat 1 fence
            + t-0 leader 2 isr [2,3]
            + broker 1 fenced
            <- caught up, fenced
        beat 2 fence
            + t-0 leader 3 isr [3]
            + broker 2 fenced
            <- caught up, fenced
        tick 9.1s
            at 9.000s
            + t-0 leader -1
            + broker 3 fenced
        crash 3
            + broker 3 epoch 14 fenced
            <- epoch 14
        beat 3
            + broker 3 unfenced
            + t-0 leader 3
            <- caught up
        show t-0
            [1,2,3] leader 3 isr [3] epoch 4.4
        beat 1
            + broker 1 unfenced
            <- caught up
        show t-0
            [1,2,3] leader 3 isr [3] epoch 4.4
        beat 2
            + broker 2 unfenced
            <- caught up
        isr t-0 1,2,3
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 4.5
",
    );
}

#[test]
fn a_replica_that_stopped_cleanly_stays_eligible() {
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
        beat 1 fence
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 fenced
            <- caught up, fenced
        beat 2 fence
            + t-0 leader -1 isr [] elr [1,2] last [2]
            + broker 2 fenced
            <- caught up, fenced
        restart 2
            + broker 2 epoch 10 fenced
            <- epoch 10
        restart 1
            + broker 1 epoch 11 fenced
            <- epoch 11
        beat 2
            + broker 2 unfenced
            + t-0 leader 2 isr [2] elr [1] last []
            <- caught up
",
    );
}

#[test]
fn the_last_leader_leads_again_when_nobody_is_eligible() {
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
        beat 1 fence
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 fenced
            <- caught up, fenced
        beat 2 fence
            + t-0 leader -1 isr [] elr [1,2] last [2]
            + broker 2 fenced
            <- caught up, fenced
        crash 1
            + t-0 elr [2]
            + broker 1 epoch 10 fenced
            <- epoch 10
        crash 2
            + t-0 elr []
            + broker 2 epoch 12 fenced
            <- epoch 12
        beat 1
            + broker 1 unfenced
            <- caught up
        beat 2
            + broker 2 unfenced
            + t-0 leader 2 isr [2] last [] recovering
            <- caught up
        isr t-0 2 recovering
            <- isr [2] epoch 3.5
        isr t-0 2,1 recovering
            <- INVALID_REQUEST
        isr t-0 2
            + t-0 recovered
            <- isr [2] epoch 3.6
        isr t-0 2,1
            + t-0 isr [2,1]
            <- isr [2,1] epoch 3.7
",
    );
}

#[test]
fn an_unclean_election_is_a_topics_choice() {
    let policies = Policies { eligible_leaders: EligibleLeaders::Off, ..Policies::default() };
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
        topic u on 1,2 unclean.leader.election.enable=true
            + topic u
            + u unclean.leader.election.enable=true
            + u-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        isr t-0 1
            + t-0 isr [1]
            <- isr [1] epoch 0.1
        isr u-0 1
            + u-0 isr [1]
            <- isr [1] epoch 0.1
        beat 1 fence
            + t-0 leader -1
            + u-0 leader 2 isr [2] recovering
            + broker 1 fenced
            <- caught up, fenced
        elect unclean t-0
            + t-0 leader 2 isr [2] recovering
            <- ok
        elect unclean t-0
            <- ELECTION_NOT_NEEDED
        elect preferred t-0
            <- PREFERRED_LEADER_NOT_AVAILABLE
        beat 1
            + broker 1 unfenced
            <- caught up
        elect preferred t-0
            <- PREFERRED_LEADER_NOT_AVAILABLE
",
    );
}

#[test]
fn leaders_of_last_resort_are_looked_for_at_times() {
    let policies = Policies { eligible_leaders: EligibleLeaders::Off, ..Policies::default() };
    let config =
        ControllerConfig { session_timeout: Duration::from_secs(9999), ..config(policies) };
    plays_with(
        config,
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
        isr t-0 1
            + t-0 isr [1]
            <- isr [1] epoch 0.1
        beat 1 fence
            + t-0 leader -1
            + broker 1 fenced
            <- caught up, fenced
        set t unclean.leader.election.enable=true
            + t unclean.leader.election.enable=true
            <- ok
        tick 299s
        tick 2s
            at 300.000s
            + t-0 leader 2 isr [2] recovering
",
    );
}

#[test]
fn leadership_goes_back_to_the_first_replica_at_times() {
    let config = ControllerConfig {
        session_timeout: Duration::from_secs(9999),
        balance_interval: Some(Duration::from_secs(300)),
        ..config(Policies::default())
    };
    plays_with(
        config,
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
        beat 1 fence
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 fenced
            <- caught up, fenced
        beat 1
            + broker 1 unfenced
            <- caught up
        tick 100s
        tick 200s
        isr t-0 2,1
            + t-0 isr [2,1] elr []
            <- isr [2,1] epoch 1.2
        tick 299s
        tick 1s
            at 600.000s
            + t-0 leader 1
",
    );
}
