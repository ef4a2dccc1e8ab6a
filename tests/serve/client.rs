//! The project's own clients over the operating system's network.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use retrial::{
    env::{self, Address, Env},
    kafka::{
        client::{Admin, AdminConfig, Consumer, NewTopic, Producer, ProducerRecord},
        config::{ConsumerConfig, ProducerConfig, Settings, Side},
        types::TopicName,
    },
};

pub const TOPIC: &str = "orders";

/// Runs a client's side on a runtime of its own.
pub fn run<T>(body: impl AsyncFnOnce(Env) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let on_panic = Arc::new(|name: &'static str| {
        eprintln!("task {name} panicked");
        std::process::abort();
    });
    runtime.block_on(async {
        body(env::real::env(directory.path().to_owned(), 1, on_panic).unwrap()).await
    })
}

fn child(env: &Env, name: &str) -> Env {
    Env { rng: env.rng.child(name), ..env.clone() }
}

pub fn admin(env: &Env, bootstrap: &[Address]) -> Admin {
    Admin::new(&child(env, "admin"), bootstrap, AdminConfig::default())
}

pub async fn create_topic(env: &Env, bootstrap: &[Address], partitions: i32) {
    let topic = NewTopic {
        name: TopicName::from(TOPIC),
        partitions,
        replication_factor: 1,
        settings: BTreeMap::new(),
    };
    let created = admin(env, bootstrap).create_topics(&[topic]).await.unwrap();
    assert_eq!(created[&TopicName::from(TOPIC)], Ok(()));
}

/// Gives up on a record soon after its broker has died.
pub fn producer(env: &Env, bootstrap: &[Address]) -> Producer {
    let settings =
        [("linger.ms", "0"), ("request.timeout.ms", "1000"), ("delivery.timeout.ms", "1000")];
    let settings = Settings::from_pairs(Side::Producer, settings).unwrap();
    let config = ProducerConfig::from_settings(&settings).unwrap();
    Producer::new(&child(env, "producer"), bootstrap, config, None)
}

pub fn record(number: u32) -> ProducerRecord {
    record_of(TOPIC, number)
}

pub fn record_of(topic: &str, number: u32) -> ProducerRecord {
    let text = Bytes::from(number.to_string());
    ProducerRecord::new(TopicName::from(topic), Some(text.clone()), Some(text))
}

/// Sends these and waits for every acknowledgement.
pub async fn produce(env: &Env, bootstrap: &[Address], numbers: std::ops::Range<u32>) {
    let producer = producer(env, bootstrap);
    let mut sends = Vec::new();
    for number in numbers {
        sends.push(producer.send(record(number)).await.unwrap());
    }
    for send in sends {
        send.await.unwrap();
    }
}

/// Reads `count` records as the only member of a group, from where it committed, and commits.
pub async fn consume(env: &Env, bootstrap: &[Address], count: usize) -> Vec<u32> {
    let settings = [("group.id", "shop"), ("auto.offset.reset", "earliest")];
    let settings = Settings::from_pairs(Side::Consumer, settings).unwrap();
    let config = ConsumerConfig::from_settings(&settings).unwrap();
    let mut consumer = Consumer::new(&child(env, "consumer"), bootstrap, config, None).unwrap();
    consumer.subscribe([TopicName::from(TOPIC)], None).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < count {
        // A broker that was killed is taken back when its session has ended: 9 s, and a retry.
        let polled = consumer.poll(Duration::from_secs(30)).await.unwrap();
        assert!(!polled.is_empty(), "30 s without a record after {} of {count}", numbers.len());
        for (_, record) in polled.iter() {
            let text = record.value.as_deref().unwrap();
            numbers.push(str::from_utf8(text).unwrap().parse().unwrap());
        }
    }
    consumer.commit_sync(None).await.unwrap();
    consumer.close(Duration::from_secs(10)).await;
    numbers.sort_unstable();
    numbers
}
