//! Who and what a file names: collected first, so that any part may refer to any other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::tree::{Entry, Node, Table, Value},
    cluster::DEFAULT_BROKERS,
};
use crate::{kafka::types::TopicPartition, testbed::plan::Controllers};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Subject {
    Broker,
    /// A controller that is no broker.
    Controller,
    Producer,
    Group,
    Member,
    Reader,
    Topic,
    Partition,
    /// All brokers and controllers together.
    Cluster,
}

/// What a file calls it.
const CLUSTER: &str = "cluster";

impl Subject {
    /// With its article.
    pub(super) fn word(self) -> &'static str {
        match self {
            Subject::Broker => "a broker",
            Subject::Controller => "a controller",
            Subject::Producer => "a producer",
            Subject::Group => "a group",
            Subject::Member => "a member of a group",
            Subject::Reader => "a reader",
            Subject::Topic => "a topic",
            Subject::Partition => "a partition",
            Subject::Cluster => "the cluster",
        }
    }
}

/// Read without complaint: what is wrong in a section is said when the section is decoded.
#[derive(Default, Debug)]
pub(super) struct Names {
    pub brokers: i64,
    /// Brokers that steps add.
    pub added: BTreeSet<String>,
    /// Controllers apart from the brokers.
    pub controllers: i64,
    /// Partitions of each topic, where they are given; those that steps add are counted.
    pub topics: BTreeMap<String, Option<i64>>,
    /// Partitions of the topics that are there from the beginning, where they are given.
    first_partitions: BTreeMap<String, i64>,
    /// Records of each producer, where they are given.
    pub producers: BTreeMap<String, Option<i64>>,
    /// Machine names of each group's members.
    pub groups: BTreeMap<String, Vec<String>>,
    pub readers: BTreeSet<String>,
    pub steps: BTreeSet<String>,
    /// Actors and machines that some step starts.
    pub started: BTreeSet<String>,
}

impl Names {
    pub(super) fn of(root: &Table) -> Self {
        let cluster = root.table("cluster");
        let mut names = Names { brokers: DEFAULT_BROKERS, ..Names::default() };
        if let Some(brokers) = cluster.and_then(|cluster| integer(cluster, "brokers")) {
            names.brokers = brokers;
        }
        let controllers = cluster.and_then(|cluster| cluster.table("controllers"));
        names.controllers = controllers.and_then(|apart| integer(apart, "apart")).unwrap_or(0);
        names.topics =
            named(root, "topics").map(|(name, topic)| (name, partitions(topic))).collect();
        let given =
            names.topics.iter().filter_map(|(topic, count)| Some((topic.clone(), (*count)?)));
        names.first_partitions = given.collect();
        let producers = named(root, "producers");
        names.producers = producers.map(|(name, one)| (name, integer(one, "records"))).collect();
        names.readers = named(root, "readers").map(|(name, _)| name).collect();
        names.groups = named(root, "groups")
            .map(|(name, group)| (name.clone(), members(&name, group.get("members"))))
            .collect();
        for step in steps(root) {
            names.steps.extend(text(step, "id"));
            match text(step, "do").as_deref() {
                Some("create-topic") => {
                    if let Some(topic) = text(step, "topic") {
                        names.topics.entry(topic).or_insert(integer(step, "partitions"));
                    }
                }
                Some("add-partitions") => {
                    let topic = text(step, "topic").and_then(|topic| names.topics.get_mut(&topic));
                    if let (Some(Some(count)), Some(more)) = (topic, integer(step, "partitions")) {
                        *count = (*count).max(more);
                    }
                }
                Some("add-broker") => names.added.extend(text(step, "node")),
                Some("start") => names.started.extend(text(step, "actor")),
                _ => {}
            }
        }
        names
    }

    /// What a name stands for. A partition must exist.
    pub(super) fn subject(&self, name: &str) -> Option<Subject> {
        if self.brokers().any(|broker| broker == name) {
            Some(Subject::Broker)
        } else if self.controllers().any(|controller| controller == name) {
            Some(Subject::Controller)
        } else if self.producers.contains_key(name) {
            Some(Subject::Producer)
        } else if self.groups.contains_key(name) {
            Some(Subject::Group)
        } else if self.members().any(|member| member == name) {
            Some(Subject::Member)
        } else if self.readers.contains(name) {
            Some(Subject::Reader)
        } else if self.topics.contains_key(name) {
            Some(Subject::Topic)
        } else if name == CLUSTER {
            Some(Subject::Cluster)
        } else {
            self.has_partition(&partition(name)?).then_some(Subject::Partition)
        }
    }

