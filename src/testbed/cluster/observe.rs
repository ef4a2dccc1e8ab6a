//! A broker's own tale as history events.

use crate::{
    kafka::{
        broker::{Event, MetadataChange, Observer, ReplicaChange},
        metadata::METADATA_TOPIC,
        types::{Offset, TopicPartition},
    },
    testbed::{
        cluster::{
            Stage,
            brokers::machine_name,
            contents::contents,
            metadata_events::{self, MetadataTold},
            replica_events,
        },
        history::{EventKind, NodeName},
    },
};

/// Writes one broker's events into the history.
pub(super) struct BrokerJournal {
    stage: Stage,
    node: NodeName,
    told: MetadataTold,
}

impl BrokerJournal {
    pub fn new(stage: Stage, node: NodeName, told: MetadataTold) -> Self {
        BrokerJournal { stage, node, told }
    }

    /// The broker ended by itself.
    pub fn died(&self, error: &str) {
        let kind = EventKind::StorageFailed { error: error.into() };
        self.stage.record(&self.node, None, kind);
    }

    /// Every broker reads every record; the first one tells of it.
    fn metadata(&self, offset: Offset, change: MetadataChange) {
        if self.told.is_news(offset) {
            for kind in metadata_events::kinds_of(change) {
                self.stage.record(&self.node, None, kind);
            }
        }
    }

    /// What a log holds after a power loss is not what was told of it before.
    fn recovered(&self, partition: TopicPartition, end: Offset, cut_bytes: u64) {
        let batches = contents(&self.stage.world.disk(&self.node), &partition);
        let found = partition.clone();
        self.stage.record(&self.node, None, EventKind::LogRecovered { partition, end, cut_bytes });
        if !batches.is_empty() {
            let kind = EventKind::LogContents { partition: found, batches };
            self.stage.record(&self.node, None, kind);
        }
    }
}

impl Observer for BrokerJournal {
    fn observe(&self, event: Event) {
        let kind = match event {
            Event::Started => EventKind::BrokerStarted,
            Event::LogRecovered { partition, end, cut_bytes } => {
                return self.recovered(partition, end, cut_bytes);
            }
            Event::Appended {
                partition,
                base_offset,
                last_offset,
                leader_epoch,
                checksum,
                producer_id,
                base_sequence,
                ..
            } => EventKind::Appended {
                partition,
                base_offset,
                records: u32::try_from(last_offset - base_offset + 1).unwrap_or(u32::MAX),
                epoch: leader_epoch.0,
                checksum,
                producer_id: producer_id.0,
                base_sequence: base_sequence.0,
            },
            Event::Deduplicated { partition, base_offset } => {
                EventKind::Deduplicated { partition, base_offset, base_sequence: -1 }
            }
            Event::AppendRejected { partition, error } => {
                EventKind::AppendRejected { partition, error: error.into() }
            }
            Event::Replica { partition, topic_id, change } => {
                if let ReplicaChange::Leads { start, .. } = change
                    && partition.topic.as_str() == METADATA_TOPIC
                {
                    self.told.goes_on_from(start);
                }
                replica_events::kind_of(partition, topic_id, change)
            }
            Event::LogStartMoved { partition, offset } => {
                EventKind::LogStartMoved { partition, offset }
            }
            Event::Voted { epoch, candidate } => {
                EventKind::Voted { epoch: epoch.0, candidate: machine_name(candidate) }
            }
            Event::MetadataApplied { upto } => EventKind::MetadataApplied { upto },
            Event::Metadata { offset, change } => return self.metadata(offset, change),
            Event::LogCleaned { partition, upto } => EventKind::LogCleaned { partition, upto },
            Event::Flushed { partition, upto } => EventKind::Flushed { partition, upto },
            Event::StorageFailed { error } => EventKind::StorageFailed { error: error.into() },
            Event::Group(event) => match super::group_events::kind_of(event) {
                Some(kind) => kind,
                None => return,
            },
        };
        self.stage.record(&self.node, None, kind);
    }
}
