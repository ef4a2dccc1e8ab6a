//! The table against the views: what is marked as modelled is read, and nothing else is.

use super::{
    BrokerConfig, ConsumerConfig, Kind, ProducerConfig, Row, Settings, Side, Support, find, rows,
};

/// Everything a side's view says, or the errors it refuses the settings with.
fn view(settings: &Settings) -> String {
    match settings.side() {
        Side::Broker => {
            // What is only kept to be described is not read.
            let settings_apart =
                |config| BrokerConfig { settings: Settings::new(Side::Broker), ..config };
            format!("{:?}", BrokerConfig::from_settings(settings).map(settings_apart))
        }
        Side::Producer => format!("{:?}", ProducerConfig::from_settings(settings)),
        Side::Consumer => format!("{:?}", ConsumerConfig::from_settings(settings)),
        Side::Topic => {
            let broker = BrokerConfig::from_settings(&Settings::new(Side::Broker)).unwrap();
            format!("{:?}", broker.topic_defaults.over(settings))
        }
    }
}

fn plain(side: Side) -> Settings {
    let mut settings = Settings::new(side);
    if side == Side::Consumer {
        // Without a group nothing is committed, automatically or not.
        settings.set("group.id", "billing").unwrap();
    }
    settings
}

/// Allowed values other than the default.
fn others(row: &Row) -> Vec<String> {
    let candidates: Vec<String> = match row.kind {
        Kind::Boolean => vec!["true".into(), "false".into()],
        Kind::Int { min, max } | Kind::Long { min, max } => {
            [min, min.saturating_add(1), 7, 1000, 60_001, max / 2, max]
                .map(|n| n.to_string())
                .into()
        }
        Kind::Double { min, max } => vec![min.to_string(), max.to_string()],
        Kind::Text | Kind::List([]) => vec!["range".into(), "roundrobin".into(), "x".into()],
        Kind::OneOf(allowed) | Kind::List(allowed) => {
            allowed.iter().map(|value| (*value).to_owned()).collect()
        }
    };
    let other = |value: &String| *value != row.default && row.check(value).is_ok();
    candidates.into_iter().filter(other).collect()
}

/// Whether some value of the setting changes what the view says.
fn is_read(row: &Row) -> bool {
    let before = view(&plain(row.side));
    others(row).iter().any(|value| {
        let mut settings = plain(row.side);
        settings.set(row.name, value).unwrap();
        view(&settings) != before
    })
}

#[test]
fn a_setting_is_modelled_if_and_only_if_it_is_read() {
    for side in [Side::Broker, Side::Topic, Side::Producer, Side::Consumer] {
        for row in rows(side) {
            assert_eq!(
                is_read(row),
                row.support == Support::Modelled,
                "{side} setting {} is marked {:?}",
                row.name,
                row.support
            );
        }
    }
}

#[test]
fn the_defaults_people_rely_on_are_kafkas() {
    use Side::{Broker, Consumer, Producer, Topic};
    for (side, name, default) in [
        (Producer, "acks", "all"),
        (Producer, "batch.size", "16384"),
        (Producer, "buffer.memory", "33554432"),
        (Producer, "delivery.timeout.ms", "120000"),
        (Producer, "enable.idempotence", "true"),
        // 5 since 4.0 (KIP-1030).
        (Producer, "linger.ms", "5"),
        (Producer, "max.block.ms", "60000"),
        (Producer, "max.in.flight.requests.per.connection", "5"),
        (Producer, "max.request.size", "1048576"),
        (Producer, "request.timeout.ms", "30000"),
        (Producer, "retries", "2147483647"),
        (Producer, "retry.backoff.ms", "100"),
        (Producer, "retry.backoff.max.ms", "1000"),
        (Consumer, "auto.commit.interval.ms", "5000"),
        (Consumer, "auto.offset.reset", "latest"),
        (Consumer, "default.api.timeout.ms", "60000"),
        (Consumer, "enable.auto.commit", "true"),
        (Consumer, "fetch.max.bytes", "52428800"),
        (Consumer, "fetch.max.wait.ms", "500"),
        (Consumer, "fetch.min.bytes", "1"),
        (Consumer, "heartbeat.interval.ms", "3000"),
        (Consumer, "isolation.level", "read_uncommitted"),
        (Consumer, "max.partition.fetch.bytes", "1048576"),
        (Consumer, "max.poll.interval.ms", "300000"),
        (Consumer, "max.poll.records", "500"),
        (Consumer, "session.timeout.ms", "45000"),
        (Topic, "cleanup.policy", "delete"),
        (Topic, "flush.messages", "9223372036854775807"),
        (Topic, "index.interval.bytes", "4096"),
        (Topic, "max.message.bytes", "1048588"),
        (Topic, "min.insync.replicas", "1"),
        (Topic, "retention.ms", "604800000"),
        (Topic, "segment.bytes", "1073741824"),
        (Topic, "segment.ms", "604800000"),
        (Broker, "default.replication.factor", "1"),
        (Broker, "fetch.max.bytes", "57671680"),
        (Broker, "group.initial.rebalance.delay.ms", "3000"),
        (Broker, "group.max.session.timeout.ms", "1800000"),
        (Broker, "group.min.session.timeout.ms", "6000"),
        (Broker, "log.retention.hours", "168"),
        (Broker, "message.max.bytes", "1048588"),
        (Broker, "num.partitions", "1"),
        // 2 since 4.0 (KIP-1030).
        (Broker, "num.recovery.threads.per.data.dir", "2"),
        (Broker, "offsets.retention.minutes", "10080"),
        (Broker, "offsets.topic.num.partitions", "50"),
        (Broker, "offsets.topic.replication.factor", "3"),
        (Broker, "producer.id.expiration.ms", "86400000"),
        (Broker, "socket.request.max.bytes", "104857600"),
        (Broker, "unclean.leader.election.enable", "false"),
    ] {
        assert_eq!(find(side, name).map(|row| row.default), Some(default), "{side} {name}");
    }
}
