//! Retention: offsets of groups that nobody uses are forgotten, and so are groups without offsets.

use super::{
    Effect, GroupCoordinator, GroupState, Now, group_state::Group, turn::Due, writes::Write,
};
use crate::kafka::{
    coordinator::records::{OffsetValue, Record},
    types::{GroupId, Timestamp, TopicPartition},
};

/// From when the retention of a group's offsets counts (`ClassicGroup.offsetExpirationCondition`).
enum CountsFrom {
    /// Since the group became empty.
    Empty(Option<Timestamp>),
    /// Since each offset was committed.
    Commit,
    /// The group is in use.
    Never,
}

fn counts_from(group: &Group) -> CountsFrom {
    match group.state {
        // A simple group: it never had members, only commits.
        _ if group.protocol_type.is_none() => CountsFrom::Commit,
        GroupState::Empty => CountsFrom::Empty(group.state_since),
        // Offsets of topics that the members no longer read.
        GroupState::Stable if group.subscribed_topics.is_some() => CountsFrom::Commit,
        _ => CountsFrom::Never,
    }
}

impl GroupCoordinator {
    /// Every `offsets.retention.check.interval.ms`.
    pub(super) fn expire(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.deadlines.set(Due::Expiry, now.instant + self.config.retention_check_interval);
        let mut offsets = Vec::new();
        let mut groups = Vec::new();
        for (id, group) in &self.groups {
            // What is under way would make a decision taken here out of date.
            if self.writes.concern(id.as_str()) {
                continue;
            }
            let expired = self.expired(now, group);
            let kept = self.offsets.partitions(id.as_str()).len() > expired.len();
            offsets.extend(expired.into_iter().map(|partition| (id.clone(), partition)));
            if !kept && group.state == GroupState::Empty {
                groups.push(id.clone());
            }
        }
        self.remove(now, groups, offsets, effects);
    }

    fn expired(&self, now: Now, group: &Group) -> Vec<TopicPartition> {
        let from = counts_from(group);
        let mut expired = Vec::new();
        for (topic, partitions) in self.offsets.of_group(group.id.as_str()).into_iter().flatten() {
            if group.is_subscribed_to(topic.as_str()) {
                continue;
            }
            let over = partitions.iter().filter(|(_, value)| self.is_over(now, value, &from));
            expired.extend(over.map(|(number, _)| TopicPartition::new(topic.clone(), *number)));
        }
        expired
    }

    fn is_over(&self, now: Now, value: &OffsetValue, from: &CountsFrom) -> bool {
        let from = match from {
            CountsFrom::Never => return false,
            _ if let Some(at) = value.expires_at => return now.timestamp() >= at,
            CountsFrom::Commit => value.committed_at,
            CountsFrom::Empty(since) => since.unwrap_or(value.committed_at),
        };
        let retention =
            i64::try_from(self.config.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        now.wall.0.saturating_sub(from.0) >= retention
    }

    /// These partitions are no more, and so are all offsets for them.
    pub fn handle_partitions_deleted(
        &mut self,
        now: Now,
        partitions: &[TopicPartition],
        effects: &mut Vec<Effect>,
    ) {
        let mut offsets = Vec::new();
        for partition in partitions {
            let groups = self.offsets.groups_with(partition).into_iter();
            offsets.extend(groups.map(|group| (group, partition.clone())));
        }
        self.remove(now, Vec::new(), offsets, effects);
    }

    fn remove(
        &mut self,
        now: Now,
        groups: Vec<GroupId>,
        offsets: Vec<(GroupId, TopicPartition)>,
        effects: &mut Vec<Effect>,
    ) {
        if groups.is_empty() && offsets.is_empty() {
            return;
        }
        let records = tombstones(&groups, &offsets);
        self.append(now, Write::Tombstones { groups, offsets }, records, None, effects);
    }
}

pub(super) fn tombstones(groups: &[GroupId], offsets: &[(GroupId, TopicPartition)]) -> Vec<Record> {
    let offsets = offsets.iter().map(|(group, partition)| Record::offset(group, partition, None));
    offsets.chain(groups.iter().map(|group| Record::group(group, None))).collect()
}
