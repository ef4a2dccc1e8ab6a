//! No commit passes a record the group had not finished: the cause of lost work, seen when it happens.

use std::collections::BTreeMap;

use super::{
    index::Index,
    verdict::{Evidence, Verdict, Violation, at, ranges},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{EventId, EventKind, Outcome},
        plan::Cause,
    },
};

/// Judged at each commit that succeeded: every record of the workload between where the group began to
/// read and what the commit covers must have been processed before it.
pub(super) fn none_passes_unprocessed(index: &Index<'_>, group: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let mut examined = 0;
    let mut violations = Vec::new();
    // Up to where each partition has been looked at: every record is looked at once.
    let mut seen: BTreeMap<&TopicPartition, Offset> = BTreeMap::new();
    for event in &index.history.events {
        if index.group_of(&event.node) != Some(group) {
            continue;
        }
        match &event.kind {
            EventKind::PositionSet { partition, offset, .. } => {
                seen.entry(partition).or_insert(*offset);
            }
            EventKind::CommitEnded { outcome: Outcome::Ok, offsets, .. } => {
                for reach in offsets {
                    let from = seen.entry(&reach.partition).or_insert(Offset(0));
                    let upto = reach.offset;
                    if upto <= *from {
                        continue;
                    }
                    let unfinished =
                        unfinished(index, group, &reach.partition, *from, upto, event.id);
                    examined += 1;
                    *from = upto;
                    if !unfinished.is_empty() {
                        let passed = (&reach.partition, upto);
                        violations.push(breach(group, &event.node, event.id, passed, &unfinished));
                    }
                }
            }
            _ => {}
        }
    }
    Verdict::of(examined, violations, "nothing was committed")
}

fn unfinished(
    index: &Index<'_>,
    group: &str,
    partition: &TopicPartition,
    from: Offset,
    upto: Offset,
    commit: EventId,
) -> Vec<Offset> {
    let Some(log) = index.logs.get(partition) else { return Vec::new() };
    let open = |offset: Offset| {
        let entry = index.ledgers.entry(group, partition, offset);
        entry.is_none_or(|entry| entry.processed.first().is_none_or(|first| *first > commit))
    };
    let records = log.between(from, upto).iter().filter(|record| record.id.is_some());
    records.map(|record| record.offset).filter(|offset| open(*offset)).collect()
}

fn breach(
    group: &str,
    node: &str,
    commit: EventId,
    (partition, upto): (&TopicPartition, Offset),
    unfinished: &[Offset],
) -> Violation {
    let open = ranges(unfinished.iter().map(|offset| offset.0));
    let says = format!("{node} committed {upto} while {partition}@{open} were not processed");
    Violation {
        anomaly: "commit-ahead".into(),
        what: format!("{group} committed past {partition}@{open}, which it had not processed")
            .into(),
        records: unfinished.iter().map(|offset| at(partition, *offset)).collect(),
        cause: Cause::CommittedBeforeProcessing,
        why: vec![Evidence::new(commit, says)],
    }
}
