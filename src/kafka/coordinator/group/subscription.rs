//! What the coordinator reads of the members' own messages (`ConsumerProtocol`): which topics a consumer
//! group is subscribed to, and, for whoever watches, who was assigned what.

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};

use super::group_state::Group;
use crate::kafka::{
    protocol::message::decode_versioned,
    types::{TopicName, TopicPartition},
};

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
        let subscription: ConsumerProtocolSubscription =
            decode_versioned(member.metadata(protocol)).ok()?;
        topics.extend(subscription.topics.iter().map(|topic| TopicName::from(topic.as_str())));
    }
    Some(topics)
}

/// Nothing for an assignment that cannot be read, which is for its member to complain about.
pub(super) fn assigned_partitions(assignment: &Bytes) -> Vec<TopicPartition> {
    let Ok(assignment) = decode_versioned::<ConsumerProtocolAssignment>(assignment.clone()) else {
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
