//! Who has reached what: tells when a trial has become quiet. Kept from the history's events alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use super::healing::Healing;
use crate::{
    kafka::{
        coordinator::OFFSETS_TOPIC,
        types::{Offset, TopicName, TopicPartition},
    },
    testbed::{
        cluster::{Stage, Status},
        history::{Event, EventKind, NodeName, OffsetReach, Watcher},
        plan::{LoopStep, Plan, Start},
    },
};

/// Account of the trial so far.
#[derive(Default)]
pub struct Progress {
    account: Mutex<Account>,
}

#[derive(Default)]
struct Account {
    log_ends: BTreeMap<TopicPartition, Offset>,
    committed: BTreeMap<(Arc<str>, TopicPartition), Offset>,
    /// Partitions of each topic that there is or was: steps may add some, or delete them all.
    topics: BTreeMap<TopicName, BTreeSet<TopicPartition>>,
    consumers: BTreeMap<NodeName, Consumer>,
    groups: BTreeMap<Arc<str>, GroupAccount>,
    /// When each broker last came to lead a partition that has groups, counted.
    led_since: BTreeMap<NodeName, u64>,
    healing: Healing,
}

/// What a group's coordinator has told of it.
#[derive(Default)]
struct GroupAccount {
    /// When its coordinator came to lead, as in [`Account::led_since`].
    coordinator_since: u64,
    rebalancing: bool,
    generation: i32,
    /// Members of that generation.
    members: usize,
}

impl GroupAccount {
    /// By Kafka's name.
    fn state(&self) -> &'static str {
        match (self.rebalancing, self.members) {
            (true, _) => "PreparingRebalance",
            (false, 0) => "Empty",
            (false, _) => "Stable",
        }
    }
}

/// Where one consumer stands.
#[derive(Default)]
struct Consumer {
    positions: BTreeMap<TopicPartition, Offset>,
    /// The last poll returned records that may still be in hand.
    busy: bool,
    /// Records given to workers and not finished.
    handed_off: u64,
    /// Has ever been given a record.
    delivered: bool,
    /// The generation it belongs to, since its last start.
    joined: Option<i32>,
}

impl Progress {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("no panic while the account is locked")
    }

    /// What still keeps the trial from being quiet, in words; `None` if nothing is left to send,
    /// deliver, process or commit.
    pub fn pending(&self, plan: &Plan, stage: &Stage) -> Option<String> {
        let account = self.account();
        for (name, producer) in &plan.producers {
            let waits = stage.status(name) == Some(Status::Waiting)
                && !matches!(producer.start, Start::ByStep);
            if waits || stage.is_up(name) {
                return Some(format!("{name} has not sent everything"));
            }
        }
        for (name, group) in &plan.groups {
            if let Some(reason) = account.group_pending(name, group, plan, stage) {
                return Some(reason);
            }
        }
        for (name, reader) in &plan.readers {
            let waits = stage.status(name) == Some(Status::Waiting);
            if waits && !matches!(reader.start, Start::ByStep) {
                return Some(format!("{name} has not started"));
            }
            if !stage.is_up(name) {
                continue;
            }
            let live = [name.as_str().into()];
            for partition in &reader.assign {
                if let Some(reason) = account.partition_pending(partition, &live) {
                    return Some(format!("{name}: {reason}"));
                }
            }
        }
        None
    }

    /// A group that has not settled, in words: it rebalances, or some live member is not in its last
    /// generation. A member that crashed stays in its group until its session ends.
    pub fn unsettled(&self, plan: &Plan, stage: &Stage) -> Option<String> {
        let account = self.account();
        account.groups.iter().find_map(|(name, group)| {
            let members = &plan.groups.get(&**name)?.members;
            let outside = members.iter().find(|member| {
                let joined = account.consumers.get(member.as_str()).and_then(|c| c.joined);
                stage.is_up(member) && joined != Some(group.generation)
            });
            match outside {
                Some(member) => {
                    Some(format!("{member} is not in {name}'s generation {}", group.generation))
                }
                None if group.rebalancing => Some(format!("{name} is {}", group.state())),
                None => None,
            }
        })
    }

    /// What of the cluster has not healed yet, in words.
    pub fn unhealed(&self) -> Option<String> {
        self.account().healing.open()
    }

    /// Each group's state by Kafka's name, as its coordinator's events tell it.
    pub fn group_states(&self) -> Vec<(Arc<str>, &'static str)> {
        let account = self.account();
        account.groups.iter().map(|(name, group)| (name.clone(), group.state())).collect()
    }
}

