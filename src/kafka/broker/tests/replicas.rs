//! What tests of replication share: three brokers, of which the first alone votes and so is the controller, and
//! the second leads the one partition.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId as WireBrokerId, ElectLeadersRequest,
    FetchResponse, MetadataRequest, ProduceResponse,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    elect_leaders_request::TopicPartitions,
    metadata_request::MetadataRequestTopic,
    metadata_response::MetadataResponsePartition,
};

use super::{
    bench::{Wire, pause},
    requests::{fetch, produce, topic},
};
use crate::{
    env::{Address, Env},
    kafka::{
        behaviour::Behaviour,
        broker::{
            BrokerEndpoint, Event, InitialTopic, Node, NodeConfig, Observer, ReplicaChange,
            state::Broker,
        },
        config::{BrokerConfig, Settings, Side},
        protocol::batch::Batches,
        types::{BrokerId, Offset, TopicName},
    },
    sim::{Digest, LinkControl, MachineOptions, World, run_beside},
};

const PORT: u16 = 9092;
pub(super) const BROKERS: [&str; 3] = ["b1", "b2", "b3"];
/// `replica.lag.time.max.ms` of these brokers.
pub(super) const LAG: Duration = Duration::from_secs(4);
/// Long enough for a follower to fetch twice.
pub(super) const ROUNDS: Duration = Duration::from_millis(1500);

/// What all brokers told, and the brokers themselves.
#[derive(Default)]
pub(super) struct Stage {
    events: Mutex<Vec<(i32, Event)>>,
    brokers: Mutex<BTreeMap<i32, Arc<Broker>>>,
    settings: Vec<(&'static str, &'static str)>,
    topic_settings: Vec<(&'static str, &'static str)>,
}

struct Told {
    broker: i32,
    stage: Arc<Stage>,
}

impl Observer for Told {
    fn observe(&self, event: Event) {
        self.stage.events.lock().unwrap().push((self.broker, event));
    }
}

impl Stage {
    fn config(&self, id: i32) -> NodeConfig {
        let own = [("replica.lag.time.max.ms", "4000"), ("offsets.topic.num.partitions", "1")];
        let pairs = own.into_iter().chain(self.settings.iter().copied());
        let settings = Settings::from_pairs(Side::Broker, pairs).unwrap();
        let endpoint = |id: i32| BrokerEndpoint {
            id: BrokerId(id),
            advertised: Address::new(format!("b{id}"), PORT),
            rack: Some(format!("r{id}")),
        };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        NodeConfig {
            broker_id: BrokerId(id),
            cluster_id: "test".into(),
            listen: Address::new(format!("b{id}"), PORT),
            brokers: vec![endpoint(1), endpoint(2), endpoint(3)],
            controllers: Vec::new(),
            voters: [BrokerId(1)].into(),
            topics: vec![InitialTopic {
                name: TopicName::from("t"),
                partitions: vec![vec![BrokerId(2), BrokerId(3), BrokerId(1)]],
                config: self.topic_settings.iter().map(owned).collect(),
            }],
            config: BrokerConfig::from_settings(&settings).unwrap(),
            behaviour: Behaviour::default(),
        }
    }

    pub(super) fn start(self: &Arc<Self>, world: &World, id: i32) {
        self.start_at(world, id, PORT);
    }

    /// The broker listens there, and registers with that.
    pub(super) fn start_at(self: &Arc<Self>, world: &World, id: i32, port: u16) {
        let stage = Arc::clone(self);
        world.start(&format!("b{id}"), move |env| {
            Box::pin(async move {
                let told = Arc::new(Told { broker: id, stage: Arc::clone(&stage) });
                let mut config = stage.config(id);
                config.listen.port = port;
                let own = config.brokers.iter_mut().find(|broker| broker.id == BrokerId(id));
                own.expect("it is one of them").advertised.port = port;
                let node = Node::start(env, config, told).await.unwrap();
                stage.brokers.lock().unwrap().insert(id, Arc::clone(&node.broker));
                node.run(std::future::pending()).await.unwrap();
            })
        });
    }

    /// The broker as it last came up.
    pub(super) fn broker(&self, id: i32) -> Arc<Broker> {
        Arc::clone(&self.brokers.lock().unwrap()[&id])
    }

    /// What a broker's replica of the partition went through.
    pub(super) fn changes(&self, broker: i32) -> Vec<ReplicaChange> {
        let events = self.events.lock().unwrap();
        let of_broker = events.iter().filter(|(id, _)| *id == broker);
        let change = |(_, event): &(i32, Event)| match event {
            Event::Replica { partition, change, .. } if partition.topic.as_str() == "t" => {
                Some(change.clone())
            }
            _ => None,
        };
        of_broker.filter_map(change).collect()
    }

    /// How a broker's log of the partition was cut, synced at least up to where it is cut, and written by a fetch.
    pub(super) fn writes(&self, broker: i32) -> Vec<&'static str> {
        let mut upto = Offset(0);
        let events = self.events.lock().unwrap();
        let what = |(_, event): &(i32, Event)| match event {
            Event::Replica { partition, change, .. } if partition.topic.as_str() == "t" => {
                match change {
                    ReplicaChange::Truncated { to, .. } => {
                        upto = *to;
                        Some("cut")
                    }
                    ReplicaChange::Replicated(_) => Some("copied"),
                    _ => None,
                }
            }
            Event::Flushed { partition, upto: synced } if partition.topic.as_str() == "t" => {
                (*synced >= upto).then_some("synced")
            }
            _ => None,
        };
        events.iter().filter(|(id, _)| *id == broker).filter_map(what).collect()
    }
}

