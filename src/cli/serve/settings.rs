//! `--set name=value`: Kafka's broker settings, all mistakes at once.

use crate::{
    kafka::config::{BrokerConfig, ConfigError, Settings, Side, Support, find, rows},
    testbed::scenario::nearest,
};

/// Kafka's default, 3, would keep groups from ever committing where there are fewer brokers; its own
/// `server.properties` ships 1.
const OFFSETS_TOPIC_REPLICAS: &str = "offsets.topic.replication.factor";

/// What the command line has flags of its own for, and which.
const FLAGS: &[(&str, &str)] = &[
    ("advertised.listeners", "--advertise says what clients are told"),
    ("broker.id", "brokers are numbered from 1 on; --brokers says how many there are"),
    ("listeners", "--listen says where the first broker listens"),
    ("log.dir", "--data says where the data lies"),
    ("log.dirs", "--data says where the data lies"),
    ("metadata.log.dir", "--data says where the data lies"),
    ("node.id", "brokers are numbered from 1 on; --brokers says how many there are"),
];

/// A setting that cannot be: what is wrong, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mistake {
    pub message: String,
    pub help: Option<String>,
}

impl Mistake {
    fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Mistake { message: message.into(), help }
    }
}

/// The configuration of so many brokers from `name=value` pairs.
pub(super) fn broker_config(pairs: &[String], brokers: u16) -> Result<BrokerConfig, Vec<Mistake>> {
    let mut settings = Settings::new(Side::Broker);
    let mut mistakes: Vec<_> =
        pairs.iter().filter_map(|pair| take(&mut settings, pair).err()).collect();
    let default = settings.int(OFFSETS_TOPIC_REPLICAS);
    if !settings.is_set(OFFSETS_TOPIC_REPLICAS) && default > i64::from(brokers) {
        let set = settings.set(OFFSETS_TOPIC_REPLICAS, "1");
        mistakes.extend(set.err().map(|error| Mistake::new(error.to_string(), None)));
    }
    for name in [OFFSETS_TOPIC_REPLICAS, "default.replication.factor"] {
        let replicas = settings.int(name);
        if replicas > i64::from(brokers) {
            let message = format!("`{name}` cannot be {replicas} with --brokers {brokers}");
            let help = format!("start more brokers, or set it to {brokers} at most");
            mistakes.push(Mistake::new(message, Some(help)));
        }
    }
    let config = BrokerConfig::from_settings(&settings);
    let config = config.map_err(|errors| {
        errors.iter().map(|error| Mistake::new(error.to_string(), None)).collect::<Vec<_>>()
    });
    match config {
        Ok(config) if mistakes.is_empty() => Ok(config),
        config => {
            mistakes.extend(config.err().into_iter().flatten());
            Err(mistakes)
        }
    }
}

fn take(settings: &mut Settings, pair: &str) -> Result<(), Mistake> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        Mistake::new(format!("`{pair}` sets nothing"), Some("write --set name=value".into()))
    })?;
    let (name, value) = (name.trim(), value.trim());
    if settings.is_set(name) {
        return Err(Mistake::new(format!("`{name}` is set twice"), None));
    }
    if let Some((_, flag)) = FLAGS.iter().find(|(known, _)| *known == name) {
        return Err(Mistake::new(format!("`{name}` is not set like this"), Some((*flag).into())));
    }
    if find(Side::Broker, name).is_some_and(|row| row.support == Support::NotModelled) {
        let message = format!("`{name}` is known to Kafka and has no effect here");
        return Err(Mistake::new(message, Some("leave it out".into())));
    }
    settings.set(name, value).map_err(|error| {
        let help = match &error {
            ConfigError::Unknown { name, .. } => unknown(name),
            _ => None,
        };
        Mistake::new(error.to_string(), help)
    })
}

/// What may have been meant by a name the broker does not have.
fn unknown(name: &str) -> Option<String> {
    // Dozens of names, none of which is in the table.
    if name.starts_with("ssl.") || name.starts_with("sasl.") {
        return Some("nothing is secured here; leave it out".into());
    }
    let near = nearest(name, rows(Side::Broker).iter().map(|row| row.name))
        .map(|near| format!("did you mean `{near}`?"));
    let elsewhere = [Side::Topic, Side::Producer, Side::Consumer]
        .into_iter()
        .find(|side| find(*side, name).is_some())
        .map(|side| format!("`{name}` is a {side} setting"));
    match (elsewhere, near) {
        (Some(elsewhere), Some(near)) => Some(format!("{elsewhere}; {near}")),
        (elsewhere, near) => elsewhere.or(near),
    }
}

#[cfg(test)]
mod tests {
    use super::broker_config;

    fn mistakes(pairs: &[&str]) -> String {
        let pairs: Vec<_> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        let mistakes = broker_config(&pairs, 1).unwrap_err();
        let lines = mistakes.iter().map(|mistake| {
            format!("{} / {}", mistake.message, mistake.help.as_deref().unwrap_or("-"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_offsets_topic_has_one_replica_where_there_are_too_few_brokers_for_kafkas_default() {
        let factor = |set: &[String], brokers| {
            broker_config(set, brokers).unwrap().offsets_topic_replication_factor
        };
        assert_eq!([1, 2, 3, 5].map(|brokers| factor(&[], brokers)), [1, 1, 3, 3]);
        let set = ["offsets.topic.replication.factor=2".to_owned()];
        assert_eq!(factor(&set, 3), 2);
    }

    #[test]
    fn every_mistake_is_told_with_what_may_have_been_meant() {
        insta::assert_snapshot!(mistakes(&[
            "num.partition=3",
            "num.partitions=many",
            "num.partitions=0",
            "auto.create.topics.enable",
            "flush.messages=1",
            "ssl.keystore.location=/k",
            "listeners=PLAINTEXT://:9092",
            "num.io.threads=8",
            "default.replication.factor=3",
            "compression.type=gzip",
            "message.max.bytes=1",
            "message.max.bytes=2",
        ]), @r"
        Kafka has no broker setting `num.partition` / did you mean `num.partitions`?
        `num.partitions` cannot be `many`: expected a whole number / -
        `num.partitions` cannot be `0`: expected a number from 1 to 2147483647 / -
        `auto.create.topics.enable` sets nothing / write --set name=value
        Kafka has no broker setting `flush.messages` / `flush.messages` is a topic setting
        Kafka has no broker setting `ssl.keystore.location` / nothing is secured here; leave it out
        `listeners` is not set like this / --listen says where the first broker listens
        `num.io.threads` is known to Kafka and has no effect here / leave it out
        `message.max.bytes` is set twice / -
        `default.replication.factor` cannot be 3 with --brokers 1 / start more brokers, or set it to 1 at most
        the broker stores batches as the producer made them: only `producer` is modelled / -
        ");
    }
}
