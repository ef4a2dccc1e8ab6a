//! The exceptions of the Java client, by which errors are called in events and expectations.

use super::Word;

const fn error(name: &'static str, meaning: &'static str) -> Word<()> {
    Word { value: (), name, meaning }
}

pub(in crate::testbed::scenario) const ERRORS: &[Word<()>] = &[
    error("BufferExhaustedException", "buffer.memory stayed full for all of max.block.ms."),
    error(
        "CommitFailedException",
        "The group has moved on without this member, so its commit is refused.",
    ),
    error("ConfigException", "Kafka's client or broker refuses the configuration when it starts."),
    error(
        "CoordinatorLoadInProgressException",
        "The coordinator is still reading the group's offsets and members from the log.",
    ),
    error("CoordinatorNotAvailableException", "No broker coordinates the group yet."),
    error("CorruptRecordException", "A batch's checksum does not match its bytes."),
    error("DisconnectException", "The connection was lost before the answer came."),
    error(
        "DuplicateSequenceException",
        "The leader has this batch already and cannot tell its offsets any more.",
    ),
    error("FencedInstanceIdException", "Another consumer took over this group.instance.id."),
    error("FencedLeaderEpochException", "The request names a leader epoch that has passed."),
    error("GroupMaxSizeReachedException", "The group has group.max.size members already."),
    error("IllegalArgumentException", "The call's arguments make no sense."),
    error(
        "IllegalGenerationException",
        "The request names a generation of the group that has passed.",
    ),
    error("IllegalStateException", "The call makes no sense in the client's state."),
    error(
        "InconsistentGroupProtocolException",
        "The member shares no assignor with the rest of its group.",
    ),
    error("InvalidConfigurationException", "The broker refuses a topic's configuration."),
    error("InvalidGroupIdException", "The group's name is not a legal one."),
    error("InvalidPartitionsException", "A topic cannot have that many partitions."),
    error(
        "InvalidProducerEpochException",
        "A newer producer with the same id has replaced this one.",
    ),
    error(
        "InvalidRecordException",
        "The broker refuses a record, such as one without a key in a compacted topic.",
    ),
    error(
        "InvalidReplicationFactorException",
        "More replicas were asked for than there are brokers.",
    ),
    error("InvalidRequiredAcksException", "acks is none of 0, 1 and all."),
    error(
        "InvalidSessionTimeoutException",
        "session.timeout.ms lies outside of the broker's group.min.session.timeout.ms and group.max.session.timeout.ms.",
    ),
    error(
        "InvalidTimestampException",
        "The record's timestamp is further from the broker's clock than the topic allows.",
    ),
    error("InvalidTopicException", "The topic's name is not a legal one."),
    error(
        "KafkaException",
        "The client is closed, or something without a name of its own went wrong.",
    ),
    error("KafkaStorageException", "The broker's disk failed."),
    error("LeaderNotAvailableException", "The partition has no leader at this moment."),
    error(
        "MemberIdRequiredException",
        "The coordinator gave the new member an id and wants it to join again with it.",
    ),
    error(
        "NetworkException",
        "The connection was lost before the answer came: the batch may have been appended or not.",
    ),
    error("NoOffsetForPartitionException", "Nothing is committed and auto.offset.reset is none."),
    error("NotControllerException", "The broker is not the active controller."),
    error("NotCoordinatorException", "The group is coordinated by another broker."),
    error(
        "NotEnoughReplicasAfterAppendException",
        "The batch is in the leader's log, but too few replicas are in sync.",
    ),
    error("NotEnoughReplicasException", "Fewer replicas than min.insync.replicas are in sync."),
    error("NotLeaderOrFollowerException", "The broker is not the leader of this partition."),
    error(
        "OffsetMetadataTooLarge",
        "The text committed with an offset is longer than offset.metadata.max.bytes.",
    ),
    error("OffsetOutOfRangeException", "The position lies outside of the log."),
    error(
        "OutOfOrderSequenceException",
        "A batch came whose sequence does not follow the last one.",
    ),
    error("RebalanceInProgressException", "The group is rebalancing: poll, then try again."),
    error(
        "RecordTooLargeException",
        "The record or its batch exceeds what the producer or the broker allows.",
    ),
    error(
        "ReplicaNotAvailableException",
        "The broker keeps no copy of the partition at this moment.",
    ),
    error(
        "RetriableCommitFailedException",
        "An asynchronous commit failed for a passing reason; the client does not retry it.",
    ),
    error(
        "TimeoutException",
        "The time for the call is over: delivery.timeout.ms, max.block.ms, default.api.timeout.ms or request.timeout.ms.",
    ),
    error("TopicExistsException", "A topic of that name exists."),
    error("UnknownLeaderEpochException", "The broker has not heard of this leader epoch yet."),
    error("UnknownMemberIdException", "The coordinator does not know this member (any more)."),
    error("UnknownProducerIdException", "The leader knows nothing of this producer id."),
    error("UnknownServerException", "The broker failed in a way it has no error code for."),
    error(
        "UnknownTopicOrPartitionException",
        "The topic or partition does not exist, or the broker has not heard of it yet.",
    ),
    error("UnsupportedVersionException", "Broker and client share no version of the request."),
    error("WakeupException", "wakeup() was called while the consumer was polling."),
];
