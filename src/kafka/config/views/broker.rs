//! What a broker reads.

use std::{collections::BTreeMap, time::Duration};

use super::super::settings::{ConfigError, Settings};
use super::{metadata_log::MetadataLogConfig, replication::ReplicationConfig, topic::TopicConfig};

/// `server.properties`, as far as the broker models it.
#[derive(Clone, PartialEq, Debug)]
pub struct BrokerConfig {
    /// As given, to be described.
    pub settings: Settings,
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub auto_create_topics: bool,
    pub delete_topics: bool,
    pub offsets_topic_partitions: i32,
    pub offsets_topic_replication_factor: i16,
    pub offsets_topic_segment_bytes: u32,
    /// Id of the codec of the offsets topic's batches.
    pub offsets_topic_compression: i16,
    pub offsets_load_buffer_bytes: usize,
    pub offset_metadata_max_bytes: usize,
    /// How long a coordinator waits for its own records to be committed.
    pub offsets_commit_timeout: Duration,
    pub offsets_retention: Duration,
    pub offsets_retention_check_interval: Duration,
    pub group_min_session_timeout: Duration,
    pub group_max_session_timeout: Duration,
    pub group_initial_rebalance_delay: Duration,
    pub group_max_size: usize,
    /// `message.max.bytes` and the other log defaults that topics may override.
    pub topic_defaults: TopicConfig,
    /// `fetch.max.bytes` of the broker: caps what a client asks.
    pub fetch_max_bytes: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub max_fetch_sessions: usize,
    pub socket_request_max_bytes: usize,
    pub max_connections: usize,
    /// Partitions in one answer to DescribeTopicPartitions.
    pub max_request_partitions: usize,
    pub max_connections_per_ip: usize,
    /// By address.
    pub max_connections_per_ip_overrides: BTreeMap<String, usize>,
    /// `None` for no limit.
    pub queued_max_request_bytes: Option<usize>,
    pub connections_max_idle: Duration,
    pub producer_id_expiration: Duration,
    pub cleaner_enabled: bool,
    /// How long compaction rests with nothing to do.
    pub cleaner_backoff: Duration,
    /// Bytes for the keys of one cleaning, and the share of them that is used.
    pub cleaner_dedupe_bytes: u64,
    pub cleaner_load_factor: f64,
    pub cleaner_io_bytes: u64,
    /// How long the chores on logs wait after a start.
    pub log_initial_task_delay: Duration,
    /// How often retention is applied.
    pub log_retention_check_interval: Duration,
    /// How often recovery points and high watermarks are written.
    pub flush_offset_checkpoint_interval: Duration,
    /// How often log start offsets are written.
    pub flush_start_offset_checkpoint_interval: Duration,
    /// How long a fetch between brokers waits at the other side.
    pub replica_fetch_wait: Duration,
    pub replication: ReplicationConfig,
    pub quorum: QuorumTimes,
    pub metadata_log: MetadataLogConfig,
    /// How often leadership returns to preferred replicas; `None` for never.
    pub leader_balance_interval: Option<Duration>,
    /// How often the broker tells the controller that it lives.
    pub broker_heartbeat_interval: Duration,
    /// When the controller takes a silent broker for dead.
    pub broker_session_timeout: Duration,
    /// Whether a broker that stops gives its leaderships away first.
    pub controlled_shutdown: bool,
    /// How long to wait for another broker's answer.
    pub request_timeout: Duration,
}

/// `controller.quorum.*`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuorumTimes {
    pub election_timeout: Duration,
    pub election_backoff_max: Duration,
    pub fetch_timeout: Duration,
    pub request_timeout: Duration,
    pub retry_backoff: Duration,
}

impl QuorumTimes {
    fn of(settings: &Settings) -> Self {
        QuorumTimes {
            election_timeout: settings.millis("controller.quorum.election.timeout.ms"),
            election_backoff_max: settings.millis("controller.quorum.election.backoff.max.ms"),
            fetch_timeout: settings.millis("controller.quorum.fetch.timeout.ms"),
            request_timeout: settings.millis("controller.quorum.request.timeout.ms"),
            retry_backoff: settings.millis("controller.quorum.retry.backoff.ms"),
        }
    }
}

