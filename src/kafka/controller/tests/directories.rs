//! Which directory a replica is in, and who may lead for it (KIP-858).

use super::driver::plays;

#[test]
fn a_broker_with_another_disk_leads_again_once_it_has_said_where_its_replica_is() {
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
        topic t on 3,1,2
            + topic t
            + t-0 [3,1,2] leader 3 isr [3,1,2]
            <- 1 x 3
        beat 3 stop
            + broker 3 shutting down
            + t-0 leader 1 isr [1,2]
            <- caught up
        beat 1
            <- caught up
        beat 2
            <- caught up
        beat 3 stop
            + broker 3 fenced
            <- caught up, fenced, may stop
        restart 3 disk=703
            + broker 3 epoch 11 fenced
            <- epoch 11
        beat 3
            + broker 3 unfenced
            <- caught up
        isr t-0 1,2,3
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 1.2
        elect preferred t-0
            <- PREFERRED_LEADER_NOT_AVAILABLE
        assign 3 t-0 703
            + t-0 directories
            <- ok
        show t-0
            [3,1,2] leader 1 isr [1,2,3] epoch 1.3
        elect preferred t-0
            + t-0 leader 3
            <- ok
        assign 3 t-0 703
            <- ok
",
    );
}

#[test]
fn a_directory_that_the_broker_does_not_have_costs_its_place() {
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
        assign 1 t-0 999
            + t-0 directories
            + t-0 leader 2 isr [2,3]
            <- ok
        elect preferred t-0
            <- PREFERRED_LEADER_NOT_AVAILABLE
        isr t-0 1,2,3 by=2
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 1.3
        assign 2 t-0 1
            + t-0 directories
            <- ok
        elect preferred t-0
            <- PREFERRED_LEADER_NOT_AVAILABLE
        assign 3 t-0 2
            + t-0 directories
            + t-0 isr [1,2]
            <- ok
",
    );
}

#[test]
fn only_a_replica_of_what_there_is_can_be_assigned() {
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
        topic t on 1
            + topic t
            + t-0 [1] leader 1 isr [1]
            <- 1 x 1
        assign 2 t-0 502
            <- NOT_LEADER_OR_FOLLOWER
        assign 1 t-1 501
            <- UNKNOWN_TOPIC_OR_PARTITION
        assign 1 u-0 501
            <- UNKNOWN_TOPIC_ID
        assign 1 t-0 501
            <- ok
        assign 7 t-0 507
            <- STALE_BROKER_EPOCH
",
    );
}
