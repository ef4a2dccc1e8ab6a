//! One offset never shows two different records to anybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    index::Index,
    verdict::{Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{EventId, EventKind, OffsetReach, Outcome, RecordId},
        plan::Cause,
    },
};

/// Acks, deliveries and the final log agree on what each offset of the topic holds, and each group's
/// committed offset at the end is the last one its coordinator accepted.
pub(super) fn offsets_agree(index: &Index<'_>, of: &str) -> Verdict {
    let mut examined = 0;
    let mut violations = Vec::new();
    let mut shown: HashMap<(&TopicPartition, Offset), (&RecordId, EventId)> = HashMap::new();
    for event in &index.history.events {
        let mut show = |partition, offset, record| {
            if !Index::is_of(partition, of) || offset < Offset(0) {
                return;
            }
            examined += 1;
            let (first, since) = *shown.entry((partition, offset)).or_insert((record, event.id));
            if first != record {
                violations.push(Violation {
                    anomaly: "inconsistent-offsets".into(),
                    what: format!("{partition}@{offset} was {first}, then {record}").into(),
                    records: vec![at(partition, offset)],
                    cause: Cause::Unexplained,
                    why: vec![
                        Evidence::new(since, format!("{partition}@{offset} is {first}")),
                        Evidence::new(event.id, format!("{partition}@{offset} is {record}")),
                    ],
                });
            }
        };
        match &event.kind {
            EventKind::Polled { records } => {
                for record in records {
                    if let Some(id) = &record.record {
                        show(&record.partition, record.offset, id);
                    }
                }
            }
            EventKind::SendEnded { record, outcome: Outcome::Ok, partition: Some(p), offset } => {
                show(p, *offset, record);
            }
            EventKind::FinalLog { partition, records, .. } => {
                for record in records {
                    if let Some(id) = &record.id {
                        show(partition, record.offset, id);
                    }
                }
            }
            _ => {}
        }
    }
    violations.extend(commits_forgotten(index, of));
    Verdict::of(index, examined, violations, "no offset was shown to anybody")
}

/// Committed offsets that are not the last ones accepted. A commit that did not end well for its member may
/// stand all the same: its coordinator may have appended it and lost its office before it could say so.
fn commits_forgotten(index: &Index<'_>, of: &str) -> Vec<Violation> {
    let mut accepted: BTreeMap<(&str, &TopicPartition), (Offset, EventId)> = BTreeMap::new();
    let mut open: BTreeSet<(&str, &TopicPartition, Offset)> = BTreeSet::new();
    let mut violations = Vec::new();
    for event in &index.history.events {
        match &event.kind {
            EventKind::CommitInvoked { offsets, .. } => {
                let group = index.group_of(&event.node).unwrap_or_default();
                open.extend(offsets.iter().map(|it| (group, &it.partition, it.offset)));
            }
            EventKind::CommitEnded { offsets, outcome: Outcome::Ok, .. } => {
                let group = index.group_of(&event.node).unwrap_or_default();
                for OffsetReach { partition, offset } in offsets {
                    open.remove(&(group, partition, *offset));
                }
            }
            EventKind::OffsetsCommitted { group, offsets, .. } => {
                for OffsetReach { partition, offset } in offsets {
                    accepted.insert((group, partition), (*offset, event.id));
                }
            }
            EventKind::FinalCommitted { group, partition, offset } => {
                let Some((last, since)) = accepted.get(&(&**group, partition)) else { continue };
                let is_open = offset.is_some_and(|it| open.contains(&(&**group, partition, it)));
                if !Index::is_of(partition, of) || *offset == Some(*last) || is_open {
                    continue;
                }
                let now = offset.map_or_else(|| "nothing".into(), |offset| offset.to_string());
                violations.push(Violation {
                    anomaly: "lost-commit".into(),
                    what: format!("{group} committed {last} of {partition}; {now} is left").into(),
                    records: vec![at(partition, *last)],
                    cause: Cause::Unexplained,
                    why: vec![
                        Evidence::new(*since, format!("{group}'s commit of {last} was accepted")),
                        Evidence::new(event.id, format!("the coordinator answers {now}")),
                    ],
                });
            }
            _ => {}
        }
    }
    violations
}
