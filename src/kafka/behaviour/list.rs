//! All policies as one value, and what a file may say of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::table::SWITCHES;
use crate::kafka::{
    config::ProducerPolicy, controller::Policies, log::LogPolicy, raft::QuorumPolicies,
    replica::ReplicaPolicy,
};

/// How a cluster and its clients behave where Kafka has changed its mind; by default as at present.
///
/// Written as one flat table of what differs from the default: `truncation = "high-watermark"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Behaviour {
    pub replica: ReplicaPolicy,
    pub quorum: QuorumPolicies,
    pub controller: Policies,
    pub log: LogPolicy,
    pub producer: ProducerPolicy,
}

/// One thing that Kafka has done in more than one way.
#[derive(Debug)]
pub struct Switch {
    /// As in a file.
    pub key: &'static str,
    /// What it decides, in a sentence.
    pub meaning: &'static str,
    /// The default first.
    pub choices: &'static [Choice],
    pub(super) is: fn(&Behaviour, &'static str) -> bool,
    pub(super) set: fn(&mut Behaviour, &'static str),
}

/// One way of doing it.
#[derive(PartialEq, Eq, Debug)]
pub struct Choice {
    /// As in a file.
    pub name: &'static str,
    /// Kafka's versions that did it: `since 2.7`, `before 0.11`.
    pub versions: &'static str,
    /// What it does and, of a former behaviour, what goes wrong, in a sentence or two.
    pub effect: &'static str,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BehaviourError {
    #[error("no behaviour is called `{0}`")]
    UnknownKey(String),
    #[error("`{key}` cannot be `{value}`, allowed: {}", names(.allowed))]
    UnknownValue { key: &'static str, value: String, allowed: &'static [Choice] },
}

fn names(choices: &[Choice]) -> String {
    choices.iter().map(|choice| choice.name).collect::<Vec<_>>().join(", ")
}

/// All of them: replicas, quorum, controller, logs, producers.
pub fn switches() -> &'static [Switch] {
    SWITCHES
}

/// The switch of that key.
pub fn find(key: &str) -> Option<&'static Switch> {
    switches().iter().find(|switch| switch.key == key)
}

impl Switch {
    /// What is done unless a file says otherwise: Kafka 4.1's behaviour, or a stricter one.
    pub fn default(&self) -> &'static Choice {
        &self.choices[0]
    }

    /// The choice of that name.
    pub fn choice(&self, name: &str) -> Option<&'static Choice> {
        self.choices.iter().find(|choice| choice.name == name)
    }

    /// What `behaviour` has chosen.
    pub fn chosen(&self, behaviour: &Behaviour) -> &'static Choice {
        let chosen = self.choices.iter().find(|choice| (self.is)(behaviour, choice.name));
        chosen.expect("every value of a policy has a choice in the table")
    }
}

impl Behaviour {
    /// Sets one by the names of a file.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BehaviourError> {
        let switch = find(key).ok_or_else(|| BehaviourError::UnknownKey(key.to_owned()))?;
        let choice = switch.choice(value).ok_or_else(|| BehaviourError::UnknownValue {
            key: switch.key,
            value: value.to_owned(),
            allowed: switch.choices,
        })?;
        (switch.set)(self, choice.name);
        Ok(())
    }

    /// Where it differs from the present behaviour, in the list's order.
    pub fn changed(&self) -> impl Iterator<Item = (&'static Switch, &'static Choice)> {
        let chosen = switches().iter().map(|switch| (switch, switch.chosen(self)));
        chosen.filter(|(switch, choice)| *choice != switch.default())
    }
}

impl From<Behaviour> for BTreeMap<String, String> {
    fn from(behaviour: Behaviour) -> Self {
        let text = |(switch, choice): (&Switch, &Choice)| (switch.key.into(), choice.name.into());
        behaviour.changed().map(text).collect()
    }
}

impl TryFrom<BTreeMap<String, String>> for Behaviour {
    type Error = BehaviourError;

    fn try_from(names: BTreeMap<String, String>) -> Result<Self, BehaviourError> {
        let mut behaviour = Behaviour::default();
        for (key, value) in &names {
            behaviour.set(key, value)?;
        }
        Ok(behaviour)
    }
}
