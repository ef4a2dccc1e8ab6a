//! What a broker reads for the replicas it holds.

use std::time::Duration;

use super::super::settings::{ConfigError, Settings};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicationConfig {
    pub fetch_min_bytes: i32,
    /// Of one partition, and of all together.
    pub fetch_max_bytes: i32,
    pub fetch_response_max_bytes: i32,
    pub fetch_backoff: Duration,
    /// How long a leader's answer may take.
    pub request_timeout: Duration,
    pub lag_time_max: Duration,
    /// How often high watermarks are written.
    pub high_watermark_interval: Duration,
    /// Whether consumers are sent to a replica in their rack.
    pub rack_aware_reads: bool,
}

impl ReplicationConfig {
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let bytes = |name| settings.int(name) as i32;
        Ok(ReplicationConfig {
            fetch_min_bytes: bytes("replica.fetch.min.bytes"),
            fetch_max_bytes: bytes("replica.fetch.max.bytes"),
            fetch_response_max_bytes: bytes("replica.fetch.response.max.bytes"),
            fetch_backoff: settings.millis("replica.fetch.backoff.ms"),
            request_timeout: settings.millis("replica.socket.timeout.ms"),
            lag_time_max: settings.millis("replica.lag.time.max.ms"),
            high_watermark_interval: settings
                .millis("replica.high.watermark.checkpoint.interval.ms"),
            rack_aware_reads: rack_aware_reads(settings)?,
        })
    }
}

/// Kafka loads the class, and refuses to start without it. It has one of its own that chooses.
fn rack_aware_reads(settings: &Settings) -> Result<bool, Vec<ConfigError>> {
    const NAME: &str = "replica.selector.class";
    match settings.text(NAME) {
        "" | "org.apache.kafka.common.replica.LeaderSelector" => Ok(false),
        "org.apache.kafka.common.replica.RackAwareReplicaSelector" => Ok(true),
        other => Err(vec![ConfigError::NotModelled {
            names: vec![NAME],
            reason: format!("there is no class `{other}` here"),
        }]),
    }
}
