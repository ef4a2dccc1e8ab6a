//! Somebody in the middle who damages what our own clients say to a broker and what it says to them: to the
//! clients a hostile broker, to the broker clients that are out of their minds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use retrial::{
    env::{Address, Env, Stream},
    kafka::{
        broker::InitialTopic,
        client::{Consumer, Producer, ProducerRecord},
        config::{ConsumerConfig, ProducerConfig, Settings, Side},
        protocol::frame::FrameReader,
        types::{BrokerId, TopicName},
    },
    sim::MachineOptions,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::oneshot,
};

use super::{
    ground::{Ground, env_of, in_a_world, node, serve},
    honest::beside_honest_clients,
};

/// One frame in so many is damaged.
const DAMAGE_EVERY: u32 = 6;
const TOPIC: &str = "for-victims";

#[test]
fn clients_outlive_a_hostile_broker_and_others_lose_nothing() {
    in_a_world(|world| async move {
        let broker = Address::new("broker", 9092);
        let middle = Address::new("middle", 9092);
        for name in ["broker", "middle", "victims", "honest"] {
            world.add_machine(name, MachineOptions::default());
        }
        let (stop, stopped) = oneshot::channel();
        let mut config = node(&broker, &[]);
        config.brokers[0].advertised = middle.clone();
        let partitions = vec![vec![BrokerId(1)]];
        let topic = InitialTopic { name: TopicName::from(TOPIC), partitions, config: Vec::new() };
        config.topics.push(topic);
        world.start("broker", |env| Box::pin(serve(env, config, stopped)));
        let damaged = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&damaged);
        world.start("middle", |env| Box::pin(stand_between(env, broker, count)));
        let honest = env_of(&world, "honest").await;
        let victims = env_of(&world, "victims").await;
        let strangers = victims.clone();
        let ground = Ground { broker: middle, honest, strangers, simulated: true };
        beside_honest_clients(&ground, suffer(&ground, &victims)).await;
        assert!(damaged.load(Relaxed) > 100, "{damaged:?}");
        assert!(world.is_running("victims") && world.is_running("broker"));
        stop.send(()).unwrap();
        world.ended("broker").await;
    });
}

/// Clients come, do what they can for a while, and go.
async fn suffer(ground: &Ground, env: &Env) {
    for round in 0..40 {
        let env = Env { rng: env.rng.child(&format!("round-{round}")), ..env.clone() };
        let end = env.clock.now() + Duration::from_secs(3);
        tokio::select! {
            biased;
            () = env.clock.sleep_until(end) => {}
            () = produce(ground, &env) => {}
            () = consume(ground, &env) => {}
        }
    }
}

async fn produce(ground: &Ground, env: &Env) {
    let config = ProducerConfig::from_settings(&Settings::new(Side::Producer)).unwrap();
    let producer = Producer::new(env, std::slice::from_ref(&ground.broker), config, None);
    loop {
        let value = Some(Bytes::from_static(b"value"));
        let record = ProducerRecord::new(TopicName::from(TOPIC), None, value);
        if let Ok(sent) = producer.send(record).await {
            let _ = sent.await;
        }
        ground.pause(Duration::from_millis(10)).await;
    }
}

async fn consume(ground: &Ground, env: &Env) {
    let pairs = [
        ("group.id", "victims"),
        ("auto.offset.reset", "earliest"),
        ("auto.commit.interval.ms", "100"),
    ];
    let settings = Settings::from_pairs(Side::Consumer, pairs).unwrap();
    let config = ConsumerConfig::from_settings(&settings).unwrap();
    let bootstrap = std::slice::from_ref(&ground.broker);
    let env = Env { rng: env.rng.child("consumer"), ..env.clone() };
    let mut consumer = Consumer::new(&env, bootstrap, config, None).unwrap();
    consumer.subscribe([TopicName::from(TOPIC)], None).await.unwrap();
    loop {
        if consumer.poll(Duration::from_millis(100)).await.is_err() {
            ground.pause(Duration::from_millis(10)).await;
        }
    }
}

/// Passes everything on, and damages what comes from the victims or goes to them.
async fn stand_between(env: Env, broker: Address, damaged: Arc<AtomicUsize>) {
    let mut listener = env.network.listen(Address::new("middle", 9092)).await.unwrap();
    for number in 0.. {
        let (client, peer) = listener.accept().await.unwrap();
        let Ok(server) = env.network.connect(broker.clone()).await else { continue };
        let harm = (peer.host == "victims").then(|| Arc::clone(&damaged));
        let rng = env.rng.stream(&format!("connection-{number}"));
        env.tasks.spawn("pair", Box::pin(pair(client, server, rng, harm)));
    }
}

async fn pair(client: Stream, server: Stream, mut rng: ChaCha8Rng, harm: Option<Arc<AtomicUsize>>) {
    let mut back_rng = rng.clone();
    back_rng.set_stream(rng.get_stream() ^ 1);
    let (mut client_out, mut client_in) = tokio::io::split(client);
    let (mut server_out, mut server_in) = tokio::io::split(server);
    tokio::select! {
        biased;
        () = pass_on(&mut client_out, &mut server_in, &mut rng, harm.as_deref()) => {}
        () = pass_on(&mut server_out, &mut client_in, &mut back_rng, harm.as_deref()) => {}
    }
}

async fn pass_on(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    rng: &mut ChaCha8Rng,
    harm: Option<&AtomicUsize>,
) {
    let mut reader = FrameReader::new(1 << 24);
    while let Ok(Some(frame)) = reader.next(from).await {
        let mut bytes = BytesMut::from(&(frame.len() as u32).to_be_bytes()[..]);
        bytes.extend_from_slice(&frame);
        if let Some(damaged) = harm
            && rng.next_u32().is_multiple_of(DAMAGE_EVERY)
        {
            damaged.fetch_add(1, Relaxed);
            bytes = damage(bytes, rng);
        }
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Damages a frame behind its correlation id, so that most get past the first look.
fn damage(mut bytes: BytesMut, rng: &mut ChaCha8Rng) -> BytesMut {
    const MONSTERS: [&[u8]; 4] = [
        &[0x7f, 255, 255, 255],
        &[255, 255, 255, 255],
        &[255, 255, 255, 255, 15],
        &[0x80, 0, 0, 0],
    ];
    let draw = |rng: &mut ChaCha8Rng, below: usize| rng.next_u32() as usize % below.max(1);
    let at = (8 + draw(rng, bytes.len().saturating_sub(8))).min(bytes.len());
    match draw(rng, 5) {
        0 => bytes.truncate(at),
        1 | 2 => {
            let bit = 1 << draw(rng, 8);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
        }
        3 => {
            let monster = MONSTERS[draw(rng, MONSTERS.len())];
            bytes.iter_mut().skip(at).zip(monster).for_each(|(byte, new)| *byte = *new);
        }
        _ => {
            let piece = bytes.split_off(at);
            bytes.extend_from_slice(MONSTERS[draw(rng, MONSTERS.len())]);
            bytes.extend_from_slice(&piece);
        }
    }
    // The length is right all the same, or the next frame would not be found.
    let length = (bytes.len() as u32).saturating_sub(4).to_be_bytes();
    bytes.iter_mut().zip(length).for_each(|(byte, new)| *byte = new);
    bytes
}
