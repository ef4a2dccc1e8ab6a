//! How often each record of a group's topics was done, and why it was done too often or never.
//!
//! *Done* is processed or has an effect, as the guarantee asks. The records a group owes are the acked
//! ones of its topics that are in the log at the end; also those that lay there before it first looked,
//! so that a group which began at the log's end is told what it passed over.

use std::collections::BTreeMap;

use super::{
    index::Index,
    verdict::{Evidence, Verdict, Violation, at, ranges},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{CommitKind, Entry, Event, EventId, EventKind, Outcome},
        plan::Cause,
    },
};

/// One of a group's ledgers, with what its breaches are called.
pub(super) struct Ledger<'a> {
    index: &'a Index<'a>,
    group: &'a str,
    /// The events that did a record.
    done: fn(&Entry) -> &[EventId],
    /// How many of them the guarantee can see: 1 where a repetition overwrites.
    visible: usize,
    verb: &'static str,
}

/// Records that were never done, by why.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Missing<'a> {
    partition: &'a TopicPartition,
    cause: Cause,
    /// The event that passed them over: a commit, a position, a failure.
    passed: Option<EventId>,
}

impl<'a> Ledger<'a> {
    pub fn processed(index: &'a Index<'a>, group: &'a str) -> Self {
        Ledger {
            index,
            group,
            done: |entry| &entry.processed,
            visible: usize::MAX,
            verb: "processed",
        }
    }

    pub fn effects(index: &'a Index<'a>, group: &'a str, visible: usize) -> Self {
        Ledger { index, group, done: |entry| &entry.effects, visible, verb: "effected" }
    }

    pub fn at_most_once(&self) -> Verdict {
        let mut examined = 0;
        // One violation per partition, cause and pair of machines' lives, so that one chain tells all.
        let mut repeated: BTreeMap<
            (&TopicPartition, Cause, Option<EventId>),
            Vec<(Offset, EventId, EventId)>,
        > = BTreeMap::new();
        for (partition, entries) in self.index.ledgers.group(self.group).into_iter().flatten() {
            for (offset, entry) in entries {
                let done = (self.done)(entry);
                examined += u64::from(!done.is_empty());
                if done.len().min(self.visible) > 1 {
                    let (cause, broke) = self.why_again(partition, done[0], done[1]);
                    let key = (partition, cause, broke);
                    repeated.entry(key).or_default().push((*offset, done[0], done[1]));
                }
            }
        }
        let violation = |((partition, cause, broke), records): (_, Vec<_>)| {
            self.repetition(partition, cause, broke, &records)
        };
        let violations = repeated.into_iter().map(violation).collect();
        Verdict::of(examined, violations, "no record was processed")
    }

    /// Why a record done at `first` was done again at `second`, and the event that led to it.
    fn why_again(
        &self,
        partition: &TopicPartition,
        first: EventId,
        second: EventId,
    ) -> (Cause, Option<EventId>) {
        let node = &self.index.history.event(first).node;
        if let Some(stop) = self.index.stop_between(node, first, second) {
            return (Cause::ReprocessedAfterRestart, Some(stop));
        }
        if let Some(moved) = self.index.rebalance_between(self.group, first, second) {
            return (Cause::ReprocessedAfterRebalance, Some(moved));
        }
        let position = self.index.position_before(self.group, partition, second);
        match position.filter(|event| event.id > first) {
            Some(event) if is_position(event, "reset-to-earliest") => {
                (Cause::ResetToEarliest, Some(event.id))
            }
            _ => (Cause::Unexplained, None),
        }
    }

    fn repetition(
        &self,
        partition: &TopicPartition,
        cause: Cause,
        broke: Option<EventId>,
        records: &[(Offset, EventId, EventId)],
    ) -> Violation {
        let (_, first, again) = records[0];
        let offsets = ranges(records.iter().map(|(offset, ..)| offset.0));
        let node = |id| &self.index.history.event(id).node;
        let mut why = vec![Evidence::new(
            first,
            format!("{} {} {partition}@{offsets}", node(first), self.verb),
        )];
        if let Some(broke) = broke {
            why.push(Evidence::new(broke, self.what_broke(broke)));
        }
        if let Some(position) = self.index.position_before(self.group, partition, again)
            && position.id > first
        {
            why.push(Evidence::new(position.id, said_position(position)));
        }
        let last = format!("{} {} {partition}@{offsets} again", node(again), self.verb);
        why.push(Evidence::new(again, last));
        Violation {
            anomaly: "duplicate".into(),
            what: format!("{} {} {partition}@{offsets} more than once", self.group, self.verb)
                .into(),
            records: records.iter().map(|(offset, ..)| at(partition, *offset)).collect(),
            cause,
            why,
        }
    }

