//! One pass over a history, after which every checker finds what it needs by lookup.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{faults::FaultModel, replicas::Scene};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{
        CommitKind, Delivery, Event, EventId, EventKind, History, Ledgers, LoggedRecord, Loss,
        NodeName, OffsetReach, Outcome, RecordId,
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

    /// Whether every record that it ever got is there, as far as its ends tell.
    pub fn is_whole(&self) -> bool {
        self.start == Offset(0) && self.records.len() as i64 == self.end - self.start
    }

    /// The workload's records from `from` up to `to`, without the latter.
    pub fn between(&self, from: Offset, to: Offset) -> &'a [LoggedRecord] {
        let first = self.records.partition_point(|record| record.offset < from);
        let last = self.records.partition_point(|record| record.offset < to);
        &self.records[first..last.max(first)]
    }
}

/// A commit that is in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commit<'a> {
    pub event: EventId,
    /// Who made it.
    pub member: &'a str,
    pub upto: Offset,
    /// Whether it is the one that `close()` makes.
    pub closing: bool,
}

/// What one consumer's program did, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Doings {
    pub polls: Vec<EventId>,
    /// Records the handler began.
    pub begun: Vec<EventId>,
    /// Records the handler failed on.
    pub failures: Vec<EventId>,
    /// The kind of its last commit.
    committing: Option<CommitKind>,
}

/// The first of these ascending events after `from`.
pub(super) fn first_after(events: &[EventId], from: EventId) -> Option<EventId> {
    events.get(events.partition_point(|id| *id <= from)).copied()
}