impl BrokerConfig {
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let int = |name| settings.int(name);
        let bytes = |name| settings.int(name) as usize;
        let seconds = |name| Duration::from_secs(int(name).max(0).cast_unsigned());
        check(settings)?;
        let topic_defaults = TopicConfig::of_broker(settings);
        if topic_defaults.compression != "producer" {
            return Err(vec![ConfigError::NotModelled {
                names: vec!["compression.type"],
                reason: "the broker stores batches as the producer made them: only `producer` is modelled"
                    .into(),
            }]);
        }
        Ok(BrokerConfig {
            settings: settings.clone(),
            num_partitions: int("num.partitions") as i32,
            default_replication_factor: int("default.replication.factor") as i16,
            auto_create_topics: settings.boolean("auto.create.topics.enable"),
            delete_topics: settings.boolean("delete.topic.enable"),
            offsets_topic_partitions: int("offsets.topic.num.partitions") as i32,
            offsets_topic_replication_factor: int("offsets.topic.replication.factor") as i16,
            offsets_topic_segment_bytes: int("offsets.topic.segment.bytes") as u32,
            offsets_topic_compression: int("offsets.topic.compression.codec") as i16,
            offsets_load_buffer_bytes: bytes("offsets.load.buffer.size"),
            offset_metadata_max_bytes: bytes("offset.metadata.max.bytes"),
            offsets_commit_timeout: settings.millis("offsets.commit.timeout.ms"),
            offsets_retention: Duration::from_secs(bytes("offsets.retention.minutes") as u64 * 60),
            offsets_retention_check_interval: settings
                .millis("offsets.retention.check.interval.ms"),
            group_min_session_timeout: settings.millis("group.min.session.timeout.ms"),
            group_max_session_timeout: settings.millis("group.max.session.timeout.ms"),
            group_initial_rebalance_delay: settings.millis("group.initial.rebalance.delay.ms"),
            group_max_size: bytes("group.max.size"),
            topic_defaults,
            fetch_max_bytes: bytes("fetch.max.bytes"),
            max_fetch_sessions: bytes("max.incremental.fetch.session.cache.slots"),
            socket_request_max_bytes: bytes("socket.request.max.bytes"),
            max_connections: bytes("max.connections"),
            max_request_partitions: bytes("max.request.partition.size.limit"),
            max_connections_per_ip: bytes("max.connections.per.ip"),
            max_connections_per_ip_overrides: overrides(settings)?,
            queued_max_request_bytes: queued_max_request_bytes(settings)?,
            connections_max_idle: settings.millis("connections.max.idle.ms"),
            producer_id_expiration: settings.millis("producer.id.expiration.ms"),
            cleaner_enabled: settings.boolean("log.cleaner.enable"),
            cleaner_backoff: settings.millis("log.cleaner.backoff.ms"),
            cleaner_dedupe_bytes: int("log.cleaner.dedupe.buffer.size") as u64,
            cleaner_load_factor: settings.double("log.cleaner.io.buffer.load.factor"),
            cleaner_io_bytes: int("log.cleaner.io.buffer.size") as u64,
            log_initial_task_delay: settings.millis("log.initial.task.delay.ms"),
            log_retention_check_interval: settings.millis("log.retention.check.interval.ms"),
            flush_offset_checkpoint_interval: settings
                .millis("log.flush.offset.checkpoint.interval.ms"),
            flush_start_offset_checkpoint_interval: settings
                .millis("log.flush.start.offset.checkpoint.interval.ms"),
            replica_fetch_wait: settings.millis("replica.fetch.wait.max.ms"),
            replication: ReplicationConfig::from_settings(settings)?,
            quorum: QuorumTimes::of(settings),
            metadata_log: MetadataLogConfig::of(settings)?,
            leader_balance_interval: settings
                .boolean("auto.leader.rebalance.enable")
                .then(|| seconds("leader.imbalance.check.interval.seconds")),
            broker_heartbeat_interval: settings.millis("broker.heartbeat.interval.ms"),
            broker_session_timeout: settings.millis("broker.session.timeout.ms"),
            controlled_shutdown: settings.boolean("controlled.shutdown.enable"),
            request_timeout: settings.millis("request.timeout.ms"),
        })
    }
}

