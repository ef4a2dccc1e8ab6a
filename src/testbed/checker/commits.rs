//! No commit passes a record the group had not finished: the cause of lost work, seen when it happens.

use std::collections::BTreeMap;

use super::{
    index::{Commit, Index},
    missed::why_dropped,
    verdict::{Evidence, Verdict, Violation, at, ranges},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{EventId, EventKind},
        plan::Cause,
    },
};

/// Judged at each commit that came into force, whether its member heard of it or not: every record of
/// the workload between where the group began to read and what the commit covers must have been
/// processed before. Whether the records were lost for it is another guarantee's question.
pub(super) fn none_passes_unprocessed(index: &Index<'_>, group: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let mut examined = 0;
    let mut violations = Vec::new();
    for ((_, partition), commits) in index.commits.iter().filter(|((name, _), _)| *name == group) {
        // Up to where the partition has been looked at: every record is looked at once.
        let mut seen = beginning(index, group, partition);
        for commit in commits {
            if commit.upto <= seen {
                continue;
            }
            examined += 1;
            for (cause, open) in unfinished(index, group, partition, seen, commit) {
                violations.push(breach(group, partition, commit, cause, &open));
            }
            seen = commit.upto;
        }
    }
    Verdict::of(index, examined, violations, "nothing was committed")
}

/// Where the group first stood: a group that began at the log's end owes nothing below.
fn beginning(index: &Index<'_>, group: &str, partition: &TopicPartition) -> Offset {
    let positions = index.positions.get(&(group, partition));
    let first = positions.and_then(|positions| positions.first());
    match first.map(|event| &event.kind) {
        Some(EventKind::PositionSet { offset, .. }) => *offset,
        _ => Offset(0),
    }
}

/// Records the commit passes that were not processed before it, by why.
fn unfinished(
    index: &Index<'_>,
    group: &str,
    partition: &TopicPartition,
    from: Offset,
    commit: &Commit<'_>,
) -> BTreeMap<Cause, Vec<Offset>> {
    let mut open: BTreeMap<Cause, Vec<Offset>> = BTreeMap::new();
    let Some(log) = index.logs.get(partition) else { return open };
    let before = |events: &[EventId]| events.iter().rev().copied().find(|id| *id < commit.event);
    for record in log.between(from, commit.upto).iter().filter(|record| record.id.is_some()) {
        let entry = index.ledgers.entry(group, partition, record.offset);
        if entry.is_some_and(|entry| before(&entry.processed).is_some()) {
            continue;
        }
        let cause = match entry.and_then(|entry| before(&entry.delivered)) {
            Some(delivered) => {
                let place = (partition, record.offset);
                why_dropped(index, group, place, delivered, Some(commit)).0
            }
            None => Cause::CommittedBeforeProcessing,
        };
        open.entry(cause).or_default().push(record.offset);
    }
    open
}

fn breach(
    group: &str,
    partition: &TopicPartition,
    commit: &Commit<'_>,
    cause: Cause,
    unfinished: &[Offset],
) -> Violation {
    let open = ranges(unfinished.iter().map(|offset| offset.0));
    let (member, upto) = (commit.member, commit.upto);
    let says = format!("{member} committed {upto} while {partition}@{open} were not processed");
    Violation {
        anomaly: "commit-ahead".into(),
        what: format!("{group} committed past {partition}@{open}, which it had not processed")
            .into(),
        records: unfinished.iter().map(|offset| at(partition, *offset)).collect(),
        cause,
        why: vec![Evidence::new(commit.event, says)],
    }
}