    fn what_broke(&self, id: EventId) -> String {
        let event = self.index.history.event(id);
        let node = &event.node;
        match &event.kind {
            EventKind::MachineStopped { .. } => format!("{node} stopped"),
            EventKind::Generation { group, generation, .. } => {
                format!("{group} got generation {generation}")
            }
            EventKind::RebalanceStarted { group, reason } => {
                format!("{group} began to rebalance: {reason}")
            }
            EventKind::Revoked { .. } => format!("{node} gave its partitions up"),
            EventKind::Lost { .. } => format!("{node} lost its partitions"),
            EventKind::LeftGroup { reason } => format!("{node} left the group: {reason}"),
            EventKind::PositionSet { .. } => said_position(event),
            _ => format!("{node}: {:?}", event.kind),
        }
    }

    pub fn at_least_once(&self) -> Verdict {
        if let Some(reason) = self.index.no_end() {
            return Verdict::Unknown { reason };
        }
        let topics = self.index.topics_of(self.group);
        let mut owed = 0;
        let mut missing: BTreeMap<Missing<'_>, Vec<Offset>> = BTreeMap::new();
        for acked in &self.index.acked {
            let in_log = || {
                let log = self.index.logs.get(acked.partition)?;
                log.at(acked.offset)?.id.as_ref().filter(|id| *id == acked.record)
            };
            if !topics.contains(&acked.partition.topic.0) || in_log().is_none() {
                continue;
            }
            owed += 1;
            let entry = self.index.ledgers.entry(self.group, acked.partition, acked.offset);
            if entry.is_none_or(|entry| (self.done)(entry).is_empty()) {
                let (cause, passed) = self.why_never(acked.partition, acked.offset, entry);
                let key = Missing { partition: acked.partition, cause, passed };
                missing.entry(key).or_default().push(acked.offset);
            }
        }
        let violations = missing.into_iter().map(|(key, offsets)| self.omission(key, offsets));
        Verdict::of(owed, violations.collect(), "no acked record is in the group's topics")
    }

    /// Why a record was never done, and the event that passed it over.
    fn why_never(
        &self,
        partition: &TopicPartition,
        offset: Offset,
        entry: Option<&Entry>,
    ) -> (Cause, Option<EventId>) {
        let delivered = entry.and_then(|entry| entry.delivered.first().copied());
        let passed = self.commit_past(partition, offset, delivered);
        let Some(delivered) = delivered else {
            let latest = self.index.positions.get(&(self.group, partition)).into_iter().flatten();
            let reset = latest
                .copied()
                .find(|event| is_position(event, "reset-to-latest") && position_of(event) > offset);
            return match (reset, passed) {
                (Some(reset), _) => (Cause::ResetToLatest, Some(reset.id)),
                (None, Some(commit)) => (Cause::CommittedBeforeProcessing, Some(commit.id)),
                (None, None) => (Cause::Unexplained, None),
            };
        };
        let of_record = |event: &&Event| match &event.kind {
            EventKind::HandedOff { partition: p, offset: o }
            | EventKind::ProcessingFailed { partition: p, offset: o, .. } => {
                p == partition && *o == offset
            }
            _ => false,
        };
        let later = &self.index.history.events[delivered.0 as usize..];
        // The first thing that became of it decides; one scan per missing record that was delivered,
        // bounded by the end of its machine's life.
        let became = later.iter().find(of_record);
        match (became.map(|event| &event.kind), passed) {
            (Some(EventKind::HandedOff { .. }), _) => (Cause::HandedOff, became.map(|e| e.id)),
            (Some(EventKind::ProcessingFailed { .. }), Some(commit)) if is_close(commit) => {
                (Cause::ClosedAfterError, Some(commit.id))
            }
            (Some(EventKind::ProcessingFailed { .. }), _) => {
                (Cause::SkippedAfterError, became.map(|e| e.id))
            }
            (_, Some(commit)) => (Cause::CommittedBeforeProcessing, Some(commit.id)),
            (_, None) => (Cause::Unexplained, None),
        }
    }

