//! Facts: what can be counted, at the end or when a step fired.

use std::collections::BTreeSet;

use super::{index::Index, leadership, liveness::last_commit};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{Event, EventId, EventKind, History, Outcome},
        plan::{FactKind, Plan},
    },
};

/// When a step of that id fired.
pub(super) fn moment(plan: &Plan, history: &History, id: &str) -> Option<EventId> {
    let index = plan.steps.iter().position(|step| step.id.as_deref() == Some(id))?;
    let fired =
        |event: &&Event| matches!(event.kind, EventKind::Step { step, .. } if step == index);
    history.events.iter().find(fired).map(|event| event.id)
}

/// The fact's value, over the events up to `upto` (all of them if `None`). `Err` says why there is none.
pub(super) fn measure(
    index: &Index<'_>,
    fact: FactKind,
    of: &str,
    name: Option<&str>,
    upto: Option<EventId>,
) -> Result<i64, String> {
    let all = &index.history.events;
    let events = upto.map_or(&all[..], |upto| &all[..=upto.0 as usize]);
    let at_end = || upto.is_none().then_some(()).ok_or("known at the end only".to_owned());
    match fact {
        FactKind::Partitions => {
            let topic = index.history.setup.topics.get(of);
            topic.map(|topic| i64::from(topic.partitions)).ok_or(format!("no topic {of}"))
        }
        FactKind::LogStart | FactKind::LogEnd => {
            at_end()?;
            bound(index, fact, of)
        }
        FactKind::Committed | FactKind::Lag => {
            at_end()?;
            committed(index, fact, of)
        }
        FactKind::Generation => last_generation(events, of),
        FactKind::Records => records(index, of, events),
        FactKind::IdleMembers => idle_members(events, of),
        FactKind::Rebalances
        | FactKind::Error
        | FactKind::Acked
        | FactKind::Delivered
        | FactKind::Processed
        | FactKind::Batches
        | FactKind::Deduplicated
        | FactKind::Retries
        | FactKind::SentToFollower => {
            let all: u64 = events.iter().map(|event| counted(event, fact, of, name)).sum();
            Ok(i64::try_from(all).unwrap_or(i64::MAX))
        }
        FactKind::Leader
        | FactKind::Epoch
        | FactKind::Isr
        | FactKind::Hw
        | FactKind::Elections
        | FactKind::Leads
        | FactKind::Replicas => leadership::measure(events, fact, of),
    }
}

/// How much the event adds to what is counted.
fn counted(event: &Event, fact: FactKind, of: &str, name: Option<&str>) -> u64 {
    let of_node = is_actor(&event.node, of);
    let it_is = match (fact, &event.kind) {
        (FactKind::Delivered, EventKind::Polled { records }) if of_node => {
            return records.len() as u64;
        }
        (FactKind::Rebalances, EventKind::Generation { group, members, .. }) => {
            &**group == of && !members.is_empty()
        }
        (FactKind::Error, _) => of_node && is_error(event, name),
        (FactKind::Acked, EventKind::SendEnded { outcome: Outcome::Ok, .. })
        | (FactKind::Processed, EventKind::Processed { .. })
        | (FactKind::SentToFollower, EventKind::ReadsFrom { .. }) => of_node,
        (FactKind::Batches, EventKind::Appended { partition, .. })
        | (FactKind::Deduplicated, EventKind::Deduplicated { partition, .. }) => {
            Index::is_of(partition, of)
        }
        (FactKind::Retries, EventKind::BatchRetried { error, .. }) => {
            of_node && name.is_none_or(|name| **error == *name)
        }
        _ => false,
    };
    u64::from(it_is)
}

/// Where a partition's log, as it was read back, begins or ends.
fn bound(index: &Index<'_>, fact: FactKind, of: &str) -> Result<i64, String> {
    let log = partition_of(of).and_then(|partition| index.logs.get(&partition));
    let log = log.ok_or(format!("the log of {of} was not read back"))?;
    Ok(if fact == FactKind::LogStart { log.start.0 } else { log.end.0 })
}

/// A group's last commit of a partition, or what is left behind it: `billing orders-0`.
fn committed(index: &Index<'_>, fact: FactKind, of: &str) -> Result<i64, String> {
    let (group, partition) = of.split_once(' ').ok_or("expected GROUP PARTITION")?;
    let partition = partition_of(partition).ok_or("expected GROUP PARTITION")?;
    let committed = last_commit(index, group, &partition);
    if fact == FactKind::Committed {
        return committed.map(|offset| offset.0).ok_or("nothing is committed".into());
    }
    let log = index.logs.get(&partition).ok_or("the log was not read back")?;
    Ok(log.end - committed.unwrap_or(Offset(0)))
}

fn last_generation(events: &[Event], of: &str) -> Result<i64, String> {
    let last = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Generation { group, generation, .. } if &**group == of => Some(*generation),
        _ => None,
    });
    last.map(i64::from).ok_or(format!("{of} never formed"))
}

/// Whether the machine is that actor, or one of that group's members.
fn is_actor(node: &str, of: &str) -> bool {
    node == of || node.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'))
}

fn partition_of(text: &str) -> Option<TopicPartition> {
    TopicPartition::try_from(text.to_owned()).ok()
}

/// Errors by their Java name; a send that ended badly is one too.
fn is_error(event: &Event, name: Option<&str>) -> bool {
    let error = match &event.kind {
        EventKind::Error { name, .. } => name,
        EventKind::SendEnded {
            outcome: Outcome::Failed { error } | Outcome::Unknown { error },
            ..
        } => error,
        _ => return false,
    };
    name.is_none_or(|name| &**error == name)
}

/// Records in a topic or partition: in the final log, or as far as appends tell before the end.
fn records(index: &Index<'_>, of: &str, events: &[Event]) -> Result<i64, String> {
    if events.len() == index.history.events.len() && !index.logs.is_empty() {
        let logs = index.logs.iter().filter(|(partition, _)| Index::is_of(partition, of));
        return Ok(logs.map(|(_, log)| log.records.len() as i64).sum());
    }
    let appended = |event: &Event| match &event.kind {
        EventKind::Appended { partition, records, .. } if Index::is_of(partition, of) => {
            i64::from(*records)
        }
        _ => 0,
    };
    Ok(events.iter().map(appended).sum())
}

/// Members without a partition in the group's last generation.
fn idle_members(events: &[Event], of: &str) -> Result<i64, String> {
    let last = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Generation { group, members, owners, .. } if &**group == of => {
            Some((members, owners))
        }
        _ => None,
    });
    let (members, owners) = last.ok_or(format!("{of} never formed"))?;
    let busy: BTreeSet<_> = owners.iter().map(|(_, owner)| owner).collect();
    let idle = members.iter().filter(|member| !busy.contains(member)).count();
    Ok(i64::try_from(idle).unwrap_or(i64::MAX))
}
