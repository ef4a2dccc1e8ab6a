//! The brokers of a plan: where their partitions lie, and the program that runs one.

use std::sync::Arc;

use super::{
    observe::BrokerJournal,
    stage::{Exit, Program, Stage},
};
use crate::{
    env::Address,
    kafka::{
        behaviour::Behaviour,
        broker::{BrokerEndpoint, InitialTopic, Node, NodeConfig},
        config::{BrokerConfig, ConfigError, Settings, Side},
        types::{BrokerId, TopicPartition},
    },
    testbed::{
        history::NodeName,
        plan::{Plan, TopicPlan},
    },
};

/// Kafka's own.
pub const BROKER_PORT: u16 = 9092;
/// Any fixed text does.
const CLUSTER_ID: &str = "retrial-cluster";

/// Which broker leads what, from the plan.
#[derive(Clone, Debug)]
pub struct Placement {
    brokers: u32,
    topics: Vec<InitialTopic>,
}

fn broker_name(id: BrokerId) -> NodeName {
    format!("b{id}").into()
}

impl Placement {
    /// Explicit replicas where the plan has them, otherwise brokers in turn, each topic beginning with the
    /// next broker and each partition's followers being the brokers after its leader.
    pub fn of(plan: &Plan) -> Self {
        let brokers = plan.cluster.brokers.max(1);
        let topic = |(index, (name, topic)): (usize, (&String, &TopicPlan))| InitialTopic {
            name: name.as_str().into(),
            partitions: match &topic.replicas {
                Some(replicas) => replicas.iter().map(|names| ids(names)).collect(),
                None => (0..topic.partitions)
                    .map(|partition| {
                        let replica = |of| (index as u32 + partition + of) % brokers + 1;
                        let factor = topic.replication_factor.clamp(1, brokers);
                        (0..factor).map(|of| BrokerId(replica(of) as i32)).collect()
                    })
                    .collect(),
            },
            config: topic.config.iter().map(|(n, value)| (n.clone(), value.clone())).collect(),
        };
        Placement { brokers, topics: plan.topics.iter().enumerate().map(topic).collect() }
    }

    pub fn leader(&self, partition: &TopicPartition) -> Option<NodeName> {
        let topic = self.topics.iter().find(|topic| topic.name == partition.topic)?;
        let replicas = topic.partitions.get(usize::try_from(partition.partition).ok()?)?;
        Some(broker_name(*replicas.first()?))
    }

    /// The broker with the lowest id.
    pub fn controller(&self) -> Option<NodeName> {
        Some(broker_name(BrokerId(1)))
    }

    /// Names of all brokers.
    pub fn brokers(&self) -> impl Iterator<Item = NodeName> + use<> {
        (1..=self.brokers).map(|id| broker_name(BrokerId(id as i32)))
    }
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

/// Puts every broker of the plan on its machine, not started yet.
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
    let endpoint = |id: u32| BrokerEndpoint {
        id: BrokerId(id as i32),
        advertised: Address::new(&*broker_name(BrokerId(id as i32)), BROKER_PORT),
        rack: plan.cluster.racks.get(id as usize - 1).cloned(),
    };
    let brokers: Vec<_> = (1..=placement.brokers).map(endpoint).collect();
    for BrokerEndpoint { id, advertised, .. } in &brokers {
        let node = NodeConfig {
            broker_id: *id,
            cluster_id: CLUSTER_ID.into(),
            listen: advertised.clone(),
            brokers: brokers.clone(),
            voters: NodeConfig::first_voters(&brokers),
            topics: placement.topics.clone(),
            config: config.clone(),
            behaviour: Behaviour::default(),
        };
        let name = broker_name(*id);
        let journal = BrokerJournal::new(stage.clone(), name.clone());
        stage.add(name, program(node, Arc::new(journal)));
    }
    Ok(())
}

fn program(config: NodeConfig, journal: Arc<BrokerJournal>) -> Program {
    Arc::new(move |env, _start| {
        let (config, journal) = (config.clone(), Arc::clone(&journal));
        Box::pin(async move {
            let observer = Arc::clone(&journal);
            let ended = match Node::start(env, config, observer).await {
                // A simulated operator stops brokers by killing them.
                Ok(node) => node.run(std::future::pending()).await,
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