    /// The first commit of the group, after the record was delivered if it was, that covers it.
    fn commit_past(
        &self,
        partition: &TopicPartition,
        offset: Offset,
        delivered: Option<EventId>,
    ) -> Option<&'a Event> {
        let commits = self.index.commits.get(&(self.group, partition))?;
        let from = delivered.unwrap_or(EventId(0));
        let first = commits.partition_point(|(event, _)| event.id < from);
        commits[first..].iter().find(|(_, upto)| *upto > offset).map(|(event, _)| *event)
    }

    fn omission(&self, key: Missing<'_>, offsets: Vec<Offset>) -> Violation {
        let Missing { partition, cause, passed } = key;
        let lost = ranges(offsets.iter().map(|offset| offset.0));
        let mut why = Vec::new();
        let entry = self.index.ledgers.entry(self.group, partition, offsets[0]);
        let delivered = entry.and_then(|entry| entry.delivered.first().copied());
        if let Some(delivered) = delivered {
            why.push(Evidence::new(delivered, self.said_delivery(delivered, partition)));
        }
        if let Some(passed) = passed {
            why.push(Evidence::new(passed, self.said_passing(passed, partition, &lost)));
            let event = self.index.history.event(passed);
            let end = EventId(u32::MAX);
            if let Some(stop) = self.index.stop_between(&event.node, passed, end) {
                why.push(Evidence::new(stop, self.said_stop(stop, delivered, partition)));
                let next = self.index.positions.get(&(self.group, partition)).into_iter().flatten();
                if let Some(position) = next.copied().find(|event| event.id > stop) {
                    why.push(Evidence::new(position.id, said_position(position)));
                }
            }
        }
        if let Some(log) = self.index.logs.get(partition) {
            why.push(Evidence::new(log.event, format!("the log holds {partition}@{lost}")));
        }
        let group = self.group;
        Violation {
            anomaly: "unseen".into(),
            what: format!("{group} never {} {partition}@{lost}", self.verb).into(),
            records: offsets.iter().map(|offset| at(partition, *offset)).collect(),
            cause,
            why,
        }
    }

    fn said_delivery(&self, id: EventId, partition: &TopicPartition) -> String {
        let event = self.index.history.event(id);
        let EventKind::Polled { records } = &event.kind else { return String::new() };
        let of_partition = records.iter().filter(|record| record.partition == *partition);
        let offsets = ranges(of_partition.map(|record| record.offset.0));
        format!("{} received {partition}@{offsets}", event.node)
    }

    fn said_passing(&self, id: EventId, partition: &TopicPartition, lost: &str) -> String {
        let event = self.index.history.event(id);
        match &event.kind {
            EventKind::CommitEnded { offsets, .. } => {
                let reach = offsets.iter().find(|reach| reach.partition == *partition);
                let upto = reach.map_or(Offset(-1), |reach| reach.offset);
                format!("{} committed {upto} while {lost} were not {}", event.node, self.verb)
            }
            EventKind::PositionSet { .. } => said_position(event),
            EventKind::HandedOff { .. } => format!("{} handed {lost} to a worker", event.node),
            EventKind::ProcessingFailed { error, .. } => {
                format!("{} failed on {lost}: {error}", event.node)
            }
            _ => format!("{}: {:?}", event.node, event.kind),
        }
    }

    /// `billing/1 stopped; processed: 0, 1`.
    fn said_stop(
        &self,
        stop: EventId,
        delivered: Option<EventId>,
        partition: &TopicPartition,
    ) -> String {
        let node = &self.index.history.event(stop).node;
        let Some(delivered) = delivered else { return format!("{node} stopped") };
        let EventKind::Polled { records } = &self.index.history.event(delivered).kind else {
            return format!("{node} stopped");
        };
        let done =
            records.iter().filter(|record| record.partition == *partition).filter(|record| {
                let entry = self.index.ledgers.entry(self.group, partition, record.offset);
                entry.is_some_and(|entry| (self.done)(entry).iter().any(|id| *id < stop))
            });
        let done = ranges(done.map(|record| record.offset.0));
        if done.is_empty() {
            format!("{node} stopped with none of them {}", self.verb)
        } else {
            format!("{node} stopped; {}: {done}", self.verb)
        }
    }
}

fn is_position(event: &Event, wanted: &str) -> bool {
    matches!(&event.kind, EventKind::PositionSet { why, .. } if &**why == wanted)
}

fn position_of(event: &Event) -> Offset {
    match event.kind {
        EventKind::PositionSet { offset, .. } => offset,
        _ => Offset(-1),
    }
}

fn is_close(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::CommitEnded { kind: CommitKind::Close, outcome: Outcome::Ok, .. }
    )
}

/// `billing/1 started at the committed offset, 5`.
fn said_position(event: &Event) -> String {
    let EventKind::PositionSet { partition, offset, why } = &event.kind else {
        return String::new();
    };
    let node = &event.node;
    match &**why {
        "committed" => format!("{node} started {partition} at the committed offset, {offset}"),
        "reset-to-earliest" => {
            format!("{node} found no committed offset and began {partition} at its start, {offset}")
        }
        "reset-to-latest" => {
            format!("{node} found no committed offset and began {partition} at its end, {offset}")
        }
        other => format!("{node} set its position in {partition} to {offset} ({other})"),
    }
}
