//! What the tests of the clients share: a world with a scripted broker, and clients in it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;

use super::broker::{Broker, PORT, Script};
use crate::{
    env::{Address, BoxFuture, Env},
    kafka::{
        client::{ClientEvent, ClientObserver, Consumer, ConsumerRecord, Producer, ProducerRecord},
        config::{ConsumerConfig, ProducerConfig, ProducerPolicy, Settings, Side},
        types::{TopicName, TopicPartition},
    },
    sim::{MachineOptions, World, run_beside},
};

/// Events in order.
#[derive(Default)]
pub(super) struct Observed(Mutex<Vec<ClientEvent>>);

impl ClientObserver for Observed {
    fn observe(&self, event: ClientEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Observed {
    pub(super) fn count(&self, wanted: impl Fn(&ClientEvent) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }
}

/// What a test has on its client machines.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) env: Env,
    pub(super) broker: Arc<Broker>,
    pub(super) world: World,
}

impl Bench {
    pub(super) fn bootstrap(&self) -> Vec<Address> {
        vec![Address::new("b1", PORT)]
    }

    /// Another client of the same machine, with random streams of its own.
    pub(super) fn env_of(&self, client: &str) -> Env {
        Env { rng: self.env.rng.child(client), ..self.env.clone() }
    }

    pub(super) fn producer(&self, settings: &[(&str, &str)]) -> (Producer, Arc<Observed>) {
        self.producer_under(ProducerPolicy::default(), settings)
    }

    pub(super) fn producer_under(
        &self,
        policy: ProducerPolicy,
        settings: &[(&str, &str)],
    ) -> (Producer, Arc<Observed>) {
        let settings = Settings::from_pairs(Side::Producer, settings.iter().copied()).unwrap();
        let config = ProducerConfig::from_settings(&settings).unwrap();
        let config = ProducerConfig { policy, ..config };
        let observed = Arc::new(Observed::default());
        let env = self.env_of("producer");
        let producer = Producer::new(&env, &self.bootstrap(), config, Some(observed.clone()));
        (producer, observed)
    }

    pub(super) fn consumer(
        &self,
        name: &str,
        settings: &[(&str, &str)],
    ) -> (Consumer, Arc<Observed>) {
        let settings = Settings::from_pairs(Side::Consumer, settings.iter().copied()).unwrap();
        let config = ConsumerConfig::from_settings(&settings).unwrap();
        let observed = Arc::new(Observed::default());
        let env = self.env_of(name);
        let consumer = Consumer::new(&env, &self.bootstrap(), config, Some(observed.clone()));
        (consumer.unwrap(), observed)
    }

    pub(super) async fn sleep(&self, millis: u64) {
        self.env.clock.sleep_until(self.env.clock.now() + ms(millis)).await;
    }
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

pub(super) fn record(value: &str) -> ProducerRecord {
    let value = Bytes::copy_from_slice(value.as_bytes());
    let mut record = ProducerRecord::new(TopicName::from("t"), None, Some(value));
    record.partition = Some(0);
    record
}

pub(super) fn text(record: &ConsumerRecord) -> String {
    String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
}

/// Runs `body` on a client machine against a broker with topic `t` of that many partitions.
pub(super) fn with_broker<F>(
    partitions: i32,
    script: Script,
    body: impl FnOnce(Bench) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let broker = Arc::new(Broker::new(partitions, script));
    let served = Arc::clone(&broker);
    let setup = move |world: &World| {
        world.add_machine("b1", MachineOptions::default());
        world.add_machine("c1", MachineOptions::default());
        world.start("b1", move |env| -> BoxFuture<'static, ()> {
            Box::pin(async move { served.serve(env, "b1").await })
        });
    };
    run_beside(7, "c1", setup, |world, env| body(Bench { env, broker, world }));
}
