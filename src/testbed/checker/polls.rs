//! What single consumers see: offsets that rise, and nothing passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    index::Index,
    verdict::{Breaches, Evidence, Verdict, Violation, at, ranges},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, EventKind, NodeName},
        plan::{Cause, RecordAt},
    },
};

/// Where each consumer stands in each of its partitions: the offset it must not fall below, and since when.
#[derive(Default)]
struct Cursors<'a>(BTreeMap<(&'a NodeName, &'a TopicPartition), (Offset, EventId)>);

impl<'a> Cursors<'a> {
    /// Follows what sets or ends positions; deliveries are the caller's.
    fn follow(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::PositionSet { partition, offset, .. } => {
                self.0.insert((&event.node, partition), (*offset, event.id));
            }
            EventKind::Revoked { partitions } | EventKind::Lost { partitions } => {
                for partition in partitions {
                    self.0.remove(&(&event.node, partition));
                }
            }
            EventKind::MachineStopped { .. } => {
                self.0.retain(|(node, _), _| *node != &event.node);
            }
            _ => {}
        }
    }
}

/// Between assignments and seeks the offsets a consumer sees rise.
pub(super) fn rise(index: &Index<'_>, group: &str) -> Verdict {
    walk(index, group, |cursor, partition, offset, event, since| {
        (offset < cursor).then(|| Violation {
            anomaly: "nonmonotonic-poll".into(),
            what: format!("{} saw {partition}@{offset} after {}", event.node, cursor + -1).into(),
            records: vec![at(partition, offset)],
            cause: Cause::Unexplained,
            why: vec![
                Evidence::new(since, format!("{} stood at {cursor} of {partition}", event.node)),
                Evidence::new(event.id, format!("{} was given {offset}", event.node)),
            ],
        })
    })
}

/// A group passes over no record: within a consumer's reading by a gap, and between readings by a reset to
/// the end. A seek is the application's own will.
pub(super) fn none_skipped(index: &Index<'_>, group: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let gaps = walk(index, group, |cursor, partition, offset, event, since| {
        let log = index.logs.get(partition)?;
        let passed: Vec<_> =
            log.between(cursor, offset).iter().map(|record| record.offset).collect();
        (offset > cursor && !passed.is_empty()).then(|| {
            let offsets = ranges(passed.iter().map(|offset| offset.0));
            Violation {
                anomaly: "poll-skip".into(),
                what: format!("{} passed over {partition}@{offsets}", event.node).into(),
                records: passed.iter().map(|offset| at(partition, *offset)).collect(),
                cause: Cause::Unexplained,
                why: vec![
                    Evidence::new(
                        since,
                        format!("{} stood at {cursor} of {partition}", event.node),
                    ),
                    Evidence::new(event.id, format!("{} was given {offset} next", event.node)),
                ],
            }
        })
    });
    let told: BTreeSet<RecordAt> = match &gaps {
        Verdict::Violated { violations } => {
            violations.iter().flat_map(|violation| &violation.records).cloned().collect()
        }
        _ => BTreeSet::new(),
    };
    let passed = never_given(index, group, &told);
    if passed.is_empty() {
        return gaps;
    }
    Verdict::Violated { violations: passed }.and(gaps)
}

/// Records of the log that some member began behind and that the group never got. What a seek passed is
/// the application's own choice.
fn never_given(index: &Index<'_>, group: &str, told: &BTreeSet<RecordAt>) -> Vec<Violation> {
    let mut breaches = Breaches::new();
    for ((_, partition), events) in index.positions.iter().filter(|((name, _), _)| *name == group) {
        let Some(log) = index.logs.get(partition) else { continue };
        let places = || events.iter().filter_map(|event| place_of(event));
        let furthest = places().map(|(offset, _)| offset).max().unwrap_or_default();
        for record in log.between(log.start, furthest) {
            let here = at(partition, record.offset);
            if index.ledgers.entry(group, partition, record.offset).is_some()
                || told.contains(&here)
            {
                continue;
            }
            let behind =
                |event: &&&Event| place_of(event).is_some_and(|(offset, _)| offset > record.offset);
            let Some(event) = events.iter().find(behind) else { continue };
            let cause = match place_of(event) {
                Some((_, "seek")) => continue,
                Some((_, "reset-to-latest")) => Cause::ResetToLatest,
                _ => Cause::Unexplained,
            };
            let place = here.clone();
            breaches.add((*partition, event.id), place, || {
                passed_over(group, here, cause, event, log.event)
            });
        }
    }
    breaches.into_violations()
}

fn place_of(event: &Event) -> Option<(Offset, &str)> {
    match &event.kind {
        EventKind::PositionSet { offset, why, .. } => Some((*offset, why)),
        _ => None,
    }
}

fn passed_over(
    group: &str,
    record: RecordAt,
    cause: Cause,
    event: &Event,
    log: EventId,
) -> Violation {
    let (offset, why) = place_of(event).unwrap_or_default();
    let says = format!("{} began {} at {offset} ({why})", event.node, record.partition);
    Violation {
        anomaly: "poll-skip".into(),
        what: format!("{group} passed over {record}").into(),
        cause,
        why: vec![
            Evidence::new(event.id, says),
            Evidence::new(log, format!("the log holds {record}")),
        ],
        records: vec![record],
    }
}

/// Shows every delivery with where its consumer stood; the judge returns a violation or nothing.
fn walk<'a>(
    index: &'a Index<'a>,
    group: &str,
    judge: impl Fn(Offset, &'a TopicPartition, Offset, &'a Event, EventId) -> Option<Violation>,
) -> Verdict {
    let mut examined = 0;
    let mut violations = Vec::new();
    let mut cursors = Cursors::default();
    for event in &index.history.events {
        if index.group_of(&event.node) != Some(group) {
            continue;
        }
        cursors.follow(event);
        let EventKind::Polled { records } = &event.kind else { continue };
        for record in records {
            examined += 1;
            let next = (record.offset + 1, event.id);
            let key = (&event.node, &record.partition);
            let stood = cursors.0.insert(key, next);
            if let Some((cursor, since)) = stood {
                violations.extend(judge(cursor, &record.partition, record.offset, event, since));
            }
        }
    }
    Verdict::of(index, examined, violations, "no record was delivered")
}
