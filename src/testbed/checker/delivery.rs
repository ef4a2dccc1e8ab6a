//! How often each record of a group's topics was done, and why it was done too often or never.
//!
//! *Done* is processed or has an effect, as the guarantee asks. The records a group owes are the acked
//! ones of its topics that are in the log at the end; also those that lay there before it first looked,
//! so that a group which began at the log's end is told what it passed over.

use std::collections::BTreeMap;

use super::{
    index::Index,
    missed::{self, Missed},
    verdict::{Evidence, Verdict, Violation, at, ranges},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Entry, Event, EventId, EventKind, Loss},
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

/// A record done twice: its offset, and the first two events that did it.
type Repetition = (Offset, EventId, EventId);

/// Records missed for the same reason share a violation.
type Omissions<'a> = BTreeMap<(&'a TopicPartition, Missed<'a>), (Vec<Offset>, Option<EventId>)>;

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
        // Records that came again by the same poll share a violation: one chain tells of them all.
        let mut repeated: BTreeMap<(&TopicPartition, Cause, Option<EventId>), Vec<Repetition>> =
            BTreeMap::new();
        for (partition, entries) in self.index.ledgers.group(self.group).into_iter().flatten() {
            for (offset, entry) in entries {
                let done = (self.done)(entry);
                examined += u64::from(!done.is_empty());
                if done.len().min(self.visible) > 1 {
                    let (first, again) = (done[0], done[1]);
                    let (cause, _) = self.why_again(partition, first, again);
                    let poll = entry.delivered.partition_point(|id| *id < again).checked_sub(1);
                    let key = (partition, cause, poll.map(|poll| entry.delivered[poll]));
                    repeated.entry(key).or_default().push((*offset, first, again));
                }
            }
        }
        let violation = |((partition, cause, _), records): (_, Vec<Repetition>)| {
            self.repetition(partition, cause, &records)
        };
        let violations = repeated.into_iter().map(violation).collect();
        Verdict::of(self.index, examined, violations, "no record was processed")
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
        records: &[Repetition],
    ) -> Violation {
        let (_, first, again) = records[0];
        let (_, broke) = self.why_again(partition, first, again);
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
        why.sort_by_key(|evidence| evidence.event);
        why.dedup_by_key(|evidence| evidence.event);
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
            EventKind::MachineStopped { loss } => format!("{node} {}", said_end(*loss)),
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
        let mut missing = Omissions::new();
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
                let (why, became) =
                    missed::why(self.index, self.group, acked.partition, acked.offset);
                let omission =
                    missing.entry((acked.partition, why)).or_insert((Vec::new(), became));
                omission.0.push(acked.offset);
            }
        }
        let violations = missing.into_iter().map(|((partition, missed), (mut offsets, became))| {
            offsets.sort_unstable();
            self.omission(partition, missed, became, offsets)
        });
        Verdict::of(
            self.index,
            owed,
            violations.collect(),
            "no acked record is in the group's topics",
        )
    }

    fn omission(
        &self,
        partition: &TopicPartition,
        missed: Missed<'_>,
        became: Option<EventId>,
        offsets: Vec<Offset>,
    ) -> Violation {
        let lost = ranges(offsets.iter().map(|offset| offset.0));
        let Missed { cause, delivered, passed, by } = missed;
        let mut why = Vec::new();
        if let Some(delivered) = delivered {
            why.push(Evidence::new(delivered, self.said_delivery(delivered, partition)));
        }
        if let Some(became) = became {
            why.push(Evidence::new(became, self.said_passing(became, partition, &lost, None)));
        }
        if let Some(passed) = passed {
            why.push(Evidence::new(passed, self.said_passing(passed, partition, &lost, by)));
            why.extend(self.replacement(
                partition,
                passed.max(delivered.unwrap_or(passed)),
                missed,
            ));
        }
        if let Some(log) = self.index.logs.get(partition) {
            why.push(Evidence::new(log.event, format!("the log holds {partition}@{lost}")));
        }
        why.sort_by_key(|evidence| evidence.event);
        let group = self.group;
        Violation {
            anomaly: "unseen".into(),
            what: format!("{group} never {} {partition}@{lost}", self.verb).into(),
            records: offsets.iter().map(|offset| at(partition, *offset)).collect(),
            cause,
            why,
        }
    }

    /// How the member that passed the records over ended, and where its replacement began.
    fn replacement(
        &self,
        partition: &TopicPartition,
        passed: EventId,
        missed: Missed<'_>,
    ) -> Vec<Evidence> {
        let end = EventId(u32::MAX);
        let stop = missed.by.and_then(|member| self.index.stop_between(member, passed, end));
        let Some(stop) = stop.filter(|_| missed.cause != Cause::ResetToLatest) else {
            return Vec::new();
        };
        let mut why = vec![Evidence::new(stop, self.said_stop(stop, missed.delivered, partition))];
        let positions = self.index.positions.get(&(self.group, partition)).into_iter().flatten();
        if let Some(position) = positions.copied().find(|event| event.id > stop) {
            why.push(Evidence::new(position.id, said_position(position)));
        }
        why
    }

    fn said_delivery(&self, id: EventId, partition: &TopicPartition) -> String {
        let event = self.index.history.event(id);
        let EventKind::Polled { records } = &event.kind else { return String::new() };
        let of_partition = records.iter().filter(|record| record.partition == *partition);
        let offsets = ranges(of_partition.map(|record| record.offset.0));
        format!("{} received {partition}@{offsets}", event.node)
    }

    fn said_passing(
        &self,
        id: EventId,
        partition: &TopicPartition,
        lost: &str,
        by: Option<&str>,
    ) -> String {
        let event = self.index.history.event(id);
        let node = by.unwrap_or(&event.node);
        match &event.kind {
            EventKind::CommitEnded { offsets, .. }
            | EventKind::OffsetsCommitted { offsets, .. } => {
                let reach = offsets.iter().find(|reach| reach.partition == *partition);
                let upto = reach.map_or(Offset(-1), |reach| reach.offset);
                format!("{node} committed {upto} while {lost} were not {}", self.verb)
            }
            EventKind::PositionSet { .. } => said_position(event),
            EventKind::HandedOff { offset, .. } => {
                format!("{node} handed {partition}@{offset} to a worker")
            }
            EventKind::ProcessingFailed { partition, offset, error } => {
                format!("{node} failed on {partition}@{offset}: {error}")
            }
            _ => format!("{node}: {:?}", event.kind),
        }
    }

    /// `billing/1 crashed; processed: 0..1`.
    fn said_stop(
        &self,
        stop: EventId,
        delivered: Option<EventId>,
        partition: &TopicPartition,
    ) -> String {
        let event = self.index.history.event(stop);
        let loss = match event.kind {
            EventKind::MachineStopped { loss } => loss,
            _ => Loss::Nothing,
        };
        let ended = format!("{} {}", event.node, said_end(loss));
        let delivery = delivered.map(|delivered| &self.index.history.event(delivered).kind);
        let Some(EventKind::Polled { records }) = delivery else { return ended };
        let done =
            records.iter().filter(|record| record.partition == *partition).filter(|record| {
                let entry = self.index.ledgers.entry(self.group, partition, record.offset);
                entry.is_some_and(|entry| (self.done)(entry).iter().any(|id| *id < stop))
            });
        let done = ranges(done.map(|record| record.offset.0));
        let done = if done.is_empty() { "none" } else { &done };
        format!("{ended}; {}: {done}", self.verb)
    }
}

fn said_end(loss: Loss) -> &'static str {
    match loss {
        Loss::Process => "crashed",
        Loss::Power => "lost power",
        Loss::Nothing => "ended",
    }
}

fn is_position(event: &Event, wanted: &str) -> bool {
    matches!(&event.kind, EventKind::PositionSet { why, .. } if &**why == wanted)
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
