//! What a broker tells of its inner life: changes of state as plain data, never a random draw.

use std::sync::Arc;

use uuid::Uuid;

use crate::kafka::{
    coordinator::group::GroupEvent,
    metadata::{Image, MetadataRecord, PartitionImage},
    protocol::batch::{BatchHeader, starts_with_partial},
    replica::ReplicaEvent,
    types::{
        BrokerEpoch, BrokerId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TopicName,
        TopicPartition,
    },
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
        leader_epoch: LeaderEpoch,
        /// Of the batch as the log holds it.
        checksum: u32,
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
        topic_id: Uuid,
        change: ReplicaChange,
    },
    /// Records were deleted, or gave way to time.
    LogStartMoved {
        partition: TopicPartition,
        offset: Offset,
    },
    /// Compaction wrote batches before this offset anew.
    LogCleaned {
        partition: TopicPartition,
        upto: Offset,
    },
    /// This replica of the metadata log voted.
    Voted {
        epoch: LeaderEpoch,
        candidate: BrokerId,
    },
    /// A record of committed metadata, at `offset`, changed what this broker knows.
    Metadata {
        offset: Offset,
        change: MetadataChange,
    },
    /// The broker goes by all metadata before `upto`.
    MetadataApplied {
        upto: Offset,
    },
    /// The disk failed; the broker stops.
    StorageFailed {
        error: String,
    },
}

/// What the controller decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataChange {
    /// A partition came into being, or is another than before.
    Partition {
        partition: TopicPartition,
        topic_id: Uuid,
        before: Option<Arc<PartitionImage>>,
        after: Arc<PartitionImage>,
    },
    TopicRemoved {
        topic: TopicName,
    },
    BrokerRegistered {
        broker: BrokerId,
        epoch: BrokerEpoch,
    },
    BrokerFenced(BrokerId),
    BrokerUnfenced(BrokerId),
}

impl MetadataChange {
    /// What the record changes in the image, as far as anybody wants to know.
    pub(super) fn of(record: &MetadataRecord, image: &Image) -> Option<PendingChange> {
        Some(match record {
            MetadataRecord::Partition { topic_id, partition, .. }
            | MetadataRecord::PartitionChange { topic_id, partition, .. } => {
                let topic = image.topic_by_id(*topic_id)?;
                let id = TopicPartition { topic: topic.name.clone(), partition: *partition };
                let before = topic.partitions.get(partition).cloned();
                PendingChange::Partition { id, topic_id: *topic_id, before }
            }
            MetadataRecord::RemoveTopic { id } => {
                let topic = image.topic_by_id(*id)?.name.clone();
                PendingChange::Known(MetadataChange::TopicRemoved { topic })
            }
            MetadataRecord::RegisterBroker(broker) => {
                let (broker, epoch) = (broker.id, broker.epoch);
                PendingChange::Known(MetadataChange::BrokerRegistered { broker, epoch })
            }
            MetadataRecord::FenceBroker { id, .. } => {
                PendingChange::Known(MetadataChange::BrokerFenced(*id))
            }
            MetadataRecord::UnfenceBroker { id, .. } => {
                PendingChange::Known(MetadataChange::BrokerUnfenced(*id))
            }
            MetadataRecord::RegistrationChange { id, change, .. } => {
                PendingChange::Known(match change.fenced? {
                    true => MetadataChange::BrokerFenced(*id),
                    false => MetadataChange::BrokerUnfenced(*id),
                })
            }
            _ => return None,
        })
    }
}

/// A change before its record is applied to the image.
pub(super) enum PendingChange {
    Partition { id: TopicPartition, topic_id: Uuid, before: Option<Arc<PartitionImage>> },
    Known(MetadataChange),
}

impl PendingChange {
    /// With the image as the record has made it.
    pub fn applied(self, image: &Image) -> Option<MetadataChange> {
        match self {
            PendingChange::Known(change) => Some(change),
            PendingChange::Partition { id: partition, topic_id, before } => {
                let topic = image.topic_by_id(topic_id)?;
                let after = topic.partitions.get(&partition.partition)?.clone();
                Some(MetadataChange::Partition { partition, topic_id, before, after })
            }
        }
    }
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
    /// A batch that another replica had first.
    Replicated(BatchMark),
    /// The leader said that the log parts from its own where this epoch ends in its own.
    Diverged {
        leader: BrokerId,
        epoch: LeaderEpoch,
        end: Offset,
    },
    /// The log that ended at `from` ends at `to`.
    Truncated {
        from: Offset,
        to: Offset,
    },
    /// The log is empty, and goes on here.
    Restarted {
        at: Offset,
    },
    Isr(ReplicaEvent),
}

/// Where a batch is in a log, and what tells it from any other there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchMark {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub checksum: u32,
}

impl From<&BatchHeader> for BatchMark {
    fn from(header: &BatchHeader) -> Self {
        BatchMark {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            leader_epoch: header.leader_epoch,
            checksum: header.crc,
        }
    }
}

/// The whole batches among what was fetched.
pub(super) fn marks(records: &[u8]) -> impl Iterator<Item = BatchMark> {
    let mut rest = records;
    std::iter::from_fn(move || {
        if starts_with_partial(rest) {
            return None;
        }
        let header = BatchHeader::parse(rest).ok()?;
        rest = rest.get(header.size()..)?;
        Some(BatchMark::from(&header))
    })
}

/// Receives events in the order in which they happen. Called from within the broker's work: it must
/// return soon and must not call the broker.
pub trait Observer: Send + Sync {
    fn observe(&self, event: Event);
}