/// Settings that do not fit each other.
fn check(settings: &Settings) -> Result<(), Vec<ConfigError>> {
    let int = |name| settings.int(name);
    let (min, max) = ("group.min.session.timeout.ms", "group.max.session.timeout.ms");
    if int(min) > int(max) {
        let reason = format!("{max} must be greater than or equal to {min}");
        return Err(vec![ConfigError::Conflict { names: vec![min, max], reason }]);
    }
    let dedupe = "log.cleaner.dedupe.buffer.size";
    if int(dedupe) <= 1 << 20 {
        let reason = format!("{dedupe} must be at least 1MB per cleaner thread.");
        return Err(vec![ConfigError::Conflict { names: vec![dedupe], reason }]);
    }
    Ok(())
}

/// `max.connections.per.ip.overrides`: Kafka refuses to start if the limit is 0 for everybody.
fn overrides(settings: &Settings) -> Result<BTreeMap<String, usize>, Vec<ConfigError>> {
    const NAME: &str = "max.connections.per.ip.overrides";
    let entry = |part: &str| {
        let (address, count) = part.rsplit_once(':')?;
        Some((address.trim().to_owned(), count.trim().parse().ok()?))
    };
    let Some(overrides) = settings.list(NAME).into_iter().map(entry).collect() else {
        let (name, value) = (NAME.into(), settings.text(NAME).into());
        let reason = "expected `address:count`, comma-separated".into();
        return Err(vec![ConfigError::Invalid { name, value, reason }]);
    };
    let limit = "max.connections.per.ip";
    if settings.int(limit) == 0 && BTreeMap::is_empty(&overrides) {
        let reason = format!("{limit} can be set to zero only if {NAME} is set");
        return Err(vec![ConfigError::Conflict { names: vec![limit, NAME], reason }]);
    }
    Ok(overrides)
}

fn queued_max_request_bytes(settings: &Settings) -> Result<Option<usize>, Vec<ConfigError>> {
    let (queued, largest) = ("queued.max.request.bytes", "socket.request.max.bytes");
    let bytes = settings.int(queued);
    if bytes > 0 && bytes < settings.int(largest) {
        let reason = format!("{queued} must be larger or equal to {largest}");
        return Err(vec![ConfigError::Conflict { names: vec![queued, largest], reason }]);
    }
    Ok(usize::try_from(bytes).ok().filter(|bytes| *bytes > 0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::BrokerConfig;
    use crate::kafka::config::{Settings, Side};

    fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
        let settings = Settings::from_pairs(Side::Broker, pairs.iter().copied()).unwrap();
        BrokerConfig::from_settings(&settings).unwrap()
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = config(&[]);
        let topic = &config.topic_defaults;
        assert_eq!(topic.segment_bytes, 1 << 30);
        assert_eq!((topic.flush_messages, topic.flush_interval), (None, None));
        assert_eq!(topic.retention, Some(Duration::from_secs(7 * 24 * 3600)));
        assert_eq!((config.num_partitions, config.offsets_topic_partitions), (1, 50));
    }

    #[test]
    fn limits_of_connections_are_checked_as_by_kafka() {
        let given = config(&[("max.connections.per.ip.overrides", "::1:5, 10.0.0.1:7")]);
        let expected = [("10.0.0.1".to_owned(), 7), ("::1".to_owned(), 5)];
        assert!(given.max_connections_per_ip_overrides.into_iter().eq(expected));
        assert_eq!(config(&[]).queued_max_request_bytes, None);
        for bad in [
            ("max.connections.per.ip.overrides", "10.0.0.1"),
            ("max.connections.per.ip", "0"),
            ("queued.max.request.bytes", "1000"),
        ] {
            let settings = Settings::from_pairs(Side::Broker, [bad]).unwrap();
            assert!(BrokerConfig::from_settings(&settings).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn topic_settings_beat_the_brokers_and_finer_units_the_coarser() {
        let config = config(&[("log.retention.ms", "5"), ("log.segment.bytes", "4096")]);
        assert_eq!(config.topic_defaults.retention, Some(Duration::from_millis(5)));
        let topic = Settings::from_pairs(Side::Topic, [("segment.bytes", "100")]).unwrap();
        let topic = config.topic_defaults.over(&topic).unwrap();
        assert_eq!((topic.segment_bytes, topic.retention), (100, Some(Duration::from_millis(5))));
    }
}
