//! What a partition's log reads: topic settings over the broker's `log.*` defaults.

use std::time::Duration;

use super::super::settings::{ConfigError, Settings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CleanupPolicy {
    Delete,
    Compact,
    CompactAndDelete,
}

/// One topic's effective settings.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicConfig {
    pub segment_bytes: u32,
    pub segment_age: Duration,
    pub index_interval_bytes: u32,
    pub segment_index_bytes: u32,
    /// Records between forced syncs; `None` never.
    pub flush_messages: Option<u64>,
    /// Longest time a record stays unsynced; `None` for ever.
    pub flush_interval: Option<Duration>,
    pub max_message_bytes: u32,
    pub min_insync_replicas: i16,
    pub cleanup_policy: CleanupPolicy,
    pub retention: Option<Duration>,
    pub retention_bytes: Option<u64>,
    /// `message.timestamp.type = LogAppendTime`.
    pub log_append_time: bool,
    /// `compression.type`: `producer` or a codec's name. Only `producer` passes batches through.
    pub compression: String,
    pub unclean_leader_election: bool,
}

impl TopicConfig {
    /// Topic settings over the broker's defaults for them.
    pub fn over(&self, topic: &Settings) -> Result<Self, Vec<ConfigError>> {
        let _ = topic;
        unimplemented!()
    }
}
