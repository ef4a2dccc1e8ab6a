//! The brokers and controllers of a plan: where partitions lie, and the program that runs a node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    metadata_events::MetadataTold,
    observe::BrokerJournal,
    stage::{Exit, Program, Stage},
};
use crate::{
    env::Address,
    kafka::{
        broker::{BrokerEndpoint, InitialTopic, Node, NodeConfig},
        config::{BrokerConfig, ConfigError, Settings, Side},
        types::{BrokerId, TopicPartition},
    },
    testbed::{
        history::NodeName,
        plan::{Controllers, Plan, TopicPlan},
    },
};

/// Kafka's own.
pub const BROKER_PORT: u16 = 9092;
/// Any fixed text does.
const CLUSTER_ID: &str = "retrial-cluster";

/// Which broker keeps what in the beginning, from the plan.
#[derive(Clone, Debug)]
pub struct Placement {
    brokers: u32,
    controllers: Controllers,
    topics: Vec<InitialTopic>,
}

/// Machines that are controllers alone have ids from here on, out of the way of brokers that are added.
const FIRST_CONTROLLER: i32 = 3001;

/// The machine that has this id.
pub(super) fn machine_name(id: BrokerId) -> NodeName {
    if id.0 >= FIRST_CONTROLLER {
        format!("c{}", id.0 - FIRST_CONTROLLER + 1).into()
    } else {
        format!("b{id}").into()
    }
}

/// Of those who vote on the metadata.
fn voter_ids(controllers: Controllers) -> BTreeSet<BrokerId> {
    let (first, count) = match controllers {
        Controllers::Combined(count) => (1, count),
        Controllers::Apart(count) => (FIRST_CONTROLLER, count),
    };
    (first..).take(count as usize).map(BrokerId).collect()
}

impl Placement {
    /// Explicit replicas where the plan has them, otherwise brokers in turn, each topic and each partition
    /// beginning with the next broker; with racks, in an order in which racks take turns.
    pub fn of(plan: &Plan) -> Self {
        let brokers = plan.cluster.brokers.max(1);
        let order = by_turns(brokers, &plan.cluster.racks);
        let replicas = |first: usize, factor: u32| -> Vec<BrokerId> {
            (first..).take(factor as usize).map(|next| order[next % order.len()]).collect()
        };
        let topic = |(index, (name, topic)): (usize, (&String, &TopicPlan))| InitialTopic {
            name: name.as_str().into(),
            partitions: match &topic.replicas {
                Some(replicas) => replicas.iter().map(|names| ids(names)).collect(),
                None => (index..)
                    .take(topic.partitions as usize)
                    .map(|first| replicas(first, topic.replication_factor))
                    .collect(),
            },
            config: topic.config.iter().map(|(n, value)| (n.clone(), value.clone())).collect(),
        };
        let topics = plan.topics.iter().enumerate().map(topic).collect();
        Placement { brokers, controllers: plan.cluster.controllers, topics }
    }

    pub fn leader(&self, partition: &TopicPartition) -> Option<NodeName> {
        self.replicas(partition).into_iter().next()
    }

    /// The preferred leader first.
    pub fn replicas(&self, partition: &TopicPartition) -> Vec<NodeName> {
        let topic = self.topics.iter().find(|topic| topic.name == partition.topic);
        let index = usize::try_from(partition.partition).ok();
        let replicas = topic.zip(index).and_then(|(topic, index)| topic.partitions.get(index));
        replicas.into_iter().flatten().map(|id| machine_name(*id)).collect()
    }

    /// Who may become the active controller.
    pub fn voters(&self) -> Vec<NodeName> {
        self.controllers.names().map(NodeName::from).collect()
    }

    /// Names of the controllers that are not brokers.
    pub fn controllers(&self) -> impl Iterator<Item = NodeName> + use<> {
        let apart = voter_ids(self.controllers).into_iter().filter(|id| id.0 >= FIRST_CONTROLLER);
        apart.map(machine_name)
    }

    /// Names of all brokers.
    pub fn brokers(&self) -> impl Iterator<Item = NodeName> + use<> {
        (1..=self.brokers).map(|id| machine_name(BrokerId(id as i32)))
    }
}

