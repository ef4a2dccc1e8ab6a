//! Where an attack happens: a broker, a machine for honest clients, and one for strangers.
//!
//! In the simulated world these are three machines and time is free; over TCP all is one process on the
//! loopback. The broker must still be there when the attack is over, and stop in order.

use std::{net::TcpListener, sync::Arc, time::Duration};

use retrial::{
    env::{self, Address, Env},
    kafka::{
        behaviour::Behaviour,
        broker::{BrokerEndpoint, Event, InitialTopic, Node, NodeConfig, Observer},
        config::{BrokerConfig, Settings, Side},
        types::{BrokerId, TopicName},
    },
    sim::{MachineOptions, World, WorldOptions},
};
use tokio::sync::oneshot;

/// One broker's settings.
pub type Pairs = &'static [(&'static str, &'static str)];

/// The topic that honest clients use: two partitions.
pub const TOPIC: &str = "t";

#[derive(Clone)]
pub struct Ground {
    pub broker: Address,
    pub honest: Env,
    pub strangers: Env,
    /// Whether waiting costs nothing.
    pub simulated: bool,
}

pub struct Deaf;

impl Observer for Deaf {
    fn observe(&self, _: Event) {}
}

impl Ground {
    pub async fn pause(&self, time: Duration) {
        self.honest.clock.sleep_until(self.honest.clock.now() + time).await;
    }

    /// A time that is long for the world.
    pub fn pick<T>(&self, simulated: T, over_tcp: T) -> T {
        if self.simulated { simulated } else { over_tcp }
    }
}

pub fn node(address: &Address, pairs: Pairs) -> NodeConfig {
    let small = [
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "2"),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    let pairs = small.iter().chain(pairs).copied();
    let settings = Settings::from_pairs(Side::Broker, pairs).unwrap();
    let (id, advertised) = (BrokerId(1), address.clone());
    NodeConfig {
        broker_id: id,
        cluster_id: "test".into(),
        listen: address.clone(),
        brokers: vec![BrokerEndpoint { id, advertised, rack: None }],
        controllers: Vec::new(),
        voters: [id].into(),
        topics: vec![InitialTopic {
            name: TopicName::from(TOPIC),
            partitions: vec![vec![id], vec![id]],
            config: Vec::new(),
        }],
        config: BrokerConfig::from_settings(&settings).unwrap(),
        behaviour: Behaviour::default(),
    }
}

/// Serves until told to stop, and stops in order.
pub async fn serve(env: Env, config: NodeConfig, stop: oneshot::Receiver<()>) {
    let node = Node::start(env, config, Arc::new(Deaf)).await.unwrap();
    let stop = async { stop.await.unwrap_or(()) };
    node.run(stop).await.unwrap();
}

pub fn simulated<F>(pairs: Pairs, attack: impl FnOnce(Ground) -> F + Send)
where
    F: Future<Output = ()>,
{
    in_a_world(|world| async move {
        let broker = Address::new("broker", 9092);
        for name in ["honest", "strangers", "broker"] {
            world.add_machine(name, MachineOptions::default());
        }
        let honest = env_of(&world, "honest").await;
        let strangers = env_of(&world, "strangers").await;
        let (stop, stopped) = oneshot::channel();
        let config = node(&broker, pairs);
        world.start("broker", |env| Box::pin(serve(env, config, stopped)));
        attack(Ground { broker, honest, strangers, simulated: true }).await;
        assert!(world.is_running("broker"));
        stop.send(()).unwrap();
        world.ended("broker").await;
    });
}

/// A thread per world, as the order of hash maps depends on a thread's history.
pub fn in_a_world<T, F>(body: impl FnOnce(World) -> F + Send) -> T
where
    T: Send,
    F: Future<Output = T>,
{
    std::thread::scope(|scope| {
        let run = || World::run(11, WorldOptions::default(), body);
        match scope.spawn(run).join() {
            Ok(result) => result.unwrap(),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// What a program on that machine has; the machine runs on.
pub async fn env_of(world: &World, name: &str) -> Env {
    let (sender, receiver) = oneshot::channel();
    world.start(name, |env| {
        Box::pin(async move {
            let _ = sender.send(env);
            std::future::pending().await
        })
    });
    receiver.await.unwrap()
}

pub fn over_tcp<F>(pairs: Pairs, attack: fn(Ground) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let on_panic = Arc::new(|name: &'static str| {
        eprintln!("task {name} panicked");
        std::process::abort();
    });
    runtime.block_on(async {
        let env = env::real::env(directory.path().to_owned(), 1, on_panic).unwrap();
        // The broker advertises its port, so it has to be known before it is bound.
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let broker = Address::new("127.0.0.1", port);
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(env.clone(), node(&broker, pairs), stopped));
        let env_of = |name| Env { rng: env.rng.child(name), ..env.clone() };
        let (honest, strangers) = (env_of("honest"), env_of("strangers"));
        attack(Ground { broker, honest, strangers, simulated: false }).await;
        stop.send(()).unwrap();
        served.await.unwrap();
    });
}
