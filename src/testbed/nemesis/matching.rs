//! Which events a trigger means.

use crate::testbed::{
    history::{Event, EventKind, Outcome},
    plan::{EventName, RecordAt},
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
        EventKind::Error { .. } | EventKind::ProcessingFailed { .. } => EventName::Error,
        _ => return None,
    })
}

/// Whether the event happened to that machine, actor, group, topic or partition.
fn concerns(event: &Event, of: &str) -> bool {
    let node = &*event.node;
    if node == of || node.strip_prefix(of).is_some_and(|rest| rest.starts_with('/')) {
        return true;
    }
    match &event.kind {
        EventKind::Generation { group, .. } => &**group == of,
        EventKind::Appended { partition, .. }
        | EventKind::LogRecovered { partition, .. }
        | EventKind::PositionSet { partition, .. }
        | EventKind::Processing { partition, .. }
        | EventKind::Processed { partition, .. }
        | EventKind::SendEnded { partition: Some(partition), .. } => {
            partition.topic.as_str() == of || partition.to_string() == of
        }
        EventKind::Sent { topic, .. } => &**topic == of,
        _ => false,
    }
}

/// Whether the event has to do with that record; a commit does if it covers it.
fn touches(kind: &EventKind, record: &RecordAt) -> bool {
    match kind {
        EventKind::Appended { partition, base_offset, records, .. } => {
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
