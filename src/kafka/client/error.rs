//! What can go wrong in a client, named as Kafka's Java client names it.
//!
//! The testbed's histories and scenario files speak of `CommitFailedException` and its kin, because
//! that is what people search for; [`ClientError::exception_name`] gives the name.

use kafka_protocol::ResponseError;

use crate::kafka::types::{Offset, TopicPartition};

/// Why a call on a producer, a consumer or an admin client failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// A broker's error code without a variant of its own here.
    #[error("the broker answered {0:?}")]
    Broker(ResponseError),
    /// A deadline of the client passed: `max.block.ms`, `delivery.timeout.ms`, `default.api.timeout.ms`,
    /// `request.timeout.ms`.
    #[error("{0}")]
    Timeout(String),
    /// The connection was lost before the answer came.
    #[error("disconnected from the broker")]
    Disconnect,
    /// `buffer.memory` stayed full for `max.block.ms`.
    #[error("buffer.memory was full for all of max.block.ms")]
    BufferExhausted,
    /// The record alone exceeds `max.request.size` or `buffer.memory`, or the broker refused its batch.
    #[error("the record or its batch has {size} bytes, more than {limit} allows")]
    RecordTooLarge { size: usize, limit: &'static str },
    /// The group has moved on without this member: what it wants to commit may belong to another.
    #[error("the consumer is not part of an active group, or the group has rebalanced since")]
    CommitFailed,
    /// An asynchronous commit failed for a passing reason; the client does not retry it.
    #[error("the asynchronous commit failed: {0}")]
    RetriableCommitFailed(Box<ClientError>),
    /// The group is rebalancing: poll, then try again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The position is outside of the log and `auto.offset.reset` is `none`.
    #[error("position {offset} of {partition} is out of range")]
    OffsetOutOfRange { partition: TopicPartition, offset: Offset },
    /// Neither a committed offset nor a reset policy says where to start.
    #[error("no committed offset and no reset policy for {0:?}")]
    NoOffsetForPartition(Vec<TopicPartition>),
    /// A fetched batch fails its checksum or cannot be read.
    #[error("corrupt batch at offset {offset} of {partition}: {reason}")]
    CorruptRecord { partition: TopicPartition, offset: Offset, reason: String },
    /// `wakeup()` was called.
    #[error("woken up")]
    Wakeup,
    /// The call makes no sense in the client's state, such as polling without a subscription.
    #[error("{0}")]
    IllegalState(String),
    #[error("{0}")]
    IllegalArgument(String),
    /// The client is closed, or was closed while the call waited.
    #[error("the client is closed")]
    Closed,
    /// The topic's name is not a legal one.
    #[error("invalid topic {0}")]
    InvalidTopic(String),
    /// No version of the request is known to both sides, or an answer could not be read.
    #[error("{0}")]
    Protocol(String),
}

impl ClientError {
    /// The simple name of the exception the Java client throws for it.
    pub fn exception_name(&self) -> &'static str {
        match self {
            ClientError::Broker(code) => exception_of(*code),
            ClientError::Timeout(_) => "TimeoutException",
            ClientError::Disconnect => "DisconnectException",
            ClientError::BufferExhausted => "BufferExhaustedException",
            ClientError::RecordTooLarge { .. } => "RecordTooLargeException",
            ClientError::CommitFailed => "CommitFailedException",
            ClientError::RetriableCommitFailed(_) => "RetriableCommitFailedException",
            ClientError::RebalanceInProgress => "RebalanceInProgressException",
            ClientError::OffsetOutOfRange { .. } => "OffsetOutOfRangeException",
            ClientError::NoOffsetForPartition(_) => "NoOffsetForPartitionException",
            ClientError::CorruptRecord { .. } => "CorruptRecordException",
            ClientError::Wakeup => "WakeupException",
            ClientError::IllegalState(_) => "IllegalStateException",
            ClientError::IllegalArgument(_) => "IllegalArgumentException",
            ClientError::Closed => "KafkaException",
            ClientError::InvalidTopic(_) => "InvalidTopicException",
            ClientError::Protocol(_) => "UnsupportedVersionException",
        }
    }

    /// Whether the same call may succeed later without anything else changing (`RetriableException`).
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Broker(code) => code.is_retriable(),
            ClientError::Timeout(_)
            | ClientError::Disconnect
            | ClientError::RetriableCommitFailed(_)
            | ClientError::BufferExhausted => true,
            _ => false,
        }
    }
}

/// The error of a response's code; `None` for success.
pub(crate) fn code_error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

/// The Java exception of an error code (`Errors`).
pub fn exception_of(code: ResponseError) -> &'static str {
    use ResponseError as E;
    match code {
        E::OffsetOutOfRange => "OffsetOutOfRangeException",
        E::CorruptMessage => "CorruptRecordException",
        E::UnknownTopicOrPartition => "UnknownTopicOrPartitionException",
        E::LeaderNotAvailable => "LeaderNotAvailableException",
        E::NotLeaderOrFollower => "NotLeaderOrFollowerException",
        E::RequestTimedOut => "TimeoutException",
        E::ReplicaNotAvailable => "ReplicaNotAvailableException",
        E::MessageTooLarge | E::RecordListTooLarge => "RecordTooLargeException",
        E::NetworkException => "NetworkException",
        E::CoordinatorLoadInProgress => "CoordinatorLoadInProgressException",
        E::CoordinatorNotAvailable => "CoordinatorNotAvailableException",
        E::NotCoordinator => "NotCoordinatorException",
        E::InvalidTopicException => "InvalidTopicException",
        E::NotEnoughReplicas => "NotEnoughReplicasException",
        E::NotEnoughReplicasAfterAppend => "NotEnoughReplicasAfterAppendException",
        E::InvalidRequiredAcks => "InvalidRequiredAcksException",
        E::IllegalGeneration => "IllegalGenerationException",
        E::InconsistentGroupProtocol => "InconsistentGroupProtocolException",
        E::InvalidGroupId => "InvalidGroupIdException",
        E::UnknownMemberId => "UnknownMemberIdException",
        E::InvalidSessionTimeout => "InvalidSessionTimeoutException",
        E::RebalanceInProgress => "RebalanceInProgressException",
        E::OffsetMetadataTooLarge => "OffsetMetadataTooLarge",
        E::TopicAlreadyExists => "TopicExistsException",
        E::InvalidPartitions => "InvalidPartitionsException",
        E::InvalidReplicationFactor => "InvalidReplicationFactorException",
        E::InvalidConfig => "InvalidConfigurationException",
        E::NotController => "NotControllerException",
        E::OutOfOrderSequenceNumber => "OutOfOrderSequenceException",
        E::DuplicateSequenceNumber => "DuplicateSequenceException",
        E::InvalidProducerEpoch => "InvalidProducerEpochException",
        E::UnknownProducerId => "UnknownProducerIdException",
        E::KafkaStorageError => "KafkaStorageException",
        E::FencedLeaderEpoch => "FencedLeaderEpochException",
        E::UnknownLeaderEpoch => "UnknownLeaderEpochException",
        E::MemberIdRequired => "MemberIdRequiredException",
        E::GroupMaxSizeReached => "GroupMaxSizeReachedException",
        E::FencedInstanceId => "FencedInstanceIdException",
        E::InvalidRecord => "InvalidRecordException",
        E::UnsupportedVersion => "UnsupportedVersionException",
        E::InvalidTimestamp => "InvalidTimestampException",
        E::UnknownServerError => "UnknownServerException",
        _ => "KafkaException",
    }
}
