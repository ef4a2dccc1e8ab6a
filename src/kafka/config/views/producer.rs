//! What a producer reads.

use std::time::Duration;

use super::super::settings::{ConfigError, Settings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    None,
    Leader,
    All,
}

/// `producer.properties`, as far as the producer models it.
#[derive(Clone, PartialEq, Debug)]
pub struct ProducerConfig {
    pub acks: Acks,
    pub enable_idempotence: bool,
    pub retries: u32,
    pub max_in_flight: usize,
    pub batch_size: usize,
    pub linger: Duration,
    pub buffer_memory: usize,
    pub max_block: Duration,
    pub max_request_size: usize,
    pub request_timeout: Duration,
    pub delivery_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub socket_connection_setup_timeout: Duration,
    pub metadata_max_age: Duration,
    pub partitioner_ignore_keys: bool,
    pub compression: String,
    pub client_id: String,
}

impl ProducerConfig {
    /// Refuses what Kafka's own constructor refuses with `ConfigException`.
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let _ = settings;
        unimplemented!()
    }
}
