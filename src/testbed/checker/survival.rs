//! What happened to records in the log: acked ones survive, and one send is one record.

use std::collections::HashMap;

use super::{
    index::{Acked, FinalLog, Index},
    replicas::{LostByElection, lost_by_election},
    verdict::{Breaches, Evidence, Verdict, Violation, at},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, EventKind, FaultKind, Loss, NodeName, RecordId},
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
    let mut breaches = Breaches::new();
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
            let scene = index.scene.partition(acked.partition);
            let lost_by =
                scene.and_then(|scene| lost_by_election(scene, acked.offset, acked.event));
            if let Some(election) = lost_by {
                let blow = Blow::of(&election);
                let (key, place) = ((acked.partition, blow), at(acked.partition, acked.offset));
                breaches.add(key, place, || elected_without(acked, election, log, there));
                continue;
            }
            let blow = Blow::on(index, acked);
            let (key, place) = ((acked.partition, blow), at(acked.partition, acked.offset));
            breaches.add(key, place, || lost(index, acked, blow, log, there));
        }
    }
    Verdict::of(index, examined, breaches.into_violations(), "no record was acked at an offset")
}

/// What took an acked record out of its log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Blow {
    cause: Cause,
    /// The recovery that came back without it.
    recovery: Option<(EventId, Offset)>,
    power: Option<EventId>,
    lie: Option<EventId>,
    /// The election of a leader that did not have it.
    election: Option<EventId>,
}

impl Blow {
    fn on(index: &Index<'_>, acked: &Acked<'_>) -> Blow {
        let recoveries = index.recoveries.get(acked.partition).map_or(&[][..], |all| all);
        let later = &recoveries[recoveries.partition_point(|(id, _)| *id <= acked.event)..];
        let recovery = later.iter().copied().find(|(_, end)| *end <= acked.offset);
        let node = recovery.map(|(id, _)| &index.history.event(id).node);
        let lie = fault_on(index, node, FaultKind::LyingDisk).map(|event| event.id);
        let power = node.and_then(|node| power_loss_before(index, node, recovery?.0, acked.event));
        let cause = match (lie, power) {
            (Some(_), _) => Cause::LyingDisk,
            (None, Some(_)) => Cause::UnflushedPowerLoss,
            (None, None) => Cause::Unexplained,
        };
        Blow { cause, recovery, power, lie, election: None }
    }

    fn of(election: &LostByElection) -> Blow {
        let (cause, election) = (election.cause, Some(election.election));
        Blow { cause, recovery: None, power: None, lie: None, election }
    }
}

/// A record of a partition with other replicas, none of which had it when one of them was elected.
fn elected_without(
    acked: &Acked<'_>,
    election: LostByElection,
    log: &FinalLog<'_>,
    there: Option<&RecordId>,
) -> Violation {
    lost_write(acked, log, there, election.cause, election.why)
}

fn lost(
    index: &Index<'_>,
    acked: &Acked<'_>,
    blow: Blow,
    log: &FinalLog<'_>,
    there: Option<&RecordId>,
) -> Violation {
    let node = |id| &index.history.event(id).node;
    let mut why = Vec::new();
    if let Some(power) = blow.power {
        why.push(Evidence::new(power, format!("{} lost power", node(power))));
    }
    if let Some(lie) = blow.lie {
        let says = format!("{}'s disk began to say it had synced when it had not", node(lie));
        why.push(Evidence::new(lie, says));
    }
    if let Some((recovery, end)) = blow.recovery {
        let partition = acked.partition;
        let says = format!("{} came back with {partition} ending at {end}", node(recovery));
        why.push(Evidence::new(recovery, says));
    }
    lost_write(acked, log, there, blow.cause, why)
}

/// `between` tells what happened from the acknowledgement to the end.
fn lost_write(
    acked: &Acked<'_>,
    log: &FinalLog<'_>,
    there: Option<&RecordId>,
    cause: Cause,
    between: Vec<Evidence>,
) -> Violation {
    let Acked { record, partition, offset, event } = acked;
    let acked = Evidence::new(*event, format!("{record} was acked at {partition}@{offset}"));
    let instead = Evidence::new(log.event, instead(partition, *offset, there));
    let mut why: Vec<_> = [acked].into_iter().chain(between).chain([instead]).collect();
    why.sort_by_key(|evidence| evidence.event);
    Violation {
        anomaly: "lost-write".into(),
        what: format!("{record} was acked at {partition}@{offset} and is not in the log").into(),
        records: vec![at(partition, *offset)],
        cause,
        why,
    }
}

/// What a log has where a record was expected.
pub(super) fn instead(
    partition: &TopicPartition,
    offset: Offset,
    there: Option<&RecordId>,
) -> String {
    match there {
        Some(other) => format!("{partition}@{offset} holds {other}"),
        None => format!("{partition} holds nothing at {offset}"),
    }
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

fn fault_on<'a>(
    index: &Index<'a>,
    node: Option<&NodeName>,
    wanted: FaultKind,
) -> Option<&'a Event> {
    let node = node?;
    index.faults.iter().copied().find(|event| {
        event.node == *node
            && matches!(&event.kind, EventKind::Fault { fault, .. } if *fault == wanted)
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
    let mut breaches = Breaches::new();
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
                    let retry = index.retry_of(id, partition);
                    let key = (*partition, retry.map(|event| event.id));
                    let place = *place;
                    breaches.add(key, at(partition, record.offset), || {
                        doubled(index, id, place, again, retry, log.event)
                    });
                }
                None => {
                    first.insert(id, (partition, record.offset));
                }
            }
        }
    }
    Verdict::of(index, examined, breaches.into_violations(), "no record is in the log")
}

fn doubled(
    index: &Index<'_>,
    id: &RecordId,
    first: (&TopicPartition, Offset),
    again: (&TopicPartition, Offset),
    retry: Option<&Event>,
    log: EventId,
) -> Violation {
    let (mut why, cause) = sent_again(index, id, retry);
    let says = format!("the log holds it at {}@{} and {}@{}", first.0, first.1, again.0, again.1);
    why.push(Evidence::new(log, says));
    Violation {
        anomaly: "duplicate".into(),
        what: format!("{id} is at {}@{} and at {}@{}", first.0, first.1, again.0, again.1).into(),
        records: vec![at(again.0, again.1)],
        cause,
        why,
    }
}

/// How a record that was sent once may have come into the log twice, and the cause that makes.
pub(super) fn sent_again(
    index: &Index<'_>,
    id: &RecordId,
    retry: Option<&Event>,
) -> (Vec<Evidence>, Cause) {
    let mut why = Vec::new();
    if let Some(sent) = index.sent(id) {
        why.push(Evidence::new(sent, format!("{id} was sent, once")));
    }
    let Some(retry) = retry else { return (why, Cause::Unexplained) };
    let EventKind::BatchRetried { error, .. } = &retry.kind else { unreachable!("as asked") };
    let says = format!("{} sent its batch again after {error}", retry.node);
    why.push(Evidence::new(retry.id, says));
    (why, Cause::RetryDuplicate)
}
