//! What the tests share: one broker on a machine of its own, and a client that speaks bare requests.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{MetadataRequest, MetadataResponse, metadata_response::MetadataResponseBroker},
    protocol::Request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) use crate::kafka::broker::NodeConfig;
use crate::{
    env::{Address, Env, Stream},
    kafka::{
        behaviour::Behaviour,
        broker::{BrokerEndpoint, Event, InitialTopic, Node, Observer},
        config::{BrokerConfig, Settings, Side},
        protocol::{
            batch::{BatchBuilder, BatchOptions, Compression},
            frame::FrameReader,
            message::{decode_response, encode_request},
        },
        types::{BrokerId, Timestamp, TopicName},
    },
    sim::{MachineOptions, World, run_beside},
};

pub(super) const PORT: u16 = 9092;

pub(super) struct Deaf;

impl Observer for Deaf {
    fn observe(&self, _: Event) {}
}

pub(super) fn node() -> NodeConfig {
    let pairs = [
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "2"),
        // A broker that was killed is taken back soon.
        ("broker.session.timeout.ms", "500"),
        ("broker.heartbeat.interval.ms", "100"),
    ];
    let settings = Settings::from_pairs(Side::Broker, pairs).unwrap();
    let advertised = Address::new("b1", PORT);
    NodeConfig {
        broker_id: BrokerId(1),
        cluster_id: "test".into(),
        listen: advertised.clone(),
        brokers: vec![BrokerEndpoint { id: BrokerId(1), advertised, rack: None }],
        controllers: Vec::new(),
        voters: [BrokerId(1)].into(),
        topics: vec![InitialTopic {
            name: TopicName::from("t"),
            partitions: vec![vec![BrokerId(1)], vec![BrokerId(1)]],
            config: Vec::new(),
        }],
        config: BrokerConfig::from_settings(&settings).unwrap(),
        behaviour: Behaviour::default(),
    }
}

/// What a test has otherwise than the others.
pub(super) type Change = fn(&mut NodeConfig);

/// Starts the broker; it shuts down in order after `lifetime`.
pub(super) fn start_broker(world: &World, lifetime: Duration) {
    start_changed(world, lifetime, |_| ());
}

pub(super) fn start_changed(world: &World, lifetime: Duration, change: Change) {
    let mut config = node();
    change(&mut config);
    start_node(world, "b1", lifetime, config);
}

/// For [`start_changed`]: a cluster of `b1` and `b2`.
pub(super) fn two_brokers(node: &mut NodeConfig) {
    let advertised = Address::new("b2", PORT);
    node.brokers.push(BrokerEndpoint { id: BrokerId(2), advertised, rack: None });
}

/// The other of [`two_brokers`], which is not the controller.
pub(super) fn start_second(world: &World, lifetime: Duration) {
    world.add_machine("b2", MachineOptions::default());
    let mut config = node();
    two_brokers(&mut config);
    (config.broker_id, config.listen) = (BrokerId(2), Address::new("b2", PORT));
    start_node(world, "b2", lifetime, config);
}

/// A cluster of `b1` to `b3`, all of which vote in the quorum; this one is `b` and its id.
pub(super) fn start_voter(world: &World, id: i32, lifetime: Duration) {
    let mut config = node();
    let address = |id: i32| Address::new(format!("b{id}"), PORT);
    let endpoint =
        |id: i32| BrokerEndpoint { id: BrokerId(id), advertised: address(id), rack: None };
    config.brokers = (1..=3).map(endpoint).collect();
    config.voters = NodeConfig::first_voters(&config.brokers);
    (config.broker_id, config.listen) = (BrokerId(id), address(id));
    start_node(world, &format!("b{id}"), lifetime, config);
}

/// Runs `body` beside the brokers of [`start_voter`].
pub(super) fn beside_a_quorum<F>(
    lifetime: Duration,
    body: impl FnOnce(World, Env) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let setup = move |world: &World| {
        for machine in ["b1", "b2", "b3", "c1"] {
            world.add_machine(machine, MachineOptions::default());
        }
        (1..=3).for_each(|id| start_voter(world, id, lifetime));
    };
    run_beside(5, "c1", setup, body);
}

