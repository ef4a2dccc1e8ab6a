//! The committed offsets of all groups of one coordinator.

use std::collections::BTreeMap;

use crate::kafka::{
    coordinator::records::OffsetValue,
    types::{GroupId, TopicName, TopicPartition},
};

pub(super) type TopicOffsets = BTreeMap<TopicName, BTreeMap<i32, OffsetValue>>;

/// No group and no topic is kept without offsets.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Offsets {
    by_group: BTreeMap<GroupId, TopicOffsets>,
}

impl Offsets {
    pub fn of_group(&self, group: &str) -> Option<&TopicOffsets> {
        self.by_group.get(group)
    }

    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&OffsetValue> {
        self.by_group.get(group)?.get(topic)?.get(&partition)
    }

    pub fn put(&mut self, group: &GroupId, partition: &TopicPartition, value: OffsetValue) {
        let topics = match self.by_group.get_mut(group) {
            Some(topics) => topics,
            None => self.by_group.entry(group.clone()).or_default(),
        };
        let partitions = match topics.get_mut(&partition.topic) {
            Some(partitions) => partitions,
            None => topics.entry(partition.topic.clone()).or_default(),
        };
        partitions.insert(partition.partition, value);
    }

    pub fn remove(&mut self, group: &str, partition: &TopicPartition) {
        let Some(topics) = self.by_group.get_mut(group) else { return };
        if let Some(partitions) = topics.get_mut(&partition.topic) {
            partitions.remove(&partition.partition);
            if partitions.is_empty() {
                topics.remove(&partition.topic);
            }
        }
        if topics.is_empty() {
            self.by_group.remove(group);
        }
    }

    /// Every partition the group has an offset for.
    pub fn partitions(&self, group: &str) -> Vec<TopicPartition> {
        let topics = self.by_group.get(group).into_iter().flatten();
        topics
            .flat_map(|(topic, partitions)| {
                partitions.keys().map(|number| TopicPartition::new(topic.clone(), *number))
            })
            .collect()
    }

    /// The groups that have an offset for this partition.
    pub fn groups_with(&self, partition: &TopicPartition) -> Vec<GroupId> {
        let has = |topics: &TopicOffsets| {
            topics
                .get(&partition.topic)
                .is_some_and(|known| known.contains_key(&partition.partition))
        };
        let with = self.by_group.iter().filter(|(_, topics)| has(topics));
        with.map(|(group, _)| group.clone()).collect()
    }
}
