//! The cluster of a plan: its brokers, who of them decides on metadata, and the topics that are there from
//! the beginning.

use serde::{Deserialize, Serialize};

use super::{Action, ConfigMap, Plan};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// Named b1, b2, ...; those that steps add come on top.
    pub brokers: u32,
    pub controllers: Controllers,
    pub racks: Vec<String>,
    pub config: ConfigMap,
}

/// Who votes in the metadata quorum, and so may become the active controller: 1, 3 or 5 machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controllers {
    /// The first brokers, b1 and on, are controllers as well: `process.roles=broker,controller`.
    Combined(u32),
    /// Machines of their own, named c1, c2, ...: `process.roles=controller`.
    Apart(u32),
}

impl Controllers {
    /// How many there can be: with an even number no more of them may fail than with one less.
    pub const COUNTS: [u32; 3] = [1, 3, 5];

    /// Where a plan does not say: combined, and as many of the brokers as make 1, 3 or 5. `retrial serve`
    /// does the same.
    pub fn usual(brokers: u32) -> Self {
        Controllers::Combined(match brokers {
            0..3 => 1,
            3..5 => 3,
            _ => 5,
        })
    }

    /// Machines of the voters.
    pub fn names(self) -> impl Iterator<Item = String> {
        let (letter, count) = match self {
            Controllers::Combined(count) => ('b', count),
            Controllers::Apart(count) => ('c', count),
        };
        (1..=count).map(move |number| format!("{letter}{number}"))
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TopicPlan {
    pub partitions: u32,
    pub replication_factor: u32,
    /// Replica placement by broker name, one list per partition, the preferred leader first.
    pub replicas: Option<Vec<Vec<String>>>,
    pub config: ConfigMap,
}

impl Plan {
    /// Brokers that steps add, each with its rack, in the order of their numbers.
    pub fn added_brokers(&self) -> Vec<(&str, Option<&str>)> {
        let added = self.steps.iter().filter_map(|step| match &step.action {
            Action::AddBroker { broker, rack } => Some((broker.as_str(), rack.as_deref())),
            _ => None,
        });
        let mut added: Vec<_> = added.collect();
        added.sort_by_key(|(broker, _)| (broker.len(), *broker));
        added.dedup_by_key(|(broker, _)| *broker);
        added
    }
}