pub(super) fn start_node(world: &World, machine: &str, lifetime: Duration, config: NodeConfig) {
    world.start(machine, move |env| {
        Box::pin(async move {
            let clock = Arc::clone(&env.clock);
            let end = clock.now() + lifetime;
            let node = Node::start(env, config, Arc::new(Deaf)).await.unwrap();
            node.run(clock.sleep_until(end)).await.unwrap();
        })
    });
}

/// Runs `body` on a machine beside a broker that lives for `lifetime`.
pub(super) fn beside_a_broker<F>(
    lifetime: Duration,
    body: impl FnOnce(World, Env) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    beside_a_changed(lifetime, |_| (), body);
}

pub(super) fn beside_a_changed<F>(
    lifetime: Duration,
    change: Change,
    body: impl FnOnce(World, Env) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let setup = move |world: &World| {
        world.add_machine("b1", MachineOptions::default());
        world.add_machine("c1", MachineOptions::default());
        start_changed(world, lifetime, change);
    };
    run_beside(5, "c1", setup, body);
}

pub(super) async fn pause(env: &Env, time: Duration) {
    env.clock.sleep_until(env.clock.now() + time).await;
}

/// One connection.
pub(super) struct Wire {
    stream: Stream,
    reader: FrameReader,
    correlation: i32,
}

impl Wire {
    pub(super) async fn open(env: &Env) -> Self {
        Self::open_to(env, "b1").await
    }

    /// Waits until the broker is one of the cluster's, and has what it leads.
    pub(super) async fn open_to(env: &Env, machine: &str) -> Self {
        loop {
            let mut first = Self::connect_to(env, machine).await;
            let correlation = first.send(1, &MetadataRequest::default().with_topics(None)).await;
            // A broker that dies closes the connection.
            if let Some(frame) = first.frame().await {
                let told: MetadataResponse = decode_response(frame, correlation, 1).unwrap();
                let is_there = |broker: &MetadataResponseBroker| broker.host.as_str() == machine;
                if told.brokers.iter().any(is_there) {
                    break;
                }
            }
            pause(env, Duration::from_millis(10)).await;
        }
        Self::connect_to(env, machine).await
    }

    pub(super) async fn connect_to(env: &Env, machine: &str) -> Self {
        loop {
            // Until the broker listens.
            if let Ok(stream) = env.network.connect(Address::new(machine, PORT)).await {
                return Wire { stream, reader: FrameReader::new(1 << 24), correlation: 0 };
            }
            pause(env, Duration::from_millis(10)).await;
        }
    }

    /// Sends a request and tells its correlation id.
    pub(super) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation += 1;
        let frame = encode_request(self.correlation, "wire", version, request).unwrap();
        self.send_bytes(&frame).await;
        self.correlation
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        // A connection that the broker has closed is for the reading to find out.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next answer's frame; `None` once the broker has closed the connection.
    pub(super) async fn frame(&mut self) -> Option<Bytes> {
        self.reader.next(&mut self.stream).await.ok().flatten()
    }

    pub(super) async fn receive<R: Request>(
        &mut self,
        correlation: i32,
        version: i16,
    ) -> R::Response {
        let frame = self.frame().await.expect("the connection is open");
        decode_response(frame, correlation, version).unwrap()
    }

    pub(super) async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation = self.send(version, request).await;
        self.receive::<R>(correlation, version).await
    }

    /// Whether the broker has closed the connection; waits for it to do something.
    pub(super) async fn is_closed(&mut self) -> bool {
        let mut more = BytesMut::new();
        matches!(self.stream.read_buf(&mut more).await, Ok(0) | Err(_))
    }
}

/// A batch of one record.
pub(super) fn batch(value: &'static str) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None, 1 << 16);
    batch.append(Timestamp(1), None, Some(value.as_bytes()), &[]);
    batch.build(&BatchOptions::default())
}
