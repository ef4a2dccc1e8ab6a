//! Gaps in what an idempotent producer wrote: a record that never came into the log, although a later one of the
//! same partition was acknowledged while it was still on its way.
//!
//! Sequences promise that this cannot be. That a record is given up first and later ones are written then is no gap:
//! the producer knew, and began anew. Nor is it one where both are gone: others say that, and where a log has lost
//! records in good order, nobody knows.

use std::collections::{HashMap, HashSet};

use super::{
    index::{Acked, Index},
    verdict::{Breaches, Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::TopicPartition,
    testbed::{
        history::{EventId, EventKind, Outcome, RecordId},
        plan::Cause,
    },
};

/// A send that came to nothing, as far as the log tells.
struct Missing<'a> {
    record: &'a RecordId,
    sent: EventId,
    given_up: EventId,
    partition: &'a TopicPartition,
}

pub(super) fn in_sequences(index: &Index<'_>, of: &str) -> Verdict {
    let mut lines: HashMap<(&str, &TopicPartition), Vec<&Acked<'_>>> = HashMap::new();
    for acked in index.acked.iter().filter(|acked| is_idempotent(index, acked.record)) {
        lines.entry((&*acked.record.producer, acked.partition)).or_default().push(acked);
    }
    let missing = missing(index);
    let mut examined = 0;
    let mut breaches = Breaches::new();
    for missing in &missing {
        let Missing { record, sent, given_up, partition } = missing;
        if &*record.producer != of && !Index::is_of(partition, of) {
            continue;
        }
        let Some(log) = index.logs.get(*partition).filter(|log| log.is_whole()) else { continue };
        examined += 1;
        let acked = lines.get(&(&*record.producer, *partition)).map_or(&[][..], |all| all);
        let passed = |acked: &&&Acked<'_>| {
            let stayed =
                log.at(acked.offset).is_some_and(|it| it.id.as_ref() == Some(acked.record));
            let is_later = index.sent(acked.record).is_some_and(|later| later > *sent);
            acked.event < *given_up && stayed && is_later
        };
        if let Some(acked) = acked.iter().find(passed) {
            let key = (*partition, &*record.producer);
            breaches.add(key, at(partition, acked.offset), || gap(missing, acked));
        }
    }
    let nothing = "no record of an idempotent producer is missing";
    Verdict::of(index, examined, breaches.into_violations(), nothing)
}

fn is_idempotent(index: &Index<'_>, record: &RecordId) -> bool {
    index.history.setup.producers.get(&*record.producer).is_some_and(|setup| setup.idempotent)
}

/// Sends that ended badly, once a partition was chosen, and whose records are in no log.
fn missing<'a>(index: &Index<'a>) -> Vec<Missing<'a>> {
    let logged: HashSet<&RecordId> = index
        .logs
        .values()
        .flat_map(|log| log.records.iter().filter_map(|record| record.id.as_ref()))
        .collect();
    let ended_badly = index.history.events.iter().filter_map(|event| match &event.kind {
        EventKind::SendEnded {
            record,
            outcome: Outcome::Failed { .. } | Outcome::Unknown { .. },
            partition: Some(partition),
            ..
        } => Some((record, partition, event.id)),
        _ => None,
    });
    let missing = ended_badly
        .filter(|(record, ..)| is_idempotent(index, record) && !logged.contains(record))
        .filter_map(|(record, partition, given_up)| {
            Some(Missing { record, sent: index.sent(record)?, given_up, partition })
        });
    missing.collect()
}

fn gap(missing: &Missing<'_>, acked: &Acked<'_>) -> Violation {
    let Missing { record, sent, given_up, partition } = missing;
    let later = acked.record;
    let place = at(partition, acked.offset);
    let why = vec![
        Evidence::new(*sent, format!("{record} was sent before {later}")),
        Evidence::new(acked.event, format!("{later} was acked at {partition}@{}", acked.offset)),
        Evidence::new(*given_up, format!("{record} was given up, and is in no log")),
    ];
    Violation {
        anomaly: "gap".into(),
        what: format!("{record} is missing before {later} in {partition}").into(),
        records: vec![place],
        cause: Cause::SequenceGap,
        why,
    }
}
