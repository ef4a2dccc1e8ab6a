//! Order in logs and across them: per partition, per key, per topic.
//!
//! What counts is the order of `send()` calls. A second copy of a record is no reordering of its own: it
//! is the duplicates' checker's business.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    index::{FinalLog, Index},
    verdict::{Breaches, Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, LoggedRecord, RecordId},
        plan::Cause,
    },
};

/// Which of a producer's records must stand in the order they were sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// All of a partition.
    Partition,
    /// Those of one key.
    Key,
}

/// In each partition one producer's records stand in the order they were sent, and an idempotent one's without gaps.
pub(super) fn per_partition(index: &Index<'_>, of: &str) -> Verdict {
    let in_order = in_send_order(index, of, Within::Partition);
    // Where nothing is missing the logs' order is all there is to judge.
    match super::gaps::in_sequences(index, of) {
        Verdict::Unknown { .. } => in_order,
        gaps => in_order.and(gaps),
    }
}

fn in_send_order(index: &Index<'_>, of: &str, within: Within) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let mut examined = 0;
    let mut breaches = Breaches::new();
    for (partition, log) in logs_of(index, of) {
        let mut latest: HashMap<(&str, Option<&str>), (EventId, &LoggedRecord)> = HashMap::new();
        let mut seen = HashSet::new();
        for record in log.records {
            let Some((id, sent)) = sent_record(index, record, of) else { continue };
            let key = record.key.as_deref().filter(|_| within == Within::Key);
            if !seen.insert(id) || (within == Within::Key && key.is_none()) {
                continue;
            }
            examined += 1;
            let line = (&*id.producer, key);
            match latest.get(&line) {
                Some((last, before)) if sent < *last => {
                    let retry = index.retry_of(id, partition);
                    let key = (partition, &*id.producer, retry.map(|event| event.id));
                    breaches.add(key, at(partition, record.offset), || {
                        overtaken(index, partition, before, record, (id, retry))
                    });
                }
                _ => {
                    latest.insert(line, (sent, record));
                }
            }
        }
    }
    Verdict::of(index, examined, breaches.into_violations(), "no record is in the log")
}

/// Partitions that `of` names: a topic's, one, or all of them for a producer.
fn logs_of<'a>(
    index: &'a Index<'a>,
    of: &str,
) -> impl Iterator<Item = (&'a TopicPartition, &'a FinalLog<'a>)> {
    let by_producer = index.history.setup.producers.contains_key(of);
    let of = of.to_owned();
    let chosen = move |partition: &TopicPartition| by_producer || Index::is_of(partition, &of);
    index.logs.iter().map(|(partition, log)| (*partition, log)).filter(move |(p, _)| chosen(p))
}

/// The record's identity and when it was sent, if `of` is its producer or no producer at all.
fn sent_record<'a>(
    index: &Index<'_>,
    record: &'a LoggedRecord,
    of: &str,
) -> Option<(&'a RecordId, EventId)> {
    let id = record.id.as_ref()?;
    let wanted = !index.history.setup.producers.contains_key(of) || &*id.producer == of;
    let sent = index.sent(id).filter(|_| wanted)?;
    Some((id, sent))
}

fn overtaken(
    index: &Index<'_>,
    partition: &TopicPartition,
    before: &LoggedRecord,
    record: &LoggedRecord,
    (id, retry): (&RecordId, Option<&Event>),
) -> Violation {
    let first = before.id.as_ref().expect("only records with an identity are compared");
    let mut why = Vec::new();
    for id in [id, first] {
        if let Some(sent) = index.sent(id) {
            why.push(Evidence::new(sent, format!("{id} was sent")));
        }
    }
    if let Some(retry) = retry {
        why.push(Evidence::new(retry.id, format!("{} sent a batch again", retry.node)));
    }
    if let Some(log) = index.logs.get(partition) {
        let says = format!(
            "{partition} holds {first} at {} and {id} behind it at {}",
            before.offset, record.offset
        );
        why.push(Evidence::new(log.event, says));
    }
    Violation {
        anomaly: "reordered".into(),
        what: format!("{id} was sent before {first} and stands behind it in {partition}").into(),
        records: vec![at(partition, record.offset)],
        cause: if retry.is_some() { Cause::RetryReorder } else { Cause::Unexplained },
        why,
    }
}

/// All records of a key are in one partition, and one producer's stand there in the order they were sent.
pub(super) fn per_key(index: &Index<'_>, of: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let mut examined = 0;
    let mut breaches = Breaches::new();
    let mut homes: BTreeMap<Arc<str>, (&TopicPartition, Offset, EventId)> = BTreeMap::new();
    for (partition, log) in logs_of(index, of) {
        for record in log.records {
            let (Some(key), Some(id)) = (&record.key, &record.id) else { continue };
            examined += 1;
            let home =
                homes.entry(Arc::clone(key)).or_insert((partition, record.offset, log.event));
            if home.0 != partition {
                let (home, offset, event) = *home;
                let place = at(partition, record.offset);
                let here = format!("and {id}, with the same key, in {partition}@{}", record.offset);
                breaches.add((home, partition), place.clone(), || Violation {
                    anomaly: "key-split".into(),
                    what: format!("key {key} is in {home} and in {partition}").into(),
                    records: vec![place],
                    cause: Cause::KeyMoved,
                    why: vec![
                        Evidence::new(event, format!("key {key} is at {home}@{offset}")),
                        Evidence::new(log.event, here),
                    ],
                });
            }
        }
    }
    let keyed = Verdict::of(index, examined, breaches.into_violations(), "no record has a key");
    if examined == 0 { keyed } else { keyed.and(in_send_order(index, of, Within::Key)) }
}

/// A group is given the records of its topics in the order they were sent, whatever their partition.
pub(super) fn per_topic(index: &Index<'_>, group: &str) -> Verdict {
    let mut examined = 0;
    let mut breaches = Breaches::new();
    let mut latest: HashMap<&str, (EventId, &TopicPartition, &RecordId)> = HashMap::new();
    let mut seen = HashSet::new();
    for (event, delivery, id) in index.delivered_to(group) {
        let Some(sent) = index.sent(id).filter(|_| seen.insert(id)) else { continue };
        examined += 1;
        match latest.get(&*id.producer) {
            Some((last, partition, first)) if sent < *last => {
                let several = **partition != delivery.partition;
                let cause = if several { Cause::SeveralPartitions } else { Cause::Unexplained };
                let here = &delivery.partition;
                let place = at(here, delivery.offset);
                breaches.add(cause, place.clone(), || Violation {
                    anomaly: "reordered".into(),
                    what: format!("{id} of {here} came after {first} of {partition}").into(),
                    records: vec![place],
                    cause,
                    why: vec![
                        Evidence::new(sent, format!("{id} was sent")),
                        Evidence::new(*last, format!("{first} was sent after it")),
                        Evidence::new(event.id, format!("{} got {id} after {first}", event.node)),
                    ],
                });
            }
            _ => {
                latest.insert(&id.producer, (sent, &delivery.partition, id));
            }
        }
    }
    Verdict::of(index, examined, breaches.into_violations(), "no record was delivered")
}
