//! What a broker reads.

use std::time::Duration;

use super::super::settings::{ConfigError, Settings};
use super::topic::TopicConfig;

/// `server.properties`, as far as the broker models it.
#[derive(Clone, PartialEq, Debug)]
pub struct BrokerConfig {
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub auto_create_topics: bool,
    pub offsets_topic_partitions: i32,
    pub offsets_topic_replication_factor: i16,
    pub offsets_load_buffer_bytes: usize,
    pub offset_metadata_max_bytes: usize,
    pub group_min_session_timeout: Duration,
    pub group_max_session_timeout: Duration,
    pub group_initial_rebalance_delay: Duration,
    pub group_max_size: usize,
    /// `message.max.bytes` and the other log defaults that topics may override.
    pub topic_defaults: TopicConfig,
    /// `fetch.max.bytes` of the broker: caps what a client asks.
    pub fetch_max_bytes: usize,
    pub socket_request_max_bytes: usize,
    pub max_connections: usize,
    pub connections_max_idle: Duration,
    pub queued_max_requests: usize,
    pub producer_id_expiration: Duration,
    /// How often the checkpoint of recovery points is written.
    pub flush_offset_checkpoint_interval: Duration,
    pub flush_scheduler_interval: Duration,
}

impl BrokerConfig {
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let _ = settings;
        unimplemented!()
    }
}
