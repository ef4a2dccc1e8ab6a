//! A broker's own tale as history events.

use crate::{
    kafka::broker::{Event, Observer},
    testbed::{
        cluster::Stage,
        history::{EventKind, NodeName},
    },
};

/// Writes one broker's events into the history.
pub(super) struct BrokerJournal {
    stage: Stage,
    node: NodeName,
}

impl BrokerJournal {
    pub fn new(stage: Stage, node: NodeName) -> Self {
        BrokerJournal { stage, node }
    }

    /// The broker ended by itself.
    pub fn died(&self, error: &str) {
        let kind = EventKind::StorageFailed { error: error.into() };
        self.stage.record(&self.node, None, kind);
    }
}

impl Observer for BrokerJournal {
    fn observe(&self, event: Event) {
        let kind = match event {
            Event::Started => EventKind::BrokerStarted,
            Event::LogRecovered { partition, end, cut_bytes } => {
                EventKind::LogRecovered { partition, end, cut_bytes }
            }
            Event::Appended {
                partition,
                base_offset,
                last_offset,
                producer_id,
                base_sequence,
                ..
            } => EventKind::Appended {
                partition,
                base_offset,
                records: u32::try_from(last_offset - base_offset + 1).unwrap_or(u32::MAX),
                producer_id: producer_id.0,
                base_sequence: base_sequence.0,
            },
            Event::Deduplicated { partition, base_offset } => {
                EventKind::Deduplicated { partition, base_offset, base_sequence: -1 }
            }
            Event::AppendRejected { partition, error } => {
                EventKind::AppendRejected { partition, error: error.into() }
            }
            // Histories do not tell of replicas yet.
            Event::Replica { .. } => return,
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
