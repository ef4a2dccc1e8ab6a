//! What a client tells of its inner life, as plain data.
//!
//! Verdicts need causes: why a record was sent twice, why a commit failed, whose partition it was. The
//! clients report such moments to a [`ClientObserver`]; nothing in them depends on who listens.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::ResponseError;

use super::error::ClientError;
use crate::kafka::types::{
    BrokerId, GenerationId, MemberId, Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition,
};

/// Receives events in the order in which they happen.
pub trait ClientObserver: Send + Sync {
    /// Called with the client's lock held: it must return soon and must not call the client.
    fn observe(&self, event: ClientEvent);
}

/// One attempt at sending one batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchAttempt {
    pub partition: TopicPartition,
    /// `None` without idempotence.
    pub sequence: Option<BatchSequence>,
    pub records: i32,
    /// 1 for the first.
    pub attempt: u32,
}

/// Under which identity a batch went out. It may change between attempts, when the epoch is bumped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchSequence {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
}

/// Why an attempt at sending a batch ended without an acknowledgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttemptFailure {
    /// The broker answered with this error.
    Refused(ResponseError),
    /// The connection was lost after the request had left; nobody knows what the broker did.
    Disconnected,
    /// The connection was lost, or could not take the request, before all of it had left.
    NotSent,
    /// No answer within `request.timeout.ms`.
    TimedOut,
    /// `delivery.timeout.ms` passed; the batch is given up.
    Expired,
    /// The batch was too large for the broker and was cut into smaller ones.
    Split,
    /// The producer was closed or dropped, or met an error that it cannot survive.
    Aborted,
}

/// Why a consumer gave up or lost membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaveCause {
    Closed,
    Unsubscribed,
    /// The application did not poll for `max.poll.interval.ms`.
    PollTimeout,
    /// The coordinator no longer knows this member or its generation.
    Fenced(ResponseError),
}

/// What asked for a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitCause {
    Application,
    /// `auto.commit.interval.ms` passed; seen at the start of a poll.
    Interval,
    /// Before partitions are given up in a rebalance.
    Rebalance,
    Close,
}

/// Where a position without a usable committed offset was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetTo {
    Earliest,
    Latest,
}

/// Offsets by partition, as committed: the offset of the next record to read.
pub type OffsetsByPartition = BTreeMap<TopicPartition, Offset>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientEvent {
    ProducerIdObtained {
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// The producer raised its own epoch after an error in the sequence of these partitions.
    EpochBumped {
        producer_epoch: ProducerEpoch,
        partitions: Vec<TopicPartition>,
    },
    BatchSent(BatchAttempt),
    /// The attempt failed and the batch waits for another.
    BatchRetried {
        batch: BatchAttempt,
        cause: AttemptFailure,
    },
    /// `base_offset` is `None` with `acks = 0` and when `duplicate` is set: the broker had the batch
    /// already and no longer knew where. A duplicate that it still knows is acked like a first attempt.
    BatchAcked {
        batch: BatchAttempt,
        base_offset: Option<Offset>,
        duplicate: bool,
    },
    /// The batch is given up; its sends failed.
    BatchFailed {
        batch: BatchAttempt,
        cause: AttemptFailure,
    },

    /// A JoinGroup was sent.
    Joining {
        reason: String,
    },
    Joined {
        generation: GenerationId,
        member: MemberId,
        assignor: String,
        leader: bool,
        assignment: Vec<TopicPartition>,
    },
    /// Partitions were given up in an orderly way.
    Revoked {
        generation: GenerationId,
        partitions: Vec<TopicPartition>,
    },
    /// Partitions may already belong to another member.
    Lost {
        partitions: Vec<TopicPartition>,
    },
    Assigned {
        generation: GenerationId,
        partitions: Vec<TopicPartition>,
    },
    Left {
        generation: GenerationId,
        member: MemberId,
        cause: LeaveCause,
    },
    CommitSent {
        generation: GenerationId,
        offsets: OffsetsByPartition,
        cause: CommitCause,
    },
    Committed {
        offsets: OffsetsByPartition,
        cause: CommitCause,
    },
    CommitFailed {
        offsets: OffsetsByPartition,
        cause: CommitCause,
        error: ClientError,
    },
    /// A position was set without a committed offset or after it was out of range.
    OffsetReset {
        partition: TopicPartition,
        to: ResetTo,
        offset: Offset,
    },
    /// A position was taken from the committed offset.
    PositionRestored {
        partition: TopicPartition,
        offset: Offset,
    },
    /// The leader sent the consumer to a replica in its own rack.
    ReadsFrom {
        partition: TopicPartition,
        replica: BrokerId,
    },
    /// The broker said that the position is outside of its log.
    OutOfRange {
        partition: TopicPartition,
        position: Offset,
    },
}

/// Events go nowhere without an observer, and are not even built.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<dyn ClientObserver>>);

impl Events {
    pub(crate) fn new(observer: Option<Arc<dyn ClientObserver>>) -> Self {
        Events(observer)
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> ClientEvent) {
        if let Some(observer) = &self.0 {
            observer.observe(event());
        }
    }
}