    /// Those of the beginning and those that steps add.
    pub(super) fn brokers(&self) -> impl Iterator<Item = String> {
        self.first_brokers().chain(self.added.iter().cloned())
    }

    /// Those that are there from the beginning.
    pub(super) fn first_brokers(&self) -> impl Iterator<Item = String> + use<> {
        (1..=self.brokers.clamp(0, 99)).map(|number| format!("b{number}"))
    }

    pub(super) fn first_partitions(&self, topic: &str) -> Option<i64> {
        self.first_partitions.get(topic).copied()
    }

    fn controllers(&self) -> impl Iterator<Item = String> + use<> {
        Controllers::Apart(self.controllers.clamp(0, 99) as u32).names()
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &String> {
        self.groups.values().flatten()
    }

    /// Names of those kinds, to suggest one; partitions by their topic's name and number.
    pub(super) fn all(&self, kinds: &[Subject]) -> Vec<String> {
        let of = |kind: &Subject| -> Vec<String> {
            match kind {
                Subject::Broker => self.brokers().collect(),
                Subject::Controller => self.controllers().collect(),
                Subject::Producer => self.producers.keys().cloned().collect(),
                Subject::Group => self.groups.keys().cloned().collect(),
                Subject::Member => self.members().cloned().collect(),
                Subject::Reader => self.readers.iter().cloned().collect(),
                Subject::Topic => self.topics.keys().cloned().collect(),
                Subject::Partition => self.partitions(),
                Subject::Cluster => vec![CLUSTER.to_owned()],
            }
        };
        kinds.iter().flat_map(of).collect()
    }

    fn partitions(&self) -> Vec<String> {
        let of = |(topic, count): (&String, &Option<i64>)| {
            let topic = topic.clone();
            (0..count.unwrap_or(1).clamp(0, 256)).map(move |index| format!("{topic}-{index}"))
        };
        self.topics.iter().flat_map(of).collect()
    }

    pub(super) fn has_partition(&self, partition: &TopicPartition) -> bool {
        let Some(count) = self.topics.get(partition.topic.as_str()) else { return false };
        count.is_none_or(|count| i64::from(partition.partition) < count)
    }
}

pub(super) fn partition(name: &str) -> Option<TopicPartition> {
    let partition = TopicPartition::try_from(name.to_owned()).ok()?;
    (partition.partition >= 0).then_some(partition)
}

/// Machine names of a group's members: `billing/1`, `billing/2`, or as the list names them.
pub(super) fn members(group: &str, given: Option<&Entry>) -> Vec<String> {
    match given.map(|entry| &entry.node.value) {
        None => vec![format!("{group}/1")],
        Some(Value::Integer(count)) => {
            (1..=(*count).clamp(0, 99)).map(|number| format!("{group}/{number}")).collect()
        }
        Some(Value::List(names)) => names
            .iter()
            .filter_map(|name| match &name.value {
                Value::Text(name) => Some(format!("{group}/{name}")),
                _ => None,
            })
            .collect(),
        Some(_) => Vec::new(),
    }
}

fn named<'t>(root: &'t Table, key: &str) -> impl Iterator<Item = (String, &'t Table)> + use<'t> {
    let entries = root.table(key).map(|table| table.entries.as_slice()).unwrap_or_default();
    entries.iter().filter_map(|entry| match &entry.node.value {
        Value::Table(table) => Some((entry.key.clone(), table)),
        _ => None,
    })
}

fn partitions(topic: &Table) -> Option<i64> {
    let listed = match topic.get("replicas").map(|entry| &entry.node.value) {
        Some(Value::List(lists)) => Some(lists.len() as i64),
        _ => None,
    };
    integer(topic, "partitions").or(listed)
}

fn steps(root: &Table) -> impl Iterator<Item = &Table> {
    let list: &[Node] = match root.get("step").map(|entry| &entry.node.value) {
        Some(Value::List(list)) => list,
        _ => &[],
    };
    list.iter().filter_map(|node| match &node.value {
        Value::Table(table) => Some(table),
        _ => None,
    })
}

fn integer(table: &Table, key: &str) -> Option<i64> {
    match &table.get(key)?.node.value {
        Value::Integer(value) => Some(*value),
        _ => None,
    }
}

fn text(table: &Table, key: &str) -> Option<String> {
    match &table.get(key)?.node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}
