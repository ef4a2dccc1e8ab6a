//! A producer and a consumer of our own beside an attack, and what they must have seen when it is over.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use retrial::{
    env::Env,
    kafka::{
        client::{Consumer, Producer, ProducerRecord},
        config::{ConsumerConfig, ProducerConfig, Settings, Side},
        types::TopicName,
    },
};

use super::ground::{Ground, TOPIC};

const PACE: Duration = Duration::from_millis(20);
/// Records that must get through before, and after, the attack.
const ENOUGH: usize = 5;

#[derive(Default)]
struct Progress {
    acked: AtomicUsize,
    read: AtomicUsize,
    attack_is_over: AtomicBool,
    producer_is_done: AtomicBool,
}

/// Runs the attack while records are sent and read; then every acked record has been read, once and in
/// order, and none had to wait for long.
pub async fn beside_honest_clients(ground: &Ground, attack: impl Future<Output = ()>) {
    let progress = Progress::default();
    let attacked = async {
        reach(ground, &progress.read, ENOUGH).await;
        attack.await;
        reach(ground, &progress.read, progress.acked.load(Relaxed) + ENOUGH).await;
        progress.attack_is_over.store(true, Relaxed);
    };
    let (acked, read, ()) =
        tokio::join!(produce(ground, &progress), consume(ground, &progress), attacked);
    assert_eq!(read, acked);
}

async fn reach(ground: &Ground, count: &AtomicUsize, goal: usize) {
    while count.load(Relaxed) < goal {
        ground.pause(PACE).await;
    }
}

fn env_of(ground: &Ground, name: &str) -> Env {
    Env { rng: ground.honest.rng.child(name), ..ground.honest.clone() }
}

async fn produce(ground: &Ground, progress: &Progress) -> Vec<String> {
    let config = ProducerConfig::from_settings(&Settings::new(Side::Producer)).unwrap();
    let env = env_of(ground, "producer");
    let producer = Producer::new(&env, std::slice::from_ref(&ground.broker), config, None);
    let longest = ground.pick(Duration::from_secs(1), Duration::from_secs(20));
    let mut acked = Vec::new();
    while !progress.attack_is_over.load(Relaxed) {
        let value = format!("{}", acked.len());
        let bytes = Bytes::copy_from_slice(value.as_bytes());
        let mut record = ProducerRecord::new(TopicName::from(TOPIC), None, Some(bytes));
        record.partition = Some(0);
        let start = env.clock.now();
        producer.send(record).await.unwrap().await.unwrap();
        let waited = env.clock.now() - start;
        assert!(acked.is_empty() || waited < longest, "an honest record waited {waited:?}");
        acked.push(value);
        progress.acked.store(acked.len(), Relaxed);
        ground.pause(PACE).await;
    }
    progress.producer_is_done.store(true, Relaxed);
    acked
}

async fn consume(ground: &Ground, progress: &Progress) -> Vec<String> {
    let pairs = [("group.id", "honest"), ("auto.offset.reset", "earliest")];
    let settings = Settings::from_pairs(Side::Consumer, pairs).unwrap();
    let config = ConsumerConfig::from_settings(&settings).unwrap();
    let env = env_of(ground, "consumer");
    let bootstrap = std::slice::from_ref(&ground.broker);
    let mut consumer = Consumer::new(&env, bootstrap, config, None).unwrap();
    consumer.subscribe([TopicName::from(TOPIC)], None).await.unwrap();
    let mut read = Vec::new();
    while !progress.producer_is_done.load(Relaxed) || read.len() < progress.acked.load(Relaxed) {
        let records = consumer.poll(Duration::from_millis(100)).await.unwrap();
        let here = records.iter().filter(|(partition, _)| partition.partition == 0);
        let values = here.map(|(_, record)| record.value.clone().unwrap());
        read.extend(values.map(|value| String::from_utf8(value.to_vec()).unwrap()));
        progress.read.store(read.len(), Relaxed);
    }
    consumer.close(Duration::from_secs(5)).await;
    read
}
