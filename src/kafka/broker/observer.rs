//! What a broker tells of its inner life: changes of state as plain data, never a random draw.

use crate::kafka::{
    coordinator::group::GroupEvent,
    replica::ReplicaEvent,
    types::{BrokerId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition},
};

#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Logs are recovered and the broker listens.
    Started,
    /// A log was opened after a start. `cut_bytes` of a torn end were removed.
    LogRecovered {
        partition: TopicPartition,
        end: Offset,
        cut_bytes: u64,
    },
    Appended {
        partition: TopicPartition,
        base_offset: Offset,
        last_offset: Offset,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        base_sequence: Sequence,
    },
    /// A retry was recognised and answered with the offsets of the first append.
    Deduplicated {
        partition: TopicPartition,
        base_offset: Offset,
    },
    AppendRejected {
        partition: TopicPartition,
        error: String,
    },
    Flushed {
        partition: TopicPartition,
        upto: Offset,
    },
    Group(GroupEvent),
    /// Of a partition with more replicas than one.
    Replica {
        partition: TopicPartition,
        change: ReplicaChange,
    },
    /// The disk failed; the broker stops.
    StorageFailed {
        error: String,
    },
}

/// What happened to this broker's replica of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplicaChange {
    /// It leads; its epoch begins here in its log.
    Leads {
        epoch: LeaderEpoch,
        start: Offset,
    },
    Follows {
        leader: Option<BrokerId>,
        epoch: LeaderEpoch,
    },
    HighWatermark(Offset),
    /// The log that ended at `from` ends at `to`.
    Truncated {
        from: Offset,
        to: Offset,
    },
    Isr(ReplicaEvent),
}

/// Receives events in the order in which they happen. Called from within the broker's work: it must
/// return soon and must not call the broker.
pub trait Observer: Send + Sync {
    fn observe(&self, event: Event);
}
