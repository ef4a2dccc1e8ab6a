//! What must come true after the heal: groups settle and have done everything.

use super::{
    index::Index,
    verdict::{Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{EventKind, OffsetReach, Outcome},
        plan::Cause,
    },
};

/// The trial reached its bound before it came to rest.
fn stuck(index: &Index<'_>, anomaly: &str) -> Option<Verdict> {
    let event = index.cut_short?;
    let EventKind::NoProgress { what } = &event.kind else {
        return Some(Verdict::unknown("the trial crashed"));
    };
    let violation = Violation {
        anomaly: anomaly.into(),
        what: what.clone(),
        records: Vec::new(),
        cause: Cause::Unexplained,
        why: vec![Evidence::new(event.id, what.clone())],
    };
    Some(Verdict::Violated { violations: vec![violation] })
}

/// Every partition of a group's topics was read to its end, or committed to it.
pub(super) fn lag_drains(index: &Index<'_>, group: &str) -> Verdict {
    if let Some(verdict) = stuck(index, "lag") {
        return verdict;
    }
    let mut examined = 0;
    let mut violations = Vec::new();
    for (partition, log) in &index.logs {
        if !index.topics_of(group).contains(&partition.topic.0) {
            continue;
        }
        examined += 1;
        let reached = reached(index, group, partition);
        if reached < log.end {
            let says = format!("{partition} ends at {}", log.end);
            violations.push(Violation {
                anomaly: "lag".into(),
                what: format!("{group} got to {reached} of {} in {partition}", log.end).into(),
                records: vec![at(partition, reached)],
                cause: Cause::Unexplained,
                why: vec![Evidence::new(log.event, says)],
            });
        }
    }
    Verdict::of(index, examined, violations, "the logs were not read back")
}

/// The furthest the group got in a partition, by delivery, position or commit.
fn reached(index: &Index<'_>, group: &str, partition: &TopicPartition) -> Offset {
    let entries = index.ledgers.group(group).and_then(|group| group.get(partition));
    let delivered = entries.and_then(|entries| entries.last_key_value());
    let delivered = delivered.map_or(Offset(0), |(offset, _)| *offset + 1);
    let positions = index.positions.get(&(group, partition)).into_iter().flatten();
    let position = positions.filter_map(|event| match event.kind {
        EventKind::PositionSet { offset, .. } => Some(offset),
        _ => None,
    });
    let commits = index.commits.get(&(group, partition)).into_iter().flatten();
    let committed = commits.map(|commit| commit.upto);
    position.chain(committed).fold(delivered, Offset::max)
}

/// The group ended stable, or empty after all members left in order.
pub(super) fn group_settles(index: &Index<'_>, group: &str) -> Verdict {
    if let Some(verdict) = stuck(index, "unsettled-group") {
        return verdict;
    }
    let last = index.history.events.iter().rev().find_map(|event| match &event.kind {
        EventKind::FinalGroup { group: named, state } if &**named == group => {
            Some((event.id, state))
        }
        _ => None,
    });
    match last {
        None => Verdict::unknown("the group was never formed"),
        Some((_, state)) if matches!(&**state, "Stable" | "Empty" | "Dead") => {
            Verdict::of(index, 1, Vec::new(), "")
        }
        Some((event, state)) => Verdict::Violated {
            violations: vec![Violation {
                anomaly: "unsettled-group".into(),
                what: format!("{group} ended as {state}").into(),
                records: Vec::new(),
                cause: Cause::Unexplained,
                why: vec![Evidence::new(event, format!("{group} is {state}"))],
            }],
        },
    }
}

/// The last commit a group made of a partition, and whether any was made at all.
pub(super) fn last_commit(
    index: &Index<'_>,
    group: &str,
    partition: &TopicPartition,
) -> Option<Offset> {
    index.history.events.iter().rev().find_map(|event| match &event.kind {
        EventKind::FinalCommitted { group: named, partition: p, offset } => {
            (&**named == group && p == partition).then_some(*offset)
        }
        EventKind::CommitEnded { outcome: Outcome::Ok, offsets, .. }
            if index.group_of(&event.node) == Some(group) =>
        {
            let reach = offsets.iter().find(|OffsetReach { partition: p, .. }| p == partition);
            reach.map(|reach| Some(reach.offset))
        }
        _ => None,
    })?
}
