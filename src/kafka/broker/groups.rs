//! The group coordinators of this broker: one per partition of `__consumer_offsets` it leads.

use std::sync::Arc;

use super::{controller::NewTopic, state::Broker};
use crate::{
    env::Env,
    kafka::{config::BrokerConfig, coordinator::OFFSETS_TOPIC, types::BrokerId},
};

pub(super) struct Groups {}

impl Groups {
    pub fn new(_env: &Env, _config: &BrokerConfig) -> Self {
        Groups {}
    }

    /// The broker that coordinates a group; `None` while the offsets topic is not there.
    pub fn coordinator_of(&self, broker: &Broker, group: &str) -> Option<BrokerId> {
        let image = broker.metadata.image();
        let topic = image.topic(OFFSETS_TOPIC)?;
        let partition = partition_of(group, topic.partitions.len());
        Some(topic.partitions.get(&partition)?.leader)
    }

    /// Has the controller make the offsets topic.
    pub fn order_offsets_topic(&self, broker: &Broker) {
        let config = &broker.config.config;
        let setting = |name: &str, value: String| (name.to_owned(), Some(value));
        broker.link.create_topic(NewTopic {
            name: OFFSETS_TOPIC.into(),
            partitions: config.offsets_topic_partitions,
            replication_factor: config.offsets_topic_replication_factor,
            assignments: Default::default(),
            config: vec![
                setting("cleanup.policy", "compact".into()),
                setting("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
            ],
        });
    }

    pub async fn handle_deadline(&self, _broker: &Arc<Broker>, _index: i32) {}

    pub fn metadata_changed(&self, _broker: &Arc<Broker>) {}
}

/// `Utils.abs(groupId.hashCode()) % partitions`.
fn partition_of(group: &str, partitions: usize) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % i32::try_from(partitions.max(1)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    /// From `"billing".hashCode()` and `"polygenelubricants".hashCode() == Integer.MIN_VALUE` in Java.
    #[test]
    fn a_group_is_hashed_as_java_hashes_strings() {
        assert_eq!(partition_of("a", 50), 97 % 50);
        assert_eq!(partition_of("ab", 50), (97 * 31 + 98) % 50);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
