//! What a consumer reads.

use std::time::Duration;

use super::super::settings::{ConfigError, Settings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetReset {
    Earliest,
    Latest,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssignorKind {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

/// `consumer.properties`, as far as the consumer models it.
#[derive(Clone, PartialEq, Debug)]
pub struct ConsumerConfig {
    pub group_id: Option<String>,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub enable_auto_commit: bool,
    pub auto_commit_interval: Duration,
    pub auto_offset_reset: OffsetReset,
    pub max_poll_records: usize,
    pub max_poll_interval: Duration,
    pub session_timeout: Duration,
    pub heartbeat_interval: Duration,
    pub assignors: Vec<AssignorKind>,
    pub fetch_min_bytes: usize,
    pub fetch_max_bytes: usize,
    pub fetch_max_wait: Duration,
    pub max_partition_fetch_bytes: usize,
    pub check_crcs: bool,
    pub read_committed: bool,
    pub request_timeout: Duration,
    pub default_api_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub socket_connection_setup_timeout: Duration,
    pub metadata_max_age: Duration,
    pub allow_auto_create_topics: bool,
}

impl ConsumerConfig {
    /// Refuses what Kafka's own constructor refuses with `ConfigException`.
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let _ = settings;
        unimplemented!()
    }
}
