//! Who leads what, as the controller said it last: facts about partitions and brokers.

use std::collections::BTreeMap;

use super::index::Index;
use crate::{
    kafka::types::TopicPartition,
    testbed::{
        history::{Event, EventKind, NodeName},
        plan::FactKind,
    },
};

/// A fact about a partition's leadership, or a broker's part in it.
pub(super) fn measure(events: &[Event], fact: FactKind, of: &str) -> Result<i64, String> {
    match fact {
        FactKind::Elections => Ok(elections(events, of)),
        FactKind::Leads => Ok(of_broker(events, of).leads),
        FactKind::Replicas => Ok(of_broker(events, of).replicas),
        _ => of_partition(events, fact, of),
    }
}

fn elections(events: &[Event], of: &str) -> i64 {
    let elected = |event: &&Event| match &event.kind {
        EventKind::Elected { partition, leader: Some(leader), was, .. } => {
            Index::is_of(partition, of) && was.as_ref() != Some(leader)
        }
        _ => false,
    };
    i64::try_from(events.iter().filter(elected).count()).unwrap_or(i64::MAX)
}

/// What the controller said last of a partition, or its leader's high watermark.
fn of_partition(events: &[Event], fact: FactKind, of: &str) -> Result<i64, String> {
    let leads = |kind: &EventKind| match kind {
        EventKind::PartitionCreated { partition, leader, epoch, .. }
        | EventKind::Elected { partition, leader, epoch, .. }
            if Index::is_of(partition, of) =>
        {
            Some((leader.clone(), *epoch))
        }
        _ => None,
    };
    let last = events.iter().rev().find_map(|event| leads(&event.kind));
    let (leader, epoch) = last.ok_or(format!("the controller said nothing of {of}"))?;
    let number = |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    Ok(match fact {
        FactKind::Leader => leader.as_deref().and_then(number).unwrap_or(-1),
        FactKind::Epoch => i64::from(epoch),
        FactKind::Isr => {
            let isr = |event: &Event| match &event.kind {
                EventKind::PartitionCreated { partition, isr, .. }
                | EventKind::IsrShrunk { partition, isr, .. }
                | EventKind::IsrGrown { partition, isr, .. }
                    if Index::is_of(partition, of) =>
                {
                    i64::try_from(isr.len()).ok()
                }
                _ => None,
            };
            events.iter().rev().find_map(isr).unwrap_or_default()
        }
        _ => {
            let of_leader = |event: &&Event| leader.as_ref() == Some(&event.node);
            let shown = |event: &Event| match &event.kind {
                EventKind::HighWatermark { partition, offset } if Index::is_of(partition, of) => {
                    Some(offset.0)
                }
                _ => None,
            };
            events.iter().rev().filter(of_leader).find_map(shown).unwrap_or_default()
        }
    })
}

/// What a broker has to do with topics' partitions.
struct Share {
    leads: i64,
    replicas: i64,
}

/// By the controller's word, which names no partition of the cluster's own metadata; a group's offsets and
/// transactions are no topics of anybody's.
fn of_broker(events: &[Event], broker: &str) -> Share {
    let mut leaders: BTreeMap<&TopicPartition, Option<&NodeName>> = BTreeMap::new();
    let mut replicas: BTreeMap<&TopicPartition, &[NodeName]> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::PartitionCreated { partition, leader, replicas: on, .. } => {
                leaders.insert(partition, leader.as_ref());
                replicas.insert(partition, on);
            }
            EventKind::Elected { partition, leader, .. } => {
                leaders.insert(partition, leader.as_ref());
            }
            EventKind::ReplicasChanged { partition, replicas: on } => {
                replicas.insert(partition, on);
            }
            EventKind::TopicDeleted { topic } => {
                leaders.retain(|partition, _| partition.topic.as_str() != &**topic);
                replicas.retain(|partition, _| partition.topic.as_str() != &**topic);
            }
            _ => {}
        }
    }
    let own = |partition: &TopicPartition| !partition.topic.as_str().starts_with("__");
    let leads = |(partition, leader): &(&&TopicPartition, &Option<&NodeName>)| {
        own(partition) && leader.is_some_and(|leader| &**leader == broker)
    };
    let keeps = |(partition, on): &(&&TopicPartition, &&[NodeName])| {
        own(partition) && on.iter().any(|replica| &**replica == broker)
    };
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Share {
        leads: count(leaders.iter().filter(leads).count()),
        replicas: count(replicas.iter().filter(keeps).count()),
    }
}