pub(super) fn with_replicas<F>(
    topic_settings: &[(&'static str, &'static str)],
    body: impl FnOnce(World, Env, Arc<Stage>) -> F + Send + 'static,
) -> Digest
where
    F: Future<Output = ()> + Send + 'static,
{
    with_settings(&[], topic_settings, body)
}

/// Runs `body` on a machine beside three brokers; the digest of what happened.
pub(super) fn with_settings<F>(
    settings: &[(&'static str, &'static str)],
    topic_settings: &[(&'static str, &'static str)],
    body: impl FnOnce(World, Env, Arc<Stage>) -> F + Send + 'static,
) -> Digest
where
    F: Future<Output = ()> + Send + 'static,
{
    let (settings, topic_settings) = (settings.to_vec(), topic_settings.to_vec());
    let stage = Arc::new(Stage { settings, topic_settings, ..Stage::default() });
    let started = Arc::clone(&stage);
    let setup = move |world: &World| {
        for name in BROKERS.into_iter().chain(["c1"]) {
            world.add_machine(name, MachineOptions::default());
        }
        (1..=3).for_each(|id| started.start(world, id));
    };
    run_beside(3, "c1", setup, |world, env| body(world, env, stage))
}

/// Cuts a broker off from the two others; whoever else talks to it goes on.
pub(super) fn cut_from_brokers(world: &World, broker: &str) {
    for other in BROKERS.into_iter().filter(|other| *other != broker) {
        world.links(broker, other).iter().for_each(LinkControl::sever);
    }
}

/// A connection to a broker that knows the topic.
pub(super) async fn open(env: &Env, broker: &str) -> Wire {
    let mut wire = Wire::open_to(env, broker).await;
    let asked = MetadataRequestTopic::default().with_name(Some(topic("t")));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    while wire.ask(12, &request).await.topics[0].error_code != 0 {
        pause(env, Duration::from_millis(50)).await;
    }
    wire
}

pub(super) fn code(answer: &ProduceResponse) -> i16 {
    answer.responses[0].partition_responses[0].error_code
}

/// Produces one record and tells the error code.
pub(super) async fn send(wire: &mut Wire, acks: i16, value: &'static str) -> i16 {
    code(&wire.ask(11, &produce(acks, "t", value)).await)
}

/// The partition as a broker's metadata has it; the ISR in order.
pub(super) async fn describe(wire: &mut Wire) -> MetadataResponsePartition {
    let asked = MetadataRequestTopic::default().with_name(Some(topic("t")));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    let mut partition = wire.ask(12, &request).await.topics[0].partitions[0].clone();
    partition.isr_nodes.sort();
    partition
}

pub(super) async fn isr(wire: &mut Wire) -> Vec<i32> {
    describe(wire).await.isr_nodes.iter().map(|id| id.0).collect()
}

pub(super) fn values(answer: &FetchResponse) -> Vec<String> {
    let data = &answer.responses[0].partitions[0];
    assert_eq!(data.error_code, 0);
    let records = Batches::new(data.records.clone().unwrap_or_default());
    let records = records.flat_map(|batch| batch.unwrap().records().unwrap());
    let text = |value: Option<bytes::Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    records.map(|record| text(record.unwrap().value)).collect()
}

/// All that a consumer of this broker sees, and the high watermark.
pub(super) async fn seen(wire: &mut Wire) -> (Vec<String>, i64) {
    let answer = wire.ask(12, &fetch(0, 1, Duration::ZERO)).await;
    (values(&answer), answer.responses[0].partitions[0].high_watermark)
}

/// Has the controller move the one partition of a topic.
pub(super) async fn reassign(env: &Env, name: &'static str, replicas: &[i32]) {
    let mut controller = Wire::open_to(env, "b1").await;
    let partition = ReassignablePartition::default()
        .with_replicas(Some(replicas.iter().copied().map(WireBrokerId).collect()));
    let reassigned =
        ReassignableTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(vec![reassigned]);
    let answer = controller.ask(0, &request).await;
    let code = answer.responses[0].partitions[0].error_code;
    assert_eq!((answer.error_code, code), (0, 0));
}

/// Has the controller prefer `leader` for the one partition of a topic, and elect it.
pub(super) async fn elect(env: &Env, name: &'static str, leader: i32) {
    reassign(env, name, &[leader, leader % 3 + 1, (leader + 1) % 3 + 1]).await;
    let mut controller = Wire::open_to(env, "b1").await;
    let elected = TopicPartitions::default().with_topic(topic(name)).with_partitions(vec![0]);
    let request = ElectLeadersRequest::default()
        .with_timeout_ms(10_000)
        .with_topic_partitions(Some(vec![elected]));
    let answer = controller.ask(2, &request).await;
    let code = answer.replica_election_results[0].partition_result[0].error_code;
    assert_eq!((answer.error_code, code), (0, 0));
}

/// Waits for a condition that comes true sooner or later.
macro_rules! until {
    ($env:expr, $what:literal, $is_so:expr) => {
        let deadline = $env.clock.now() + std::time::Duration::from_secs(60);
        while !$is_so {
            assert!($env.clock.now() < deadline, "not in a minute: {}", $what);
            super::bench::pause(&$env, std::time::Duration::from_millis(50)).await;
        }
    };
}
pub(super) use until;
