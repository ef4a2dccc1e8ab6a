//! The clients against the real broker: two brokers in the simulated world.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::bench::{ms, text};
use crate::{
    env::{Address, Env},
    kafka::{
        behaviour::Behaviour,
        broker::{BrokerEndpoint, Event, InitialTopic, Node, NodeConfig, Observer},
        client::{
            Admin, AdminConfig, ClientError, Consumer, NewTopic, OffsetSpec, Producer,
            ProducerRecord,
        },
        config::{BrokerConfig, ConsumerConfig, ProducerConfig, Settings, Side},
        types::{BrokerId, Offset, TopicName, TopicPartition},
    },
    sim::{LinkControl, MachineOptions, World, run_beside},
};

const PORT: u16 = 9092;

struct Deaf;

impl Observer for Deaf {
    fn observe(&self, _: Event) {}
}

fn broker(id: i32) -> NodeConfig {
    let settings = Settings::new(Side::Broker);
    let endpoint = |id: i32| BrokerEndpoint {
        id: BrokerId(id),
        advertised: Address::new(format!("b{id}"), PORT),
        rack: None,
    };
    let leaders = [1, 2, 1, 2];
    NodeConfig {
        broker_id: BrokerId(id),
        cluster_id: "test".into(),
        listen: Address::new(format!("b{id}"), PORT),
        brokers: vec![endpoint(1), endpoint(2)],
        controllers: Vec::new(),
        voters: [BrokerId(1)].into(),
        topics: vec![InitialTopic {
            name: TopicName::from("t"),
            partitions: leaders.map(|leader| vec![BrokerId(leader)]).to_vec(),
            config: Vec::new(),
        }],
        config: BrokerConfig::from_settings(&settings).unwrap(),
        behaviour: Behaviour::default(),
    }
}

fn start_broker(world: &World, id: i32) {
    world.start(&format!("b{id}"), move |env| {
        Box::pin(async move {
            let node = Node::start(env, broker(id), Arc::new(Deaf)).await.unwrap();
            node.run(std::future::pending()).await.unwrap();
        })
    });
}

/// Runs `body` on a machine beside two brokers.
fn with_cluster<F>(body: impl FnOnce(World, Env) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let setup = |world: &World| {
        for name in ["b1", "b2", "c1"] {
            world.add_machine(name, MachineOptions::default());
        }
        start_broker(world, 1);
        start_broker(world, 2);
    };
    run_beside(11, "c1", setup, body);
}

fn bootstrap() -> Vec<Address> {
    vec![Address::new("b1", PORT), Address::new("b2", PORT)]
}

fn child(env: &Env, name: &str) -> Env {
    Env { rng: env.rng.child(name), ..env.clone() }
}

fn producer(env: &Env) -> Producer {
    let settings = Settings::new(Side::Producer);
    let config = ProducerConfig::from_settings(&settings).unwrap();
    Producer::new(&child(env, "producer"), &bootstrap(), config, None)
}

fn consumer(env: &Env) -> Consumer {
    let pairs = [("auto.offset.reset", "earliest")];
    let settings = Settings::from_pairs(Side::Consumer, pairs).unwrap();
    let config = ConsumerConfig::from_settings(&settings).unwrap();
    Consumer::new(&child(env, "consumer"), &bootstrap(), config, None).unwrap()
}

fn keyed(number: u32) -> ProducerRecord {
    let text = Bytes::from(number.to_string());
    ProducerRecord::new(TopicName::from("t"), Some(text.clone()), Some(text))
}

