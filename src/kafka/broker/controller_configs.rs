//! The controller's changes of topics' settings.
//!
//! Departure: no setting of a broker can change while it runs; Kafka has some that can.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    controller::{Commitment, Refusal},
    state::Broker,
};
use crate::kafka::{
    config::{Kind, Settings, Side, find},
    metadata::MetadataRecord,
    protocol::ResponseError,
    types::TopicName,
};

/// What is asked of a topic's settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ConfigChange {
    /// These and no others.
    Replace(BTreeMap<String, String>),
    /// Each on its own.
    Adjust(BTreeMap<String, Adjustment>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Adjustment {
    Set(String),
    /// Back to the default.
    Delete,
    /// Parts that a list gets, if it has them not.
    Append(String),
    /// Parts that a list loses.
    Subtract(String),
}

impl Broker {
    /// Changes a topic's settings, on the controller.
    pub async fn alter_topic_config(
        self: &Arc<Self>,
        topic: &str,
        change: &ConfigChange,
        commitment: Commitment,
    ) -> Result<(), Refusal> {
        let _turn = self.take_turn().await?;
        let image = self.metadata.image();
        let Some(topic) = image.topic(topic) else {
            let message = format!("The topic '{topic}' does not exist.");
            return Err((ResponseError::UnknownTopicOrPartition, message));
        };
        let altered = altered(&topic.config, change)?;
        check(&altered, self)?;
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        let records = records(&topic.name, &topic.config, altered);
        if records.is_empty() { Ok(()) } else { self.commit(&records).await }
    }
}

/// The settings after the change.
fn altered(
    present: &BTreeMap<String, String>,
    change: &ConfigChange,
) -> Result<BTreeMap<String, String>, Refusal> {
    let adjustments = match change {
        ConfigChange::Replace(settings) => return Ok(settings.clone()),
        ConfigChange::Adjust(adjustments) => adjustments,
    };
    let mut settings = present.clone();
    for (name, adjustment) in adjustments {
        let value = match adjustment {
            Adjustment::Set(value) => Some(value.clone()),
            Adjustment::Delete => None,
            Adjustment::Append(parts) => {
                let mut list = list(name, present)?;
                for part in parts.split(',').map(str::to_owned) {
                    if !list.contains(&part) {
                        list.push(part);
                    }
                }
                Some(list.join(","))
            }
            Adjustment::Subtract(parts) => {
                let mut list = list(name, present)?;
                list.retain(|known| !parts.split(',').any(|part| part == known));
                Some(list.join(","))
            }
        };
        match value {
            Some(value) => settings.insert(name.clone(), value),
            None => settings.remove(name),
        };
    }
    Ok(settings)
}

/// The parts of a list; of its default if it is not set.
fn list(name: &str, present: &BTreeMap<String, String>) -> Result<Vec<String>, Refusal> {
    let row = find(Side::Topic, name).filter(|row| matches!(row.kind, Kind::List(_)));
    let Some(row) = row else {
        let message = format!("Can't append to or subtract from {name}: its type is not a list.");
        return Err((ResponseError::InvalidConfig, message));
    };
    let text = present.get(name).map_or(row.default, String::as_str);
    Ok(text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

fn check(settings: &BTreeMap<String, String>, broker: &Broker) -> Result<(), Refusal> {
    let given = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let checked = Settings::from_pairs(Side::Topic, given)
        .and_then(|settings| broker.config.config.topic_defaults.over(&settings));
    checked.map(|_| ()).map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        (ResponseError::InvalidConfig, errors.join("; "))
    })
}

fn records(
    topic: &TopicName,
    before: &BTreeMap<String, String>,
    after: BTreeMap<String, String>,
) -> Vec<MetadataRecord> {
    let record = |name: &String, value| {
        let (topic, name) = (topic.clone(), name.clone());
        MetadataRecord::TopicConfig { topic, name, value }
    };
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let mut records: Vec<_> = gone.map(|name| record(name, None)).collect();
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    records.extend(changed.map(|(name, value)| record(name, Some(value.clone()))));
    records
}

/// As the settings of a new topic are checked.
pub(super) fn check_new(
    given: &[(String, Option<String>)],
    broker: &Broker,
) -> Result<(), Refusal> {
    let mut settings = BTreeMap::new();
    for (name, value) in given {
        let Some(value) = value else {
            let message = format!("Null value not supported for topic configs: {name}");
            return Err((ResponseError::InvalidConfig, message));
        };
        settings.insert(name.clone(), value.clone());
    }
    check(&settings, broker)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Adjustment, ConfigChange, altered};

    fn map<V: Clone>(pairs: &[(&str, V)]) -> BTreeMap<String, V> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn adjusted(
        present: &[(&str, &str)],
        name: &str,
        by: Adjustment,
    ) -> Option<BTreeMap<String, String>> {
        let present = map(present).into_iter().map(|(n, v)| (n, v.to_owned())).collect();
        altered(&present, &ConfigChange::Adjust(map(&[(name, by)]))).ok()
    }

    #[test]
    fn lists_grow_and_shrink_from_their_default() {
        let policy = |value: &str| Some(map(&[("cleanup.policy", value.to_owned())]));
        let append = |text: &str| Adjustment::Append(text.into());
        assert_eq!(adjusted(&[], "cleanup.policy", append("compact")), policy("delete,compact"));
        assert_eq!(adjusted(&[], "cleanup.policy", append("delete")), policy("delete"));
        let both = [("cleanup.policy", "delete,compact")];
        let subtract = Adjustment::Subtract("delete".into());
        assert_eq!(adjusted(&both, "cleanup.policy", subtract), policy("compact"));
        assert_eq!(adjusted(&[], "retention.ms", append("5")), None);
    }

    #[test]
    fn what_is_replaced_is_all_there_is() {
        let present = map(&[("retention.ms", "5".to_owned()), ("flush.ms", "6".to_owned())]);
        let wanted = map(&[("flush.ms", "7".to_owned())]);
        assert_eq!(altered(&present, &ConfigChange::Replace(wanted.clone())), Ok(wanted));
        let kept = ConfigChange::Adjust(map(&[("retention.ms", Adjustment::Delete)]));
        assert_eq!(altered(&present, &kept), Ok(map(&[("flush.ms", "6".to_owned())])));
    }
}
