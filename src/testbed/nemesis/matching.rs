//! Which events a trigger means.

use crate::{
    kafka::types::TopicPartition,
    testbed::{
        history::{Event, EventKind, NodeName, Outcome},
        plan::{EventName, RecordAt},
    },
};

/// A condition on events: the `count`-th match makes it true.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    pub event: EventName,
    /// A machine (`billing/1`), an actor (`billing`), a topic or a partition; anybody if absent.
    pub of: Option<String>,
    pub record: Option<RecordAt>,
    pub count: u64,
    seen: u64,
}

impl Watch {
    pub fn new(event: EventName, of: Option<String>, record: Option<RecordAt>, count: u64) -> Self {
        Watch { event, of, record, count, seen: 0 }
    }

    /// Whether it is an event of the kind waited for.
    pub fn wants(&self, event: &Event) -> bool {
        name_of(&event.kind) == Some(self.event)
    }

    /// Counts the event if it matches; true on the match that completes the count.
    pub fn hears(&mut self, event: &Event) -> bool {
        if name_of(&event.kind) != Some(self.event)
            || !self.of.as_deref().is_none_or(|of| concerns(event, of))
            || !self.record.as_ref().is_none_or(|record| touches(&event.kind, record))
        {
            return false;
        }
        self.seen += 1;
        self.seen == self.count
    }

    /// How close it came: `acked reached 19 of 25`.
    pub fn progress(&self) -> String {
        let name = serde_json::to_value(self.event).expect("an event name is a string");
        let name = name.as_str().expect("an event name is a string").to_owned();
        let of = self.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
        let record = self.record.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        format!("{name}{of}{record} reached {} of {}", self.seen, self.count)
    }
}

/// The name under which scenario files know an event.
pub(super) fn name_of(kind: &EventKind) -> Option<EventName> {
    Some(match kind {
        EventKind::Sent { .. } => EventName::Sent,
        EventKind::Appended { .. } => EventName::Appended,
        EventKind::SendEnded { outcome: Outcome::Ok, .. } => EventName::Acked,
        EventKind::SendEnded { .. } => EventName::Failed,
        EventKind::ProducerDone { .. } => EventName::Done,
        EventKind::Polled { .. } => EventName::Polled,
        EventKind::Processing { .. } => EventName::Processing,
        EventKind::Processed { .. } => EventName::Processed,
        EventKind::CommitEnded { outcome: Outcome::Ok, .. } => EventName::Committed,
        EventKind::CommitEnded { .. } => EventName::CommitFailed,
        EventKind::Joined { .. } => EventName::Joined,
        EventKind::PositionSet { .. } => EventName::Positioned,
        EventKind::LeftGroup { .. } => EventName::Left,
        EventKind::Generation { .. } => EventName::Rebalanced,
        EventKind::MachineStarted { .. } => EventName::Started,
        EventKind::LogRecovered { cut_bytes: 1.., .. } => EventName::Truncated,
        EventKind::LogTruncated { .. } => EventName::Truncated,
        // The same leader in a new epoch is no election to wait for.
        EventKind::Elected { leader: Some(leader), was, .. } if Some(leader) != was.as_ref() => {
            EventName::Elected
        }
        EventKind::Leads { partition, .. } if is_metadata(partition) => {
            EventName::ControllerElected
        }
        EventKind::Leads { .. } => EventName::Leads,
        EventKind::Replicated { partition, .. } if !is_metadata(partition) => EventName::Replicated,
        EventKind::Diverged { partition, .. } if !is_metadata(partition) => EventName::Diverged,
        EventKind::IsrChangeAsked { .. } => EventName::IsrChangeAsked,
        EventKind::IsrShrunk { .. } => EventName::IsrShrunk,
        EventKind::IsrGrown { .. } => EventName::IsrGrown,
        EventKind::BrokerFenced { .. } => EventName::Fenced,
        EventKind::BrokerUnfenced { .. } => EventName::Unfenced,
        EventKind::Error { .. } | EventKind::ProcessingFailed { .. } => EventName::Error,
        _ => return None,
    })
}

/// Whether the event happened to that machine, actor, group, topic or partition.
fn concerns(event: &Event, of: &str) -> bool {
    if let Some(brokers) = controllers_word(&event.kind) {
        // Whoever reads it first tells it: the event is not that broker's.
        return brokers.iter().any(|broker| &***broker == of) || is_of_partition(&event.kind, of);
    }
    let node = &*event.node;
    if node == of || node.strip_prefix(of).is_some_and(|rest| rest.starts_with('/')) {
        return true;
    }
    match &event.kind {
        EventKind::Generation { group, .. } => &**group == of,
        EventKind::Sent { topic, .. } => &**topic == of,
        kind => is_of_partition(kind, of),
    }
}

/// Brokers that a decision of the controller is about; `None` for what is not the controller's to decide.
fn controllers_word(kind: &EventKind) -> Option<Vec<&NodeName>> {
    match kind {
        EventKind::Elected { leader, .. } => Some(leader.iter().collect()),
        EventKind::IsrShrunk { isr, was, .. } => {
            Some(was.iter().filter(|broker| !isr.contains(broker)).collect())
        }
        EventKind::IsrGrown { isr, was, .. } => {
            Some(isr.iter().filter(|broker| !was.contains(broker)).collect())
        }
        EventKind::BrokerFenced { broker } | EventKind::BrokerUnfenced { broker } => {
            Some(vec![broker])
        }
        _ => None,
    }
}

/// Whether the event is about that partition, or one of that topic.
fn is_of_partition(kind: &EventKind, of: &str) -> bool {
    match kind {
        EventKind::Appended { partition, .. }
        | EventKind::Replicated { partition, .. }
        | EventKind::LogTruncated { partition, .. }
        | EventKind::Diverged { partition, .. }
        | EventKind::Leads { partition, .. }
        | EventKind::Elected { partition, .. }
        | EventKind::IsrChangeAsked { partition, .. }
        | EventKind::IsrShrunk { partition, .. }
        | EventKind::IsrGrown { partition, .. }
        | EventKind::LogRecovered { partition, .. }
        | EventKind::PositionSet { partition, .. }
        | EventKind::Processing { partition, .. }
        | EventKind::Processed { partition, .. }
        | EventKind::SendEnded { partition: Some(partition), .. } => {
            partition.topic.as_str() == of || partition.to_string() == of
        }
        _ => false,
    }
}

pub(super) fn is_metadata(partition: &TopicPartition) -> bool {
    partition.topic.as_str() == "__cluster_metadata"
}

/// Whether the event has to do with that record; a commit does if it covers it.
fn touches(kind: &EventKind, record: &RecordAt) -> bool {
    match kind {
        EventKind::Appended { partition, base_offset, records, .. }
        | EventKind::Replicated { partition, base_offset, records, .. } => {
            *partition == record.partition
                && (*base_offset..*base_offset + i64::from(*records)).contains(&record.offset)
        }
        EventKind::SendEnded { partition, offset, .. } => {
            partition.as_ref() == Some(&record.partition) && *offset == record.offset
        }
        EventKind::Polled { records } => {
            records.iter().any(|at| at.partition == record.partition && at.offset == record.offset)
        }
        EventKind::Processing { partition, offset, .. }
        | EventKind::Processed { partition, offset, .. }
        | EventKind::ProcessingFailed { partition, offset, .. } => {
            *partition == record.partition && *offset == record.offset
        }
        EventKind::CommitEnded { offsets, .. } => offsets
            .iter()
            .any(|reach| reach.partition == record.partition && reach.offset > record.offset),
        _ => false,
    }
}
