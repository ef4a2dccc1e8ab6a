//! Topics are made, grow, get settings and go.

use super::driver::plays;

#[test]
fn a_topic_is_placed_on_brokers_that_are_there() {
    plays(
        "
        topic t 1 1
            <- INVALID_REPLICATION_FACTOR: Unable to replicate the partition 1 time(s): All brokers are currently fenced.
        register 1
            + broker 1 epoch 0 fenced
            <- epoch 0
        topic t 1 1
            <- INVALID_REPLICATION_FACTOR: Unable to replicate the partition 1 time(s): All brokers are currently fenced.
        beat 1
            + broker 1 unfenced
            <- caught up
        topic t 1 2
            <- INVALID_REPLICATION_FACTOR: Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered.
        topic t 1 1
            + topic t
            + t-0 [1] leader 1 isr [1]
            <- 1 x 1
        topic t 1 1
            <- TOPIC_ALREADY_EXISTS: Topic 't' already exists.
        topic a.b 1 1
            + topic a.b
            + a.b-0 [1] leader 1 isr [1]
            <- 1 x 1
        topic a_b 1 1
            <- INVALID_TOPIC_EXCEPTION: Topic 'a_b' collides with existing topic: a.b
        topic n 0 1
            <- INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value.
        topic n 1 0
            <- INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value.
        topic n%o 1 1
            <- INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'n%o' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
        topic n on 1,1
            <- INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once.
        topic n on 1,9
            <- INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 9, but no such broker is registered.
        broker 2
            + broker 2 epoch 6 fenced
            + broker 2 unfenced
            <- epoch 6
            <- caught up
        beat 1 fence
            + a.b-0 leader -1 isr [] elr [1] last [1]
            + t-0 leader -1 isr [] elr [1] last [1]
            + broker 1 fenced
            <- caught up, fenced
        topic n on 1
            <- INVALID_REPLICA_ASSIGNMENT: All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.
        topic n on 1,2
            + topic n
            + n-0 [1,2] leader 2 isr [2]
            <- 1 x 2
        topic o 2 2
            + topic o
            + o-0 [2,1] leader 2 isr [2]
            + o-1 [2,1] leader 2 isr [2]
            <- 2 x 2
        topic p 1 1 retention.ms=x
            <- INVALID_CONFIG: `retention.ms` cannot be `x`: expected a whole number
        topic p 1 1 retention.ms=5
            + topic p
            + p retention.ms=5
            + p-0 [2] leader 2 isr [2]
            <- 1 x 1
",
    );
}

#[test]
fn partitions_are_added_but_never_taken_away() {
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
        partitions t 3
            + t-1 [1,2] leader 1 isr [1,2]
            + t-2 [2,1] leader 2 isr [2,1]
            <- ok
        partitions t 3
            <- INVALID_PARTITIONS: Topic already has 3 partition(s).
        partitions t 1
            <- INVALID_PARTITIONS: The topic t currently has 3 partition(s); 1 would not be an increase.
        partitions u 2
            <- UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.
        delete t
            + topic ? removed
            <- ok
        delete t
            <- UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.
",
    );
}

#[test]
fn a_topic_made_again_has_nothing_of_the_old_one() {
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
        topic t on 1,2 retention.ms=5
            + topic t
            + t retention.ms=5
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        beat 1 fence
            + t-0 leader 2 isr [2] elr [1]
            + broker 1 fenced
            <- caught up, fenced
        delete t
            + topic ? removed
            <- ok
        beat 1
            + broker 1 unfenced
            <- caught up
        topic t on 1,2
            + topic t
            + t-0 [1,2] leader 1 isr [1,2]
            <- 1 x 2
        show t-0
            [1,2] leader 1 isr [1,2] epoch 0.0
",
    );
}

#[test]
fn settings_of_nodes_are_kept_and_count_for_topics_without_their_own() {
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
        set 9 log.retention.ms=5
            <- BROKER_ID_NOT_REGISTERED: No node with id 9 found.
        set 1 log.retention.ms=5
            + 1 log.retention.ms=5
            <- ok
        set 1 log.retention.ms=5
            + 1 log.retention.ms=5
            <- ok
        set u retention.ms=5
            <- UNKNOWN_TOPIC_OR_PARTITION: The topic 'u' does not exist.
        set t retention.ms=-5
            <- INVALID_CONFIG: `retention.ms` cannot be `-5`: expected a number from -1 to 9223372036854775807
        set t retention.ms=5
            + t retention.ms=5
            <- ok
        set 100 min.insync.replicas=1
            + 100 min.insync.replicas=1
            <- ok
        beat 2 fence
            + t-0 isr [1]
            + broker 2 fenced
            <- caught up, fenced
",
    );
}
