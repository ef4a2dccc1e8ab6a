//! The same three, judged on the sink: what the application's effects add up to.
//!
//! A sink that appends shows every effect; one that upserts by topic, partition and offset shows one
//! however often the record was handled. A record that a retry put into the log twice has two effects in
//! either: its places differ. One that the application sent again is another record.

use std::collections::HashMap;

use super::{
    delivery::Ledger,
    index::Index,
    survival::sent_again,
    verdict::{Breaches, Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, RecordId},
        plan::EffectKind,
    },
};

/// Where a record lies, and its first effect there.
#[derive(Clone, Copy)]
struct Shown<'a> {
    partition: &'a TopicPartition,
    offset: Offset,
    effect: EventId,
}

fn ledger<'a>(index: &'a Index<'a>, group: &'a str) -> Result<Ledger<'a>, Verdict> {
    match index.history.setup.groups.get(group).map(|group| group.effect) {
        Some(EffectKind::Append) => Ok(Ledger::effects(index, group, usize::MAX)),
        Some(EffectKind::Upsert) => Ok(Ledger::effects(index, group, 1)),
        _ => Err(Verdict::unknown("the application leaves no effect")),
    }
}

pub(super) fn at_most_once(index: &Index<'_>, group: &str) -> Verdict {
    let ledger = match ledger(index, group) {
        Ok(ledger) => ledger,
        Err(unknown) => return unknown,
    };
    let by_place = ledger.at_most_once();
    match of_doubled_records(index, group) {
        violations if violations.is_empty() => by_place,
        violations => by_place.and(Verdict::Violated { violations }),
    }
}

/// Records that had effects at two places of the log.
fn of_doubled_records(index: &Index<'_>, group: &str) -> Vec<Violation> {
    let mut first: HashMap<&RecordId, Shown<'_>> = HashMap::new();
    let mut breaches = Breaches::new();
    for (partition, entries) in index.ledgers.group(group).into_iter().flatten() {
        let Some(log) = index.logs.get(partition) else { continue };
        for (&offset, entry) in entries {
            let Some(&effect) = entry.effects.first() else { continue };
            let Some(id) = log.at(offset).and_then(|record| record.id.as_ref()) else { continue };
            let shown = Shown { partition, offset, effect };
            let Some(earlier) = first.get(id).copied() else {
                first.insert(id, shown);
                continue;
            };
            let retry = index.retry_of(id, partition);
            breaches.add((partition, retry.map(|event| event.id)), at(partition, offset), || {
                doubled(index, group, id, [earlier, shown], retry)
            });
        }
    }
    breaches.into_violations()
}

fn doubled(
    index: &Index<'_>,
    group: &str,
    id: &RecordId,
    shown: [Shown<'_>; 2],
    retry: Option<&Event>,
) -> Violation {
    let (mut why, cause) = sent_again(index, id, retry);
    for Shown { partition, offset, effect } in shown {
        let node = &index.history.event(effect).node;
        let says = format!("{node} effected {partition}@{offset}, which is {id}");
        why.push(Evidence::new(effect, says));
    }
    why.sort_by_key(|evidence| evidence.event);
    let [earlier, again] = shown.map(|shown| format!("{}@{}", shown.partition, shown.offset));
    Violation {
        anomaly: "duplicate".into(),
        what: format!("{group} effected {id} twice, from {earlier} and {again}").into(),
        records: vec![at(shown[1].partition, shown[1].offset)],
        cause,
        why,
    }
}

pub(super) fn at_least_once(index: &Index<'_>, group: &str) -> Verdict {
    ledger(index, group).map_or_else(|unknown| unknown, |ledger| ledger.at_least_once())
}