/// Brokers in an order in which racks take turns, as far as they go; by number without racks.
fn by_turns(brokers: u32, racks: &[String]) -> Vec<BrokerId> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<(usize, i32)> = Vec::new();
    for id in 1..=brokers as i32 {
        let rack = racks.get(id as usize - 1).map_or("", String::as_str);
        let place = places.entry(rack).or_default();
        order.push((if racks.is_empty() { 0 } else { *place }, id));
        *place += 1;
    }
    order.sort_unstable();
    order.into_iter().map(|(_, id)| BrokerId(id)).collect()
}

/// Broker ids of names like `b2`.
fn ids(names: &[String]) -> Vec<BrokerId> {
    let id = |name: &String| name.trim_start_matches('b').parse().ok().map(BrokerId);
    names.iter().filter_map(id).collect()
}

/// Addresses that clients ask first.
pub fn bootstrap(plan: &Plan) -> Vec<Address> {
    let placement = Placement::of(plan);
    placement.brokers().map(|name| Address::new(&*name, BROKER_PORT)).collect()
}

/// Puts every broker and controller of the plan on its machine, not started yet.
///
/// # Errors
/// What Kafka's broker refuses of `cluster.config`.
pub fn add_brokers(
    plan: &Plan,
    stage: &Stage,
    placement: &Placement,
) -> Result<(), Vec<ConfigError>> {
    let given = plan.cluster.config.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let config = BrokerConfig::from_settings(&Settings::from_pairs(Side::Broker, given)?)?;
    let endpoint = |id: BrokerId, rack: Option<&str>| BrokerEndpoint {
        id,
        advertised: Address::new(&*machine_name(id), BROKER_PORT),
        rack: rack.map(str::to_owned),
    };
    let voters = voter_ids(placement.controllers);
    let apart = voters.iter().filter(|id| id.0 >= FIRST_CONTROLLER);
    let controllers: Vec<_> = apart.map(|id| endpoint(*id, None)).collect();
    let rack = |id: u32| plan.cluster.racks.get(id as usize - 1).map(String::as_str);
    let mut brokers: Vec<_> =
        (1..=placement.brokers).map(|id| endpoint(BrokerId(id as i32), rack(id))).collect();
    let node = |endpoint: &BrokerEndpoint, brokers: &[BrokerEndpoint]| NodeConfig {
        broker_id: endpoint.id,
        cluster_id: CLUSTER_ID.into(),
        listen: endpoint.advertised.clone(),
        brokers: brokers.to_vec(),
        controllers: controllers.clone(),
        voters: voters.clone(),
        topics: placement.topics.clone(),
        config: config.clone(),
        behaviour: plan.behaviour,
    };
    let first = brokers.iter().chain(&controllers);
    let mut nodes: Vec<_> = first.map(|one| node(one, &brokers)).collect();
    for (name, rack) in plan.added_brokers() {
        let Some(id) = ids(&[name.to_owned()]).first().copied() else { continue };
        let added = endpoint(id, rack);
        brokers.push(added.clone());
        nodes.push(node(&added, &brokers));
    }
    let told = MetadataTold::default();
    for node in nodes {
        let name = machine_name(node.broker_id);
        let journal = BrokerJournal::new(stage.clone(), name.clone(), told.clone());
        let program = program(node, Arc::new(journal), stage.clone());
        stage.add(name, program);
    }
    Ok(())
}

fn program(config: NodeConfig, journal: Arc<BrokerJournal>, stage: Stage) -> Program {
    let name = machine_name(config.broker_id);
    Arc::new(move |env, _start| {
        let (config, journal) = (config.clone(), Arc::clone(&journal));
        let farewell = stage.farewell(&name);
        Box::pin(async move {
            let observer = Arc::clone(&journal);
            let ended = match Node::start(env, config, observer).await {
                Ok(node) => node.run(farewell).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => Exit::Orderly,
                Err(error) => {
                    journal.died(&error.to_string());
                    Exit::Died
                }
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{machine_name, voter_ids};
    use crate::testbed::plan::Controllers;

    #[test]
    fn voters_are_the_machines_that_the_plan_names() {
        for controllers in [Controllers::Combined(3), Controllers::Apart(5)] {
            let named: Vec<_> = controllers.names().collect();
            let machines = voter_ids(controllers).into_iter().map(machine_name);
            assert!(machines.eq(named.iter().map(|name| name.as_str().into())), "{named:?}");
        }
    }
}
