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
    pub client_rack: String,
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
    /// Whether a client that reaches no broker starts over with the bootstrap addresses.
    pub rebootstraps: bool,
    pub allow_auto_create_topics: bool,
}

impl ConsumerConfig {
    /// Refuses what Kafka's own constructor refuses with `ConfigException`.
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let optional = |name| {
            let text = settings.text(name);
            (!text.is_empty()).then(|| text.to_owned())
        };
        let (heartbeat, session) = ("heartbeat.interval.ms", "session.timeout.ms");
        if settings.int(heartbeat) >= settings.int(session) {
            let reason = "Heartbeat must be set lower than the session timeout".into();
            return Err(vec![ConfigError::Conflict { names: vec![heartbeat, session], reason }]);
        }
        let group_id = optional("group.id");
        let auto_commit = "enable.auto.commit";
        if group_id.is_none() && settings.is_set(auto_commit) && settings.boolean(auto_commit) {
            let reason =
                "enable.auto.commit cannot be set to true when default group id (null) is used.";
            let names = vec![auto_commit, "group.id"];
            return Err(vec![ConfigError::Conflict { names, reason: reason.into() }]);
        }
        Ok(ConsumerConfig {
            enable_auto_commit: group_id.is_some() && settings.boolean(auto_commit),
            group_id,
            group_instance_id: optional("group.instance.id"),
            client_id: settings.text("client.id").into(),
            client_rack: settings.text("client.rack").into(),
            auto_commit_interval: settings.millis("auto.commit.interval.ms"),
            auto_offset_reset: match settings.text("auto.offset.reset") {
                "earliest" => OffsetReset::Earliest,
                "none" => OffsetReset::None,
                _ => OffsetReset::Latest,
            },
            max_poll_records: settings.int("max.poll.records") as usize,
            max_poll_interval: settings.millis("max.poll.interval.ms"),
            session_timeout: settings.millis(session),
            heartbeat_interval: settings.millis(heartbeat),
            assignors: assignors(settings)?,
            fetch_min_bytes: settings.int("fetch.min.bytes") as usize,
            fetch_max_bytes: settings.int("fetch.max.bytes") as usize,
            fetch_max_wait: settings.millis("fetch.max.wait.ms"),
            max_partition_fetch_bytes: settings.int("max.partition.fetch.bytes") as usize,
            check_crcs: settings.boolean("check.crcs"),
            read_committed: settings.text("isolation.level") == "read_committed",
            request_timeout: settings.millis("request.timeout.ms"),
            default_api_timeout: settings.millis("default.api.timeout.ms"),
            retry_backoff: settings.millis("retry.backoff.ms"),
            retry_backoff_max: settings.millis("retry.backoff.max.ms"),
            reconnect_backoff: settings.millis("reconnect.backoff.ms"),
            reconnect_backoff_max: settings.millis("reconnect.backoff.max.ms"),
            socket_connection_setup_timeout: settings.millis("socket.connection.setup.timeout.ms"),
            metadata_max_age: settings.millis("metadata.max.age.ms"),
            rebootstraps: settings.text("metadata.recovery.strategy") == "rebootstrap",
            allow_auto_create_topics: settings.boolean("allow.auto.create.topics"),
        })
    }
}

/// Assignors by short name or by the class name Kafka's documentation gives.
fn assignors(settings: &Settings) -> Result<Vec<AssignorKind>, Vec<ConfigError>> {
    const NAME: &str = "partition.assignment.strategy";
    let kind = |part: &&str| match part.rsplit('.').next().unwrap_or_default() {
        "range" | "RangeAssignor" => Some(AssignorKind::Range),
        "roundrobin" | "RoundRobinAssignor" => Some(AssignorKind::RoundRobin),
        "sticky" | "StickyAssignor" => Some(AssignorKind::Sticky),
        "cooperative-sticky" | "CooperativeStickyAssignor" => Some(AssignorKind::CooperativeSticky),
        _ => None,
    };
    let kinds: Vec<_> = settings.list(NAME).iter().filter_map(kind).collect();
    if kinds.is_empty() {
        let reason = "at least one assignor is needed to join a group".into();
        return Err(vec![ConfigError::Conflict { names: vec![NAME], reason }]);
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::{AssignorKind, ConsumerConfig, OffsetReset};
    use crate::kafka::config::{ConfigError, Settings, Side};

    fn config(pairs: &[(&str, &str)]) -> Result<ConsumerConfig, Vec<ConfigError>> {
        let settings = Settings::from_pairs(Side::Consumer, pairs.iter().copied()).unwrap();
        ConsumerConfig::from_settings(&settings)
    }

    #[test]
    fn defaults_are_those_of_kafka_4_1() {
        let config = config(&[("group.id", "billing")]).unwrap();
        assert_eq!(
            (config.auto_offset_reset, config.enable_auto_commit),
            (OffsetReset::Latest, true)
        );
        assert_eq!(config.assignors, [AssignorKind::Range, AssignorKind::CooperativeSticky]);
        assert_eq!(config.max_poll_records, 500);
    }

    #[test]
    fn without_a_group_there_is_nothing_to_commit_to() {
        assert!(!config(&[]).unwrap().enable_auto_commit);
        assert!(config(&[("enable.auto.commit", "true")]).is_err());
    }

    #[test]
    fn a_heartbeat_must_fit_into_the_session() {
        assert!(config(&[("session.timeout.ms", "3000")]).is_err());
    }
}
