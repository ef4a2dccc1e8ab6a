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
    /// Whether a replica that may lack records leads where no other is left.
    pub unclean_leader_election: bool,
    pub cleanup_policy: CleanupPolicy,
    pub retention: Option<Duration>,
    pub retention_bytes: Option<u64>,
    /// `delete.retention.ms`: how long compaction keeps tombstones.
    pub delete_retention_ms: i64,
    /// Share of dirty bytes that makes a log worth compacting.
    pub min_cleanable_ratio: f64,
    pub min_compaction_lag: Duration,
    /// `None` for no bound.
    pub max_compaction_lag: Option<Duration>,
    /// How long a deleted segment's files stay under another name.
    pub file_delete_delay: Duration,
    /// `message.timestamp.type = LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`, -`after`-: milliseconds off the broker's clock.
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    /// `compression.type`: `producer` or a codec's name. Only `producer` passes batches through.
    pub compression: String,
}

impl TopicConfig {
    /// The broker's own settings as the defaults of every topic.
    pub(super) fn of_broker(broker: &Settings) -> Self {
        let roll = given_ms(broker, &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]);
        let retention = given_ms(
            broker,
            &[
                ("log.retention.ms", 1),
                ("log.retention.minutes", 60_000),
                ("log.retention.hours", HOUR_MS),
            ],
        );
        let flush = given_ms(
            broker,
            &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
        );
        TopicConfig {
            segment_bytes: broker.int("log.segment.bytes") as u32,
            segment_age: Duration::from_millis(roll.max(1) as u64),
            index_interval_bytes: broker.int("log.index.interval.bytes") as u32,
            segment_index_bytes: broker.int("log.index.size.max.bytes") as u32,
            flush_messages: bounded(broker.int("log.flush.interval.messages")),
            flush_interval: bounded(flush).map(Duration::from_millis),
            max_message_bytes: broker.int("message.max.bytes") as u32,
            min_insync_replicas: broker.int("min.insync.replicas") as i16,
            unclean_leader_election: broker.boolean("unclean.leader.election.enable"),
            cleanup_policy: policy(&broker.list("log.cleanup.policy")),
            retention: u64::try_from(retention).ok().map(Duration::from_millis),
            retention_bytes: u64::try_from(broker.int("log.retention.bytes")).ok(),
            delete_retention_ms: broker.int("log.cleaner.delete.retention.ms"),
            min_cleanable_ratio: broker.double("log.cleaner.min.cleanable.ratio"),
            min_compaction_lag: broker.millis("log.cleaner.min.compaction.lag.ms"),
            max_compaction_lag: bounded(broker.int("log.cleaner.max.compaction.lag.ms"))
                .map(Duration::from_millis),
            file_delete_delay: broker.millis("log.segment.delete.delay.ms"),
            log_append_time: broker.text("log.message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: broker.int("log.message.timestamp.before.max.ms"),
            timestamp_after_max_ms: broker.int("log.message.timestamp.after.max.ms"),
            compression: broker.text("compression.type").into(),
        }
    }

    /// Topic settings over the broker's defaults for them.
    pub fn over(&self, topic: &Settings) -> Result<Self, Vec<ConfigError>> {
        let mut config = self.clone();
        for (name, _) in topic.given() {
            config.take(topic, name);
        }
        if config.max_compaction_lag.is_some_and(|most| most < config.min_compaction_lag) {
            let (min, max) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
            let reason = format!("{min} must not be greater than {max}");
            return Err(vec![ConfigError::Conflict { names: vec![min, max], reason }]);
        }
        if topic.is_set("compression.type") && config.compression != "producer" {
            return Err(vec![ConfigError::NotModelled {
                names: vec!["compression.type"],
                reason: "the broker stores batches as the producer made them: only `producer` is modelled"
                    .into(),
            }]);
        }
        Ok(config)
    }

    /// Age after which a new segment begins: what must be compacted in time must be rolled by then.
    pub fn max_segment_age(&self) -> Duration {
        match self.max_compaction_lag {
            Some(lag) if self.cleanup_policy != CleanupPolicy::Delete => self.segment_age.min(lag),
            _ => self.segment_age,
        }
    }

    fn take(&mut self, topic: &Settings, name: &str) {
        let int = || topic.int(name);
        match name {
            "segment.bytes" => self.segment_bytes = int() as u32,
            "segment.ms" => self.segment_age = Duration::from_millis(int() as u64),
            "index.interval.bytes" => self.index_interval_bytes = int() as u32,
            "segment.index.bytes" => self.segment_index_bytes = int() as u32,
            "flush.messages" => self.flush_messages = bounded(int()),
            "flush.ms" => self.flush_interval = bounded(int()).map(Duration::from_millis),
            "max.message.bytes" => self.max_message_bytes = int() as u32,
            "min.insync.replicas" => {
                self.min_insync_replicas = int().min(i64::from(i16::MAX)) as i16
            }
            "unclean.leader.election.enable" => {
                self.unclean_leader_election = topic.boolean(name);
            }
            "cleanup.policy" => self.cleanup_policy = policy(&topic.list(name)),
            "retention.ms" => self.retention = topic.duration(name),
            "retention.bytes" => self.retention_bytes = u64::try_from(int()).ok(),
            "delete.retention.ms" => self.delete_retention_ms = int(),
            "min.cleanable.dirty.ratio" => self.min_cleanable_ratio = topic.double(name),
            "min.compaction.lag.ms" => self.min_compaction_lag = topic.millis(name),
            "max.compaction.lag.ms" => {
                self.max_compaction_lag = bounded(int()).map(Duration::from_millis)
            }
            "file.delete.delay.ms" => self.file_delete_delay = topic.millis(name),
            "message.timestamp.type" => self.log_append_time = topic.text(name) == "LogAppendTime",
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = int(),
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = int(),
            "compression.type" => self.compression = topic.text(name).into(),
            _ => {}
        }
    }
}

const HOUR_MS: i64 = 3_600_000;

/// The first of these that has a value, times its unit: Kafka's finer settings beat the coarser ones.
fn given_ms(settings: &Settings, names: &[(&str, i64)]) -> i64 {
    let given = names.iter().find(|(name, _)| !settings.text(name).is_empty());
    given.map_or(i64::MAX, |(name, unit)| {
        let value = settings.int(name);
        if value < 0 { value } else { value.saturating_mul(*unit) }
    })
}

/// `Long.MAX_VALUE` means never.
fn bounded(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value != i64::MAX as u64)
}

fn policy(parts: &[&str]) -> CleanupPolicy {
    match (parts.contains(&"compact"), parts.contains(&"delete")) {
        (true, true) => CleanupPolicy::CompactAndDelete,
        (true, false) => CleanupPolicy::Compact,
        (false, _) => CleanupPolicy::Delete,
    }
}
