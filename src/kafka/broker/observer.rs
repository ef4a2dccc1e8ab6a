//! What a broker tells of its inner life: changes of state as plain data, never a random draw.

use crate::kafka::{
    coordinator::group::GroupEvent,
    types::{Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition},
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
    /// The disk failed; the broker stops.
    StorageFailed {
        error: String,
    },
}

/// Receives events in the order in which they happen. Called from within the broker's work: it must
/// return soon and must not call the broker.
pub trait Observer: Send + Sync {
    fn observe(&self, event: Event);
}
