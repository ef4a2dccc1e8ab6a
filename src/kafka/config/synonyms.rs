//! Settings of a topic and where each gets its value: from the topic, the broker's settings for it, or the
//! default (Kafka's `ServerTopicConfigSynonyms`).

use std::collections::BTreeMap;

use super::{
    settings::Settings,
    table::{self, Row, Side},
};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A broker's setting that topics inherit, and what its unit is in the topic setting's.
type Synonym = (&'static str, i64);

/// By the topic's setting. The first that has a value counts.
const SYNONYMS: &[(&str, &[Synonym])] = &[
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    (
        "retention.ms",
        &[
            ("log.retention.ms", 1),
            ("log.retention.minutes", MINUTE_MS),
            ("log.retention.hours", HOUR_MS),
        ],
    ),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigSource {
    Topic,
    Broker,
    Default,
}

/// One value of a setting, under the name it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourcedValue {
    pub name: &'static str,
    pub value: String,
    pub source: ConfigSource,
}

/// A setting with all values it could have, the one that counts first.
#[derive(Clone, PartialEq, Debug)]
pub struct DescribedSetting {
    pub row: &'static Row,
    /// In the setting's own unit. `None` where Kafka has null.
    pub value: Option<String>,
    pub sources: Vec<SourcedValue>,
}

impl DescribedSetting {
    pub fn source(&self) -> ConfigSource {
        self.sources.first().map_or(ConfigSource::Default, |first| first.source)
    }
}

/// Every setting of a topic, given its own values and the broker's.
pub fn describe_topic(
    topic: &BTreeMap<String, String>,
    broker: &Settings,
) -> impl Iterator<Item = DescribedSetting> {
    table::rows(Side::Topic).iter().map(move |row| {
        let inherited: Vec<_> =
            synonyms(row.name).iter().flat_map(|s| inherited(*s, broker)).collect();
        let given = topic.get(row.name).map(|value| SourcedValue {
            name: row.name,
            value: value.clone(),
            source: ConfigSource::Topic,
        });
        let value = match (&given, inherited.first()) {
            (Some(given), _) => Some(given.value.clone()),
            (None, Some((first, unit))) => Some(in_unit(&first.value, *unit)),
            (None, None) => Some(row.default.to_owned()).filter(|default| !default.is_empty()),
        };
        let inherited = inherited.into_iter().map(|(sourced, _)| sourced);
        DescribedSetting { row, value, sources: given.into_iter().chain(inherited).collect() }
    })
}

/// Every setting of a broker.
pub fn describe_broker(broker: &Settings) -> impl Iterator<Item = DescribedSetting> {
    table::rows(Side::Broker).iter().map(|row| {
        let sources: Vec<_> =
            inherited((row.name, 1), broker).map(|(sourced, _)| sourced).collect();
        let value = sources.first().map(|first| first.value.clone());
        DescribedSetting { row, value, sources }
    })
}

fn synonyms(topic_setting: &str) -> &'static [Synonym] {
    let found = SYNONYMS.binary_search_by_key(&topic_setting, |(name, _)| name);
    found.map_or(&[], |index| SYNONYMS[index].1)
}

/// What the broker was given for the setting, then the default.
fn inherited(
    (name, unit): Synonym,
    broker: &Settings,
) -> impl Iterator<Item = (SourcedValue, i64)> {
    let row = table::find(Side::Broker, name).filter(|row| !row.default.is_empty());
    let default = row.map(|row| (row.default.to_owned(), ConfigSource::Default));
    let given = broker.is_set(name).then(|| (broker.text(name).to_owned(), ConfigSource::Broker));
    let all = given.into_iter().chain(default);
    all.map(move |(value, source)| (SourcedValue { name, value, source }, unit))
}

/// -1, "for ever", is the same in every unit.
fn in_unit(value: &str, unit: i64) -> String {
    match value.trim().parse::<i64>() {
        Ok(number) if number > 0 && unit > 1 => number.saturating_mul(unit).to_string(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigSource, SYNONYMS, describe_topic};
    use crate::kafka::config::{Settings, Side, table};

    fn described(
        name: &str,
        topic: &[(&str, &str)],
        broker: &[(&str, &str)],
    ) -> (String, ConfigSource, usize) {
        let topic = topic.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let broker = Settings::from_pairs(Side::Broker, broker.iter().copied()).unwrap();
        let found =
            describe_topic(&topic, &broker).find(|setting| setting.row.name == name).unwrap();
        (found.value.clone().unwrap(), found.source(), found.sources.len())
    }

    #[test]
    fn the_table_is_sorted_and_names_settings_of_both_sides() {
        assert!(SYNONYMS.is_sorted_by_key(|(name, _)| *name));
        for (name, synonyms) in SYNONYMS {
            assert!(table::find(Side::Topic, name).is_some(), "{name}");
            for (broker, _) in *synonyms {
                assert!(table::find(Side::Broker, broker).is_some(), "{broker}");
            }
        }
    }

    #[test]
    fn the_topics_value_counts_before_the_brokers_and_that_before_the_default() {
        let hours = ("log.retention.hours", "2");
        let week = (7 * 24 * 3_600_000).to_string();
        assert_eq!(described("retention.ms", &[], &[]), (week, ConfigSource::Default, 1));
        let (value, source, sources) = described("retention.ms", &[], &[hours]);
        assert_eq!((value.as_str(), source, sources), ("7200000", ConfigSource::Broker, 2));
        let (value, source, sources) =
            described("retention.ms", &[("retention.ms", "5")], &[hours]);
        assert_eq!((value.as_str(), source, sources), ("5", ConfigSource::Topic, 3));
        let for_ever = ("log.retention.hours", "-1");
        assert_eq!(described("retention.ms", &[], &[for_ever]).0, "-1");
    }
}