fn all() -> Vec<TopicPartition> {
    (0..4).map(|number| TopicPartition::new("t", number)).collect()
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<u32> {
    let mut values = Vec::new();
    while values.len() < count {
        let records = consumer.poll(ms(10_000)).await.unwrap();
        assert!(!records.is_empty(), "10 s without a record after {} of {count}", values.len());
        values.extend(records.iter().map(|(_, record)| text(record).parse::<u32>().unwrap()));
    }
    values.sort_unstable();
    values
}

#[test]
fn records_sent_over_two_brokers_are_consumed_once() {
    with_cluster(|_, env| async move {
        let producer = producer(&env);
        let mut sends = Vec::new();
        for number in 0..200 {
            sends.push(producer.send(keyed(number)).await.unwrap());
        }
        for send in sends {
            send.await.unwrap();
        }
        let mut consumer = consumer(&env);
        consumer.assign(all()).await.unwrap();
        assert_eq!(read(&mut consumer, 200).await, (0..200).collect::<Vec<_>>());
        assert!(consumer.poll(ms(1000)).await.unwrap().is_empty());
        let ends = consumer.end_offsets(&all()).await.unwrap();
        assert_eq!(ends.values().map(|offset| offset.0).sum::<i64>(), 200);
    });
}

#[test]
fn sends_live_through_kills_of_the_broker_once_each_and_in_order() {
    with_cluster(|world, env| async move {
        let producer = producer(&env);
        let clock = env.clock.clone();
        let chaos = world.clone();
        world.spawn(Box::pin(async move {
            for _ in 0..3 {
                chaos.sleep(ms(700)).await;
                chaos.kill("b1");
                chaos.sleep(ms(400)).await;
                start_broker(&chaos, 1);
            }
        }));
        let mut sends = Vec::new();
        for number in 0..400 {
            sends.push(producer.send(keyed(number)).await.unwrap());
            clock.sleep_until(clock.now() + ms(10)).await;
        }
        for send in sends {
            send.await.unwrap();
        }
        let mut consumer = consumer(&env);
        consumer.assign(all()).await.unwrap();
        assert_eq!(read(&mut consumer, 400).await, (0..400).collect::<Vec<_>>());
        assert!(consumer.poll(ms(1000)).await.unwrap().is_empty(), "nothing twice");
    });
}

#[test]
fn topics_are_created_once_and_described() {
    with_cluster(|_, env| async move {
        let admin = Admin::new(&child(&env, "admin"), &bootstrap(), AdminConfig::default());
        let brokers = admin.describe_cluster().await.unwrap();
        assert_eq!(brokers.iter().map(|broker| broker.id.0).collect::<Vec<_>>(), [1, 2]);
        let topic = NewTopic {
            name: TopicName::from("new"),
            partitions: 2,
            replication_factor: 1,
            settings: BTreeMap::new(),
        };
        let created = admin.create_topics(std::slice::from_ref(&topic)).await.unwrap();
        assert_eq!(created[&topic.name], Ok(()));
        let again = admin.create_topics(std::slice::from_ref(&topic)).await.unwrap();
        let exists = again[&topic.name].clone().unwrap_err();
        assert_eq!(exists.exception_name(), "TopicExistsException");
        assert!(matches!(exists, ClientError::Broker(_)));
        env.clock.sleep_until(env.clock.now() + Duration::from_secs(2)).await;
        let described = admin.describe_topics().await.unwrap();
        let new: Vec<_> =
            described.iter().filter(|part| part.partition.topic == topic.name).collect();
        assert_eq!(new.len(), 2);
        assert!(new.iter().all(|part| part.leader.is_some()));
        let ends = admin.list_offsets(&all(), OffsetSpec::Latest).await.unwrap();
        assert!(ends.len() == 4 && ends.values().all(|end| *end == Offset(0)));
    });
}

/// KIP-899: all that the metadata names may be out of reach while others have come back.
#[test]
fn a_client_that_reaches_no_broker_it_knows_starts_over_with_the_addresses_it_was_given() {
    for (strategy, arrives) in [("rebootstrap", true), ("none", false)] {
        with_cluster(move |world, env| async move {
            let clock = env.clock.clone();
            let sleep = |millis| clock.sleep_until(clock.now() + ms(millis));
            let pairs = [
                ("metadata.max.age.ms", "500"),
                ("request.timeout.ms", "1000"),
                ("delivery.timeout.ms", "60000"),
                ("socket.connection.setup.timeout.ms", "1000"),
                ("socket.connection.setup.timeout.max.ms", "1000"),
                ("metadata.recovery.strategy", strategy),
            ];
            let settings = Settings::from_pairs(Side::Producer, pairs).unwrap();
            let config = ProducerConfig::from_settings(&settings).unwrap();
            let producer = Producer::new(&child(&env, "producer"), &bootstrap(), config, None);
            producer.send(keyed(1)).await.unwrap().await.unwrap();
            world.kill("b2");
            // Its session ends: the metadata names b1 alone.
            sleep(12_000).await;
            world.links("c1", "b1").iter().for_each(LinkControl::sever);
            start_broker(&world, 2);
            sleep(5_000).await;
            let record = ProducerRecord { partition: Some(1), ..keyed(2) };
            let sent = producer.send(record).await.unwrap().await;
            assert_eq!(sent.is_ok(), arrives, "{strategy}: {sent:?}");
        });
    }
}
