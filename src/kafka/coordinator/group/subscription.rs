//! What the coordinator reads of the members' own messages (`ConsumerProtocol`): which topics a consumer
//! group is subscribed to, and, for whoever watches, who was assigned what.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};
use kafka_protocol::{
    messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription},
    protocol::{Decodable, Message},
};

use super::group_state::Group;
use crate::kafka::types::{TopicName, TopicPartition};

/// `ConsumerProtocol.PROTOCOL_TYPE`.
pub(super) const PROTOCOL_TYPE: &str = "consumer";

/// `None` if the group is no consumer group or one subscription cannot be read.
pub(super) fn subscribed_topics(group: &Group) -> Option<BTreeSet<TopicName>> {
    if !group.is_consumer_group() {
        return None;
    }
    if group.members.is_empty() {
        return Some(BTreeSet::new());
    }
    let protocol = group.protocol.as_deref()?;
    let mut topics = BTreeSet::new();
    for member in group.members.values() {
        let subscription: ConsumerProtocolSubscription = read(member.metadata(protocol))?;
        topics.extend(subscription.topics.iter().map(|topic| TopicName::from(topic.as_str())));
    }
    Some(topics)
}

/// Nothing for an assignment that cannot be read, which is for its member to complain about.
pub(super) fn assigned_partitions(assignment: &Bytes) -> Vec<TopicPartition> {
    let Some(assignment) = read::<ConsumerProtocolAssignment>(assignment.clone()) else {
        return Vec::new();
    };
    let mut partitions = Vec::new();
    for topic in &assignment.assigned_partitions {
        let name = TopicName::from(topic.topic.as_str());
        let numbers = topic.partitions.iter();
        partitions.extend(numbers.map(|number| TopicPartition::new(name.clone(), *number)));
    }
    partitions
}

/// A version newer than ours is read as ours: fields are only ever added at the end.
fn read<M: Decodable + Message>(mut bytes: Bytes) -> Option<M> {
    let version = bytes.try_get_i16().ok()?;
    if version < M::VERSIONS.min {
        return None;
    }
    M::decode(&mut bytes, version.min(M::VERSIONS.max)).ok()
}
