//! One pass over a history, after which every checker finds what it needs by lookup.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{
        Event, EventId, EventKind, History, Ledgers, LoggedRecord, Loss, NodeName, Outcome,
        RecordId,
    },
};

/// A send that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Acked<'a> {
    pub record: &'a RecordId,
    pub partition: &'a TopicPartition,
    /// -1 where the broker did not say.
    pub offset: Offset,
    pub event: EventId,
}

/// A partition's log as read back at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct FinalLog<'a> {
    pub start: Offset,
    pub end: Offset,
    /// In offset order.
    pub records: &'a [LoggedRecord],
    pub event: EventId,
}

impl<'a> FinalLog<'a> {
    pub fn at(&self, offset: Offset) -> Option<&'a LoggedRecord> {
        let index = self.records.binary_search_by_key(&offset, |record| record.offset).ok()?;
        Some(&self.records[index])
    }

    /// The workload's records from `from` up to `to`, without the latter.
    pub fn between(&self, from: Offset, to: Offset) -> &'a [LoggedRecord] {
        let first = self.records.partition_point(|record| record.offset < from);
        let last = self.records.partition_point(|record| record.offset < to);
        &self.records[first..last.max(first)]
    }
}

/// What all checkers look up.
pub struct Index<'a> {
    pub history: &'a History,
    pub(super) ledgers: Ledgers,
    pub(super) acked: Vec<Acked<'a>>,
    pub(super) logs: BTreeMap<&'a TopicPartition, FinalLog<'a>>,
    /// When each attempt at a record was sent.
    pub(super) sent: HashMap<&'a RecordId, EventId>,
    /// Batches sent again, by machine, in order.
    pub(super) retries: BTreeMap<&'a NodeName, Vec<&'a Event>>,
    /// Ends of machines, by machine, in order.
    pub(super) stops: BTreeMap<&'a NodeName, Vec<(EventId, Loss)>>,
    /// Events by which partitions of a group change hands, by group, in order.
    pub(super) rebalances: BTreeMap<&'a str, Vec<EventId>>,
    /// Positions set by the members of a group, by group and partition, in order.
    pub(super) positions: BTreeMap<(&'a str, &'a TopicPartition), Vec<&'a Event>>,
    /// Commits of the members of a group that succeeded and what they cover, in order.
    pub(super) commits: BTreeMap<(&'a str, &'a TopicPartition), Vec<(&'a Event, Offset)>>,
    /// Faults on links, disks and clocks.
    pub(super) faults: Vec<&'a Event>,
    group_of: HashMap<&'a str, &'a str>,
    /// Bound or bug that ended the trial early.
    pub(super) cut_short: Option<&'a Event>,
}

impl<'a> Index<'a> {
    pub fn of(history: &'a History) -> Self {
        let members = history.setup.groups.iter();
        let group_of = members
            .flat_map(|(name, group)| group.members.iter().map(move |m| (&**m, &**name)))
            .collect();
        let mut index = Index {
            history,
            ledgers: Ledgers::of(history),
            acked: Vec::new(),
            logs: BTreeMap::new(),
            sent: HashMap::new(),
            retries: BTreeMap::new(),
            stops: BTreeMap::new(),
            rebalances: BTreeMap::new(),
            positions: BTreeMap::new(),
            commits: BTreeMap::new(),
            faults: Vec::new(),
            group_of,
            cut_short: None,
        };
        history.events.iter().for_each(|event| index.take(event));
        index
    }

    fn take(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::Sent { record, .. } => {
                self.sent.insert(record, event.id);
            }
            EventKind::SendEnded {
                record,
                outcome: Outcome::Ok,
                partition: Some(partition),
                offset,
            } => {
                self.acked.push(Acked { record, partition, offset: *offset, event: event.id });
            }
            EventKind::BatchRetried { .. } => {
                self.retries.entry(&event.node).or_default().push(event);
            }
            EventKind::MachineStopped { loss } => {
                self.stops.entry(&event.node).or_default().push((event.id, *loss));
            }
            EventKind::Generation { group, .. } | EventKind::RebalanceStarted { group, .. } => {
                self.rebalances.entry(group).or_default().push(event.id);
            }
            EventKind::Revoked { .. } | EventKind::Lost { .. } | EventKind::LeftGroup { .. } => {
                if let Some(group) = self.group_of(&event.node) {
                    self.rebalances.entry(group).or_default().push(event.id);
                }
            }
            EventKind::PositionSet { partition, .. } => {
                if let Some(group) = self.group_of(&event.node) {
                    self.positions.entry((group, partition)).or_default().push(event);
                }
            }
            EventKind::CommitEnded { outcome: Outcome::Ok, offsets, .. } => {
                let Some(group) = self.group_of(&event.node) else { return };
                for reach in offsets {
                    let commits = self.commits.entry((group, &reach.partition)).or_default();
                    commits.push((event, reach.offset));
                }
            }
            EventKind::Fault { .. } => self.faults.push(event),
            EventKind::FinalLog { partition, start, end, records } => {
                let log = FinalLog { start: *start, end: *end, records, event: event.id };
                self.logs.insert(partition, log);
            }
            EventKind::NoProgress { .. } | EventKind::Crashed { .. } => {
                self.cut_short.get_or_insert(event);
            }
            _ => {}
        }
    }

    /// The group, or reader, whose member runs on the machine.
    pub(super) fn group_of(&self, node: &str) -> Option<&'a str> {
        self.group_of.get(node).copied()
    }

    /// When the record was sent; `None` for one nobody sent.
    pub(super) fn sent(&self, record: &RecordId) -> Option<EventId> {
        self.sent.get(record).copied()
    }

    /// The first end of the machine after `from` and before `to`.
    pub(super) fn stop_between(&self, node: &str, from: EventId, to: EventId) -> Option<EventId> {
        let stops = self.stops.get(&NodeName::from(node))?;
        let first = stops.partition_point(|(id, _)| *id <= from);
        stops.get(first).map(|(id, _)| *id).filter(|id| *id < to)
    }

    /// The first change of hands in the group after `from` and before `to`.
    pub(super) fn rebalance_between(
        &self,
        group: &str,
        from: EventId,
        to: EventId,
    ) -> Option<EventId> {
        let events = self.rebalances.get(group)?;
        let first = events.partition_point(|id| *id <= from);
        events.get(first).copied().filter(|id| *id < to)
    }

    /// The last time before `to` that a member of the group set its position in the partition.
    pub(super) fn position_before(
        &self,
        group: &str,
        partition: &TopicPartition,
        to: EventId,
    ) -> Option<&'a Event> {
        let events = self.positions.get(&(group, partition))?;
        let after = events.partition_point(|event| event.id < to);
        events.get(after.checked_sub(1)?).copied()
    }

    /// Topics a group reads.
    pub(super) fn topics_of(&self, group: &str) -> &'a [Arc<str>] {
        self.history.setup.groups.get(group).map_or(&[], |group| &group.topics)
    }

    /// Whether a partition is what `of` names: itself or its topic.
    pub(super) fn is_of(partition: &TopicPartition, of: &str) -> bool {
        partition.topic.as_str() == of || partition.to_string() == of
    }

    /// Why guarantees that need the end of the trial cannot be judged.
    pub(super) fn no_end(&self) -> Option<Arc<str>> {
        match self.cut_short {
            Some(Event { kind: EventKind::NoProgress { what }, .. }) => {
                Some(format!("the trial did not come to its end: {what}").into())
            }
            Some(_) => Some("the trial crashed".into()),
            None if self.logs.is_empty() => Some("the logs were not read back".into()),
            None => None,
        }
    }
}
