//! Why a record was never done: which call of the application passed it over.
//!
//! Three things decide: what the handler did with the record, whether the loop went on after an error,
//! and which commit or position in force lies behind the record.

use super::index::{Commit, Index, first_after};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Entry, Event, EventId, EventKind},
        plan::Cause,
    },
};

/// What became of a record that was never done, in events. Records with equal ones share a chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Missed<'a> {
    pub cause: Cause,
    /// The poll whose batch it was lost from.
    pub delivered: Option<EventId>,
    /// The commit or position behind it.
    pub passed: Option<EventId>,
    /// Who made that.
    pub by: Option<&'a str>,
}

const END: EventId = EventId(u32::MAX);

/// Why the group never did the record; the second value is the handler's failure or the handing-off of
/// this record or of its batch, if that is why.
pub(super) fn why<'a>(
    index: &Index<'a>,
    group: &str,
    partition: &TopicPartition,
    offset: Offset,
) -> (Missed<'a>, Option<EventId>) {
    let entry = index.ledgers.entry(group, partition, offset);
    let commit = commit_past(index, group, partition, offset, entry);
    let passed = commit.map(|commit| commit.event);
    let by = commit.map(|commit| commit.member);
    let Some(delivered) = entry.and_then(|entry| in_hand(entry, passed)) else {
        let cause = match passed {
            Some(_) => Cause::CommittedBeforeProcessing,
            None => Cause::Unexplained,
        };
        let missed = match reset_past(index, group, partition, offset) {
            Some(reset) => Missed {
                cause: Cause::ResetToLatest,
                delivered: None,
                passed: Some(reset.id),
                by: Some(&reset.node),
            },
            None => Missed { cause, delivered: None, passed, by },
        };
        return (missed, None);
    };
    let (cause, became) =
        why_dropped(index, group, (partition, offset), delivered, commit.as_ref());
    (Missed { cause, delivered: Some(delivered), passed, by }, became)
}

/// Why a record that was in a member's hands was dropped, given the commit that passed it.
pub(super) fn why_dropped(
    index: &Index<'_>,
    group: &str,
    (partition, offset): (&TopicPartition, Offset),
    delivered: EventId,
    commit: Option<&Commit<'_>>,
) -> (Cause, Option<EventId>) {
    let key = (group, partition, offset);
    if let Some(handed) = index.handed_off.get(&key).filter(|id| **id > delivered) {
        return (Cause::HandedOff, Some(*handed));
    }
    let own = index.failed.get(&key).copied().filter(|id| *id > delivered);
    let passed = commit.map_or(END, |commit| commit.event);
    if let Some(failure) = dropping_failure(index, delivered, own, passed) {
        let doings = &index.doings[&*index.history.event(failure).node];
        let went_on = [&doings.polls, &doings.begun]
            .into_iter()
            .any(|events| first_after(events, failure).is_some_and(|id| id < passed));
        let closed = commit.is_some_and(|commit| commit.closing) && !went_on;
        let cause = if closed { Cause::ClosedAfterError } else { Cause::SkippedAfterError };
        return (cause, Some(failure));
    }
    let passed = commit.is_some();
    (if passed { Cause::CommittedBeforeProcessing } else { Cause::Unexplained }, None)
}

/// The failure of the handler after which the loop let the record go: its own, or one of its batch after
/// which no other record of the batch was begun.
fn dropping_failure(
    index: &Index<'_>,
    delivered: EventId,
    own: Option<EventId>,
    passed: EventId,
) -> Option<EventId> {
    let node = &index.history.event(delivered).node;
    let doings = index.doings.get(&**node)?;
    let next_poll = first_after(&doings.polls, delivered).unwrap_or(END);
    if let Some(own) = own {
        // A commit made before it had already given the record up, unless the loop lived on.
        let stop = index.stop_between(node, own, END).unwrap_or(END);
        let next = [&doings.polls, &doings.begun].map(|events| first_after(events, own));
        let lived_on = next.into_iter().flatten().any(|id| id < stop);
        return (own < passed || lived_on).then_some(own);
    }
    let failure = first_after(&doings.failures, delivered)?;
    let begun_next = first_after(&doings.begun, failure).unwrap_or(END);
    (failure < next_poll && failure < passed && begun_next >= next_poll.min(passed))
        .then_some(failure)
}

/// The delivery the record was last in hand from when the commit was made.
fn in_hand(entry: &Entry, passed: Option<EventId>) -> Option<EventId> {
    let before = |id: &&EventId| passed.is_none_or(|commit| **id < commit);
    entry.delivered.iter().rev().find(before).copied()
}

/// The first commit of the group, after the record was delivered if it was, that covers it.
fn commit_past<'a>(
    index: &Index<'a>,
    group: &str,
    partition: &TopicPartition,
    offset: Offset,
    entry: Option<&Entry>,
) -> Option<Commit<'a>> {
    let commits = index.commits.get(&(group, partition))?;
    let from = entry.and_then(|entry| entry.delivered.first().copied()).unwrap_or(EventId(0));
    let first = commits.partition_point(|commit| commit.event < from);
    commits[first..].iter().find(|commit| commit.upto > offset).copied()
}

/// The first time a member began behind the record because it took the log's end for its position.
fn reset_past<'a>(
    index: &Index<'a>,
    group: &str,
    partition: &TopicPartition,
    passed: Offset,
) -> Option<&'a Event> {
    let positions = index.positions.get(&(group, partition))?;
    let past = |event: &&Event| {
        matches!(&event.kind, EventKind::PositionSet { offset, why, .. }
            if &**why == "reset-to-latest" && *offset > passed)
    };
    positions.iter().copied().find(past)
}