impl Account {
    fn group_pending(
        &self,
        name: &str,
        group: &crate::testbed::plan::GroupPlan,
        plan: &Plan,
        stage: &Stage,
    ) -> Option<String> {
        let waits = |member: &String| stage.status(member) == Some(Status::Waiting);
        if group.members.iter().any(waits) && !matches!(group.start, Start::ByStep) {
            return Some(format!("{name} has not started"));
        }
        let runs = |member: &&String| stage.is_up(member);
        let live: Vec<NodeName> =
            group.members.iter().filter(runs).map(|member| member.as_str().into()).collect();
        if live.is_empty() {
            return None;
        }
        let commits =
            group.app.steps.iter().any(|step| {
                !matches!(step, LoopStep::Poll | LoopStep::Process | LoopStep::HandOff)
            });
        let auto = !commits && group.config.get("enable.auto.commit").is_none_or(|v| v == "true");
        for topic in &group.topics {
            for partition in self.partitions(topic, plan) {
                if let Some(reason) = self.partition_pending(&partition, &live) {
                    return Some(format!("{name}: {reason}"));
                }
                if auto && self.uncommitted(name, &partition, &live) {
                    return Some(format!("{name} has not committed all of {partition}"));
                }
            }
        }
        None
    }

    /// What a subscription to the topic reads.
    fn partitions(&self, topic: &str, plan: &Plan) -> BTreeSet<TopicPartition> {
        self.topics.get(&TopicName::from(topic)).cloned().unwrap_or_else(|| {
            let planned = plan.topics.get(topic).map_or(0, |topic| topic.partitions as i32);
            (0..planned).map(|partition| TopicPartition::new(topic, partition)).collect()
        })
    }

    /// Another topic of that name begins with nothing of this one.
    fn delete(&mut self, topic: &str) {
        let stays = |partition: &TopicPartition| partition.topic.as_str() != topic;
        self.topics.insert(TopicName::from(topic), BTreeSet::new());
        self.log_ends.retain(|partition, _| stays(partition));
        self.committed.retain(|(_, partition), _| stays(partition));
        for consumer in self.consumers.values_mut() {
            consumer.positions.retain(|partition, _| stays(partition));
        }
    }

    /// Whether the partition's end is reached by one of these and nothing of it is in hand.
    fn partition_pending(&self, partition: &TopicPartition, live: &[NodeName]) -> Option<String> {
        let owner = live.iter().find_map(|node| {
            let consumer = self.consumers.get(node)?;
            consumer.positions.contains_key(partition).then_some((consumer, node))
        });
        let Some((consumer, node)) = owner else {
            return Some(format!("nobody reads {partition}"));
        };
        let end = self.end(partition);
        let position = consumer.positions[partition];
        if position < end {
            return Some(format!("{node} is at {position} of {end} in {partition}"));
        }
        if consumer.busy || consumer.handed_off > 0 {
            return Some(format!("{node} has records in hand"));
        }
        None
    }

    /// Where the partition ends for its readers.
    fn end(&self, partition: &TopicPartition) -> Offset {
        let told = || self.log_ends.get(partition).copied().unwrap_or_default();
        self.healing.end(partition).unwrap_or_else(told)
    }

