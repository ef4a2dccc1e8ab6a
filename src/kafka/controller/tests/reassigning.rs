//! Replicas move to other brokers.

use super::driver::plays;

#[test]
fn old_replicas_go_once_the_new_ones_are_in_sync() {
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
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        reassign t-0 3,4
            + t-0 replicas [3,4,1,2] removing [1,2] adding [3,4] directories
            <- ok
        reassignments
            <- t-0 [3,4,1,2] adding [3,4] removing [1,2]
        isr t-0 1,2,3
            + t-0 isr [1,2,3]
            <- isr [1,2,3] epoch 0.2
        isr t-0 1,2,3,4
            + t-0 leader 3 isr [3,4] replicas [3,4] removing [] adding [] directories
            <- NEW_LEADER_ELECTED
        reassignments
            <- none
        show t-0
            [3,4] leader 3 isr [3,4] epoch 1.3
",
    );
}

#[test]
fn a_cancelled_reassignment_leaves_nothing() {
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
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        reassign t-0 cancel
            <- NO_REASSIGNMENT_IN_PROGRESS: No partition reassignment is in progress.
        reassign t-0 1,3
            + t-0 replicas [1,3,2] removing [2] adding [3] directories
            <- ok
        isr t-0 1,2,3
            + t-0 leader 1 isr [1,3] replicas [1,3] removing [] adding [] directories
            <- isr [1,3] epoch 1.2
        reassign t-0 2,3
            + t-0 replicas [2,3,1] removing [1] adding [2] directories
            <- ok
        reassign t-0 cancel
            + t-0 leader 1 replicas [3,1] removing [] adding [] directories
            <- ok
        show t-0
            [3,1] leader 1 isr [1,3] epoch 2.4
",
    );
}

#[test]
fn replicas_that_only_change_places_do_so_at_once() {
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
        reassign t-0 2,1
            + t-0 replicas [2,1] directories
            <- ok
        elect preferred t-0
            + t-0 leader 2
            <- ok
        elect preferred t-0
            <- ELECTION_NOT_NEEDED
",
    );
}

#[test]
fn a_reassignment_names_brokers_that_are_there() {
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
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        reassign t-0 1,9
            <- INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 9, but no such broker is registered.
        reassign t-0 1,1
            <- INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once.
        reassign t-1 1,2
            <- UNKNOWN_TOPIC_OR_PARTITION: Unable to find partition t:1.
        reassign u-0 1,2
            <- UNKNOWN_TOPIC_OR_PARTITION: Unable to find a topic named u.
        reassign t-0 1 same-factor
            <- INVALID_REPLICATION_FACTOR: The replication factor is changed from 2 to 1
        reassign t-0 1
            + t-0 leader 1 isr [1] replicas [1] directories
            <- ok
        show t-0
            [1] leader 1 isr [1] epoch 1.1
",
    );
}

#[test]
fn to_go_back_to_replicas_that_are_all_out_of_sync_is_unclean() {
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
        topic t on 1,2 min.insync.replicas=1
            + topic t
            + t min.insync.replicas=1
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        reassign t-0 3,4
            + t-0 replicas [3,4,1,2] removing [1,2] adding [3,4] directories
            <- ok
        isr t-0 1,3
            + t-0 isr [1,3]
            <- isr [1,3] epoch 0.2
        beat 1 fence
            + t-0 leader 3 isr [3]
            + broker 1 fenced
            <- caught up, fenced
        isr t-0 3
            <- isr [3] epoch 1.3
        reassign t-0 cancel
            <- INVALID_REPLICA_ASSIGNMENT: Unable to revert partition assignment for t:0 because it would require an unclean leader election.
        set t unclean.leader.election.enable=true
            + t unclean.leader.election.enable=true
            <- ok
        beat 1
            + broker 1 unfenced
            <- caught up
        reassign t-0 cancel
            + t-0 leader 1 isr [1] replicas [1,2] removing [] adding [] directories
            <- ok
        show t-0
            [1,2] leader 1 isr [1] epoch 2.4
",
    );
}
