//! What happened to records in the log: acked ones survive, and one send is one record.

use std::collections::HashMap;

use super::{
    index::{Acked, FinalLog, Index},
    verdict::{Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, EventKind, Loss, NodeName, RecordId},
        plan::Cause,
    },
};

/// Every acked record of a producer or topic is in the log at the end, at its offset.
///
/// The fault model is the one the trial ran: with one replica a power loss may take what was not flushed,
/// and the violation then names it. A record below the log's start went by retention or deletion, and
/// a send with acks=0 was promised nothing.
pub(super) fn acked_records(index: &Index<'_>, of: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let mut examined = 0;
    let mut violations = Vec::new();
    for acked in &index.acked {
        if &*acked.record.producer != of && !Index::is_of(acked.partition, of) {
            continue;
        }
        let Some(log) = index.logs.get(acked.partition) else { continue };
        if acked.offset < log.start {
            continue;
        }
        examined += 1;
        let there = log.at(acked.offset).and_then(|record| record.id.as_ref());
        if there != Some(acked.record) {
            violations.push(lost(index, acked, log, there));
        }
    }
    Verdict::of(examined, violations, "no record was acked at an offset")
}

fn lost(
    index: &Index<'_>,
    acked: &Acked<'_>,
    log: &FinalLog<'_>,
    there: Option<&RecordId>,
) -> Violation {
    let Acked { record, partition, offset, event } = acked;
    let mut why =
        vec![Evidence::new(*event, format!("{record} was acked at {partition}@{offset}"))];
    let later = &index.history.events[event.0 as usize..];
    let recovery = later.iter().find(|event| cuts(event, partition, *offset));
    let node = recovery.map(|event| &event.node);
    let lie = fault_on(index, node, "lying disk");
    let power = node.and_then(|node| power_loss_before(index, node, recovery?.id, *event));
    let mut cause = Cause::Unexplained;
    if let Some(power) = power {
        cause = Cause::UnflushedPowerLoss;
        why.push(Evidence::new(power, format!("{} lost power", index.history.event(power).node)));
    }
    if let Some(lie) = lie {
        cause = Cause::LyingDisk;
        let says = format!("{}'s disk said it had synced, and had not", lie.node);
        why.insert(0, Evidence::new(lie.id, says));
    }
    if let Some(recovery) = recovery {
        let EventKind::LogRecovered { end, .. } = recovery.kind else {
            unreachable!("as cuts() says")
        };
        let says = format!("{} came back with {partition} ending at {end}", recovery.node);
        why.push(Evidence::new(recovery.id, says));
    }
    let instead = match there {
        Some(other) => format!("{partition}@{offset} holds {other}"),
        None => format!("{partition} holds nothing at {offset}"),
    };
    why.push(Evidence::new(log.event, instead));
    why.sort_by_key(|evidence| evidence.event);
    Violation {
        anomaly: "lost-write".into(),
        what: format!("{record} was acked at {partition}@{offset} and is not in the log").into(),
        records: vec![at(partition, *offset)],
        cause,
        why,
    }
}

fn cuts(event: &Event, partition: &TopicPartition, offset: Offset) -> bool {
    matches!(&event.kind, EventKind::LogRecovered { partition: p, end, .. } if p == partition && *end <= offset)
}

/// The last time the machine lost power between the ack and the recovery.
fn power_loss_before(
    index: &Index<'_>,
    node: &NodeName,
    recovery: EventId,
    acked: EventId,
) -> Option<EventId> {
    let stops = index.stops.get(node)?;
    let power =
        |(id, loss): &&(EventId, Loss)| *loss == Loss::Power && *id > acked && *id < recovery;
    stops.iter().rfind(power).map(|(id, _)| *id)
}

fn fault_on<'a>(index: &Index<'a>, node: Option<&NodeName>, wanted: &str) -> Option<&'a Event> {
    let node = node?;
    index.faults.iter().copied().find(|event| {
        event.node == *node && matches!(&event.kind, EventKind::Fault { what } if &**what == wanted)
    })
}

/// One attempt at sending a record is in the log at most once. An application that sends again makes a
/// second attempt, which is a record of its own.
pub(super) fn no_duplicate_append(index: &Index<'_>, of: &str) -> Verdict {
    if let Some(reason) = index.no_end() {
        return Verdict::Unknown { reason };
    }
    let by_producer = index.history.setup.producers.contains_key(of);
    let mut examined = 0;
    let mut violations = Vec::new();
    let mut first: HashMap<&RecordId, (&TopicPartition, Offset)> = HashMap::new();
    for (partition, log) in &index.logs {
        if !by_producer && !Index::is_of(partition, of) {
            continue;
        }
        for record in log.records {
            let Some(id) = &record.id else { continue };
            if by_producer && &*id.producer != of {
                continue;
            }
            examined += 1;
            match first.get(id) {
                Some(place) => {
                    let again = (*partition, record.offset);
                    violations.push(doubled(index, id, *place, again, log.event));
                }
                None => {
                    first.insert(id, (partition, record.offset));
                }
            }
        }
    }
    Verdict::of(examined, violations, "no record is in the log")
}

fn doubled(
    index: &Index<'_>,
    id: &RecordId,
    first: (&TopicPartition, Offset),
    again: (&TopicPartition, Offset),
    log: EventId,
) -> Violation {
    let sent = index.sent(id);
    let retry = index.retries.get(&NodeName::clone(&id.producer)).and_then(|retries| {
        let of_partition = |kind: &EventKind| {
            matches!(kind, EventKind::BatchRetried { partition, .. } if partition == again.0)
        };
        retries.iter().find(|event| Some(event.id) > sent && of_partition(&event.kind))
    });
    let mut why = Vec::new();
    if let Some(sent) = sent {
        why.push(Evidence::new(sent, format!("{id} was sent, once")));
    }
    if let Some(retry) = retry {
        let EventKind::BatchRetried { error, .. } = &retry.kind else { unreachable!("as asked") };
        let says = format!("{} sent its batch again after {error}", retry.node);
        why.push(Evidence::new(retry.id, says));
    }
    let says = format!("the log holds it at {}@{} and {}@{}", first.0, first.1, again.0, again.1);
    why.push(Evidence::new(log, says));
    Violation {
        anomaly: "duplicate".into(),
        what: format!("{id} is at {}@{} and at {}@{}", first.0, first.1, again.0, again.1).into(),
        records: vec![at(again.0, again.1)],
        cause: if retry.is_some() { Cause::RetryDuplicate } else { Cause::Unexplained },
        why,
    }
}