    /// Auto-commit has not caught up with what was delivered.
    fn uncommitted(&self, group: &str, partition: &TopicPartition, live: &[NodeName]) -> bool {
        let delivered = |node: &NodeName| {
            self.consumers.get(node).is_some_and(|consumer| {
                consumer.delivered && consumer.positions.contains_key(partition)
            })
        };
        let end = self.end(partition);
        let committed = self.committed.get(&(Arc::from(group), partition.clone()));
        live.iter().any(delivered) && committed.copied().unwrap_or_default() < end
    }

    /// For what `node` tells of a group as its coordinator. One that does not know yet that it was deposed goes on for a
    /// while, and what it decides is in no log: another has the group.
    fn group(&mut self, node: &NodeName, name: &Arc<str>) -> Option<&mut GroupAccount> {
        let since = self.led_since.get(node).copied().unwrap_or_default();
        let group = self.groups.entry(Arc::clone(name)).or_default();
        let is_deposed = since < group.coordinator_since;
        group.coordinator_since = group.coordinator_since.max(since);
        (!is_deposed).then_some(group)
    }

    fn consumer(&mut self, node: &NodeName) -> &mut Consumer {
        if !self.consumers.contains_key(node) {
            self.consumers.insert(node.clone(), Consumer::default());
        }
        self.consumers.get_mut(node).expect("inserted above")
    }
}

impl Watcher for Progress {
    fn sees(&self, event: &Event) -> bool {
        let mut account = self.account();
        account.healing.take(event);
        let node = &event.node;
        match &event.kind {
            EventKind::Appended { partition, base_offset, records, .. } => {
                let end = *base_offset + i64::from(*records);
                account.log_ends.insert(partition.clone(), end);
            }
            EventKind::LogRecovered { partition, end, .. } => {
                account.log_ends.insert(partition.clone(), *end);
            }
            EventKind::PartitionCreated { partition, .. } => {
                let of_topic = account.topics.entry(partition.topic.clone()).or_default();
                of_topic.insert(partition.clone());
            }
            EventKind::TopicDeleted { topic } => account.delete(topic),
            EventKind::OffsetsCommitted { group, offsets, .. } => {
                for OffsetReach { partition, offset } in offsets {
                    account.committed.insert((group.clone(), partition.clone()), *offset);
                }
            }
            EventKind::Leads { partition, .. } if partition.topic.as_str() == OFFSETS_TOPIC => {
                let turn = account.led_since.values().max().map_or(1, |last| last + 1);
                account.led_since.insert(node.clone(), turn);
            }
            EventKind::RebalanceStarted { group, .. } => {
                if let Some(group) = account.group(node, group) {
                    group.rebalancing = true;
                }
            }
            EventKind::Generation { group, generation, members, .. }
            | EventKind::GroupLoaded { group, generation, members } => {
                if let Some(group) = account.group(node, group) {
                    (group.rebalancing, group.members) = (false, members.len());
                    group.generation = *generation;
                }
            }
            EventKind::Joined { generation, .. } => {
                account.consumer(node).joined = Some(*generation);
            }
            EventKind::LeftGroup { .. } => account.consumer(node).joined = None,
            EventKind::PositionSet { partition, offset, .. } => {
                account.consumer(node).positions.insert(partition.clone(), *offset);
            }
            EventKind::Polled { records } => {
                let consumer = account.consumer(node);
                consumer.busy = !records.is_empty();
                consumer.delivered |= consumer.busy;
                for record in records {
                    consumer.positions.insert(record.partition.clone(), record.offset + 1);
                }
            }
            EventKind::HandedOff { .. } => account.consumer(node).handed_off += 1,
            EventKind::Processed { .. } | EventKind::ProcessingFailed { .. } => {
                let consumer = account.consumer(node);
                consumer.handed_off = consumer.handed_off.saturating_sub(1);
            }
            EventKind::Revoked { partitions } | EventKind::Lost { partitions } => {
                let consumer = account.consumer(node);
                consumer.positions.retain(|partition, _| !partitions.contains(partition));
            }
            EventKind::MachineStopped { .. } => *account.consumer(node) = Consumer::default(),
            _ => {}
        }
        false
    }

    fn hear(&self, _: &Event) {}
}
