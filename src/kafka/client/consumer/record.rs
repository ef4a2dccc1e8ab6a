//! What an application reads.

use bytes::Bytes;

use crate::kafka::{
    protocol::batch::{Record, RecordHeader},
    types::{LeaderEpoch, Offset, Timestamp, TopicPartition},
};

/// One record; key and value are slices of the fetched frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsumerRecord {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub leader_epoch: LeaderEpoch,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<RecordHeader>,
}

impl ConsumerRecord {
    pub(crate) fn new(record: Record, leader_epoch: LeaderEpoch) -> Self {
        ConsumerRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            leader_epoch,
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }
}

/// Records of one partition, in offset order, without gaps in what was asked (but offsets may jump over
/// what is not for applications).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionRecords {
    pub partition: TopicPartition,
    pub records: Vec<ConsumerRecord>,
    /// The position after these records: what committing them commits.
    pub next_offset: Offset,
}

/// What one poll returned.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConsumerRecords {
    /// In the order of fetching; a partition may appear once only.
    pub partitions: Vec<PartitionRecords>,
}

impl ConsumerRecords {
    pub fn count(&self) -> usize {
        self.partitions.iter().map(|partition| partition.records.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// All records, partition by partition.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &ConsumerRecord)> {
        self.partitions.iter().flat_map(|partition| {
            partition.records.iter().map(|record| (&partition.partition, record))
        })
    }
}