/// What all checkers look up.
pub struct Index<'a> {
    pub history: &'a History,
    pub(super) ledgers: Ledgers,
    pub(super) acked: Vec<Acked<'a>>,
    pub(super) logs: BTreeMap<&'a TopicPartition, FinalLog<'a>>,
    /// When each attempt at a record was sent.
    pub(super) sent: HashMap<&'a RecordId, EventId>,
    /// When each attempt's outcome was known.
    ended: HashMap<&'a RecordId, EventId>,
    /// Batches sent again, by machine, in order.
    pub(super) retries: BTreeMap<&'a NodeName, Vec<&'a Event>>,
    /// Ends of machines, by machine, in order.
    pub(super) stops: BTreeMap<&'a NodeName, Vec<(EventId, Loss)>>,
    /// Events by which partitions of a group change hands, by group, in order.
    pub(super) rebalances: BTreeMap<&'a str, Vec<EventId>>,
    /// Positions set by the members of a group, by group and partition, in order.
    pub(super) positions: BTreeMap<(&'a str, &'a TopicPartition), Vec<&'a Event>>,
    /// Commits of a group by partition, as its coordinator accepted them and as its members heard of
    /// it, in order.
    pub(super) commits: BTreeMap<(&'a str, &'a TopicPartition), Vec<Commit<'a>>>,
    pub(super) fault_model: FaultModel,
    /// Faults on links, disks, clocks and handlers.
    pub(super) faults: Vec<&'a Event>,
    /// Recoveries by partition, in order: the event and where the log then ended.
    pub(super) recoveries: BTreeMap<&'a TopicPartition, Vec<(EventId, Offset)>>,
    /// What consumers did, by machine.
    pub(super) doings: HashMap<&'a str, Doings>,
    /// Records given to workers, by group: when first.
    pub(super) handed_off: HashMap<(&'a str, &'a TopicPartition, Offset), EventId>,
    /// Records the handler failed on, by group: when last.
    pub(super) failed: HashMap<(&'a str, &'a TopicPartition, Offset), EventId>,
    group_of: HashMap<&'a str, &'a str>,
    /// Replicas and the quorum.
    pub(super) scene: Scene<'a>,
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
            ended: HashMap::new(),
            retries: BTreeMap::new(),
            stops: BTreeMap::new(),
            rebalances: BTreeMap::new(),
            positions: BTreeMap::new(),
            commits: BTreeMap::new(),
            fault_model: FaultModel::of(history),
            faults: Vec::new(),
            recoveries: BTreeMap::new(),
            doings: HashMap::new(),
            handed_off: HashMap::new(),
            failed: HashMap::new(),
            group_of,
            scene: Scene::of(history),
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
            EventKind::SendEnded { record, outcome, partition, offset } => {
                self.ended.insert(record, event.id);
                if let (Outcome::Ok, Some(partition)) = (outcome, partition) {
                    self.acked.push(Acked { record, partition, offset: *offset, event: event.id });
                }
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
                if let Some(group) = self.group_of(&event.node) {
                    self.take_commit(event, group, &event.node, offsets);
                }
            }
            EventKind::OffsetsCommitted { group, client, offsets } => {
                self.take_commit(event, group, client, offsets);
            }
            EventKind::LogRecovered { partition, end, .. } => {
                self.recoveries.entry(partition).or_default().push((event.id, *end));
            }
            EventKind::Fault { .. } => self.faults.push(event),
            EventKind::FinalLog { partition, start, end, records } => {
                let log = FinalLog { start: *start, end: *end, records, event: event.id };
                self.logs.insert(partition, log);
            }
            EventKind::NoProgress { .. } | EventKind::Crashed { .. } => {
                self.cut_short.get_or_insert(event);
            }
            _ => self.take_doing(event),
        }
    }

    /// What a consumer's application does.
    fn take_doing(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::CommitInvoked { kind, .. } => {
                self.doings.entry(&event.node).or_default().committing = Some(*kind);
            }
            EventKind::Polled { .. } => {
                self.doings.entry(&event.node).or_default().polls.push(event.id);
            }
            EventKind::Processing { .. } => {
                self.doings.entry(&event.node).or_default().begun.push(event.id);
            }
            EventKind::ProcessingFailed { partition, offset, .. } => {
                self.doings.entry(&event.node).or_default().failures.push(event.id);
                if let Some(group) = self.group_of(&event.node) {
                    self.failed.insert((group, partition, *offset), event.id);
                }
            }
            EventKind::HandedOff { partition, offset } => {
                if let Some(group) = self.group_of(&event.node) {
                    self.handed_off.entry((group, partition, *offset)).or_insert(event.id);
                }
            }
            _ => {}
        }
    }

    fn take_commit(
        &mut self,
        event: &'a Event,
        group: &'a str,
        member: &'a str,
        offsets: &'a [OffsetReach],
    ) {
        let closing = self
            .doings
            .get(member)
            .is_some_and(|doings| doings.committing == Some(CommitKind::Close));
        for OffsetReach { partition, offset } in offsets {
            let commit = Commit { event: event.id, member, upto: *offset, closing };
            self.commits.entry((group, partition)).or_default().push(commit);
        }
    }

    /// The group, or reader, whose member runs on the machine.
    pub(super) fn group_of(&self, node: &str) -> Option<&'a str> {
        self.group_of.get(node).copied()
    }

    /// The workload's records as polls returned them to the group, each with its poll.
    pub(super) fn delivered_to(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&'a Event, &'a Delivery, &'a RecordId)> {
        let polls =
            self.history.events.iter().filter(move |it| self.group_of(&it.node) == Some(group));
        polls.flat_map(|event| {
            let records = match &event.kind {
                EventKind::Polled { records } => &records[..],
                _ => &[],
            };
            records.iter().filter_map(move |it| Some((event, it, it.record.as_ref()?)))
        })
    }

    /// When the record was sent; `None` for one nobody sent.
    pub(super) fn sent(&self, record: &RecordId) -> Option<EventId> {
        self.sent.get(record).copied()
    }

    /// The first batch of the producer for the partition that was sent again between the send of the
    /// record and the answer to it.
    pub(super) fn retry_of(&self, id: &RecordId, partition: &TopicPartition) -> Option<&'a Event> {
        let sent = self.sent(id)?;
        let retries = self.retries.get(&id.producer)?;
        let later = &retries[retries.partition_point(|event| event.id <= sent)..];
        let ended = self.ended.get(id).copied().unwrap_or(EventId(u32::MAX));
        let of_partition = |event: &&&Event| matches!(&event.kind, EventKind::BatchRetried { partition: p, .. } if p == partition);
        later.iter().take_while(|event| event.id < ended).find(of_partition).copied()
    }

    /// The last time before `to` that the record's producer sent a batch again since it sent the record, and
    /// after which error.
    pub(super) fn last_retry(&self, id: &RecordId, to: EventId) -> Option<(EventId, &'a str)> {
        let sent = self.sent(id)?;
        let retries = self.retries.get(&id.producer)?;
        let before = &retries[..retries.partition_point(|event| event.id < to)];
        let event = before.last().filter(|event| event.id > sent)?;
        match &event.kind {
            EventKind::BatchRetried { error, .. } => Some((event.id, error)),
            _ => None,
        }
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

    /// Whether a partition is what `of` names: itself or its topic. Asked for every record: no text is made.
    pub(super) fn is_of(partition: &TopicPartition, of: &str) -> bool {
        let Some(rest) = of.strip_prefix(partition.topic.as_str()) else { return false };
        let number = || rest.strip_prefix('-')?.parse::<i32>().ok();
        rest.is_empty() || number().is_some_and(|number| number == partition.partition)
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
