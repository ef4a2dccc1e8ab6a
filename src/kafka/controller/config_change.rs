//! What a change of settings makes of those that were given before. Pure: nothing of it looks at a cluster.

use std::collections::BTreeMap;

use super::Refusal;
use crate::kafka::{
    config::{Kind, Side, find},
    metadata::{ConfigResource, MetadataRecord},
    protocol::ResponseError,
};

/// What is asked of the settings of a topic or node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigChange {
    /// These and no others.
    Replace(BTreeMap<String, String>),
    /// Each on its own.
    Adjust(BTreeMap<String, Adjustment>),
}

impl ConfigChange {
    pub fn names(&self) -> Vec<&String> {
        match self {
            ConfigChange::Replace(settings) => settings.keys().collect(),
            ConfigChange::Adjust(adjustments) => adjustments.keys().collect(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Adjustment {
    Set(String),
    /// Back to the default.
    Delete,
    /// Parts that a list gets, if it has them not.
    Append(String),
    /// Parts that a list loses.
    Subtract(String),
}

/// The settings after the change.
pub fn altered(
    side: Side,
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
                let mut list = list(side, name, present)?;
                for part in parts.split(',').map(str::to_owned) {
                    if !list.contains(&part) {
                        list.push(part);
                    }
                }
                Some(list.join(","))
            }
            Adjustment::Subtract(parts) => {
                let mut list = list(side, name, present)?;
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
fn list(
    side: Side,
    name: &str,
    present: &BTreeMap<String, String>,
) -> Result<Vec<String>, Refusal> {
    let row = find(side, name).filter(|row| matches!(row.kind, Kind::List(_)));
    let Some(row) = row else {
        let message = format!("Can't append to or subtract from {name}: its type is not a list.");
        return Err((ResponseError::InvalidConfig, message));
    };
    let text = present.get(name).map_or(row.default, String::as_str);
    Ok(text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// The records that make `after` of `before`. Settings of nodes are written also where they stay, since
/// the node reads files again for them.
pub fn changed_settings(
    resource: &ConfigResource,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    named: &ConfigChange,
) -> Vec<MetadataRecord> {
    let record = |name: &String, value| {
        let (resource, name) = (resource.clone(), name.clone());
        MetadataRecord::Config { resource, name, value }
    };
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let mut records: Vec<_> = gone.map(|name| record(name, None)).collect();
    let named = named.names();
    let again =
        |name: &String| matches!(resource, ConfigResource::Broker(_)) && named.contains(&name);
    let changed =
        after.iter().filter(|(name, value)| before.get(*name) != Some(*value) || again(name));
    records.extend(changed.map(|(name, value)| record(name, Some(value.clone()))));
    records
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Adjustment, ConfigChange, altered};
    use crate::kafka::config::Side;

    fn map<V: Clone>(pairs: &[(&str, V)]) -> BTreeMap<String, V> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn adjusted(
        present: &[(&str, &str)],
        name: &str,
        by: Adjustment,
    ) -> Option<BTreeMap<String, String>> {
        let present = map(present).into_iter().map(|(n, v)| (n, v.to_owned())).collect();
        altered(Side::Topic, &present, &ConfigChange::Adjust(map(&[(name, by)]))).ok()
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
        assert_eq!(
            altered(Side::Topic, &present, &ConfigChange::Replace(wanted.clone())),
            Ok(wanted)
        );
        let kept = ConfigChange::Adjust(map(&[("retention.ms", Adjustment::Delete)]));
        assert_eq!(altered(Side::Topic, &present, &kept), Ok(map(&[("flush.ms", "6".to_owned())])));
    }
}
