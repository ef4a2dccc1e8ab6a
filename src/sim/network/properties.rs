//! What no storm of faults can take from a connection: bytes arrive in order and unchanged or not at
//! all, and once all is healed they arrive or the connection is seen broken.

use std::{io, sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    env::{Address, Env, Stream},
    sim::{
        Chance, Digest, Latency, LinkControl, LinkOptions, MachineOptions, World, WorldOptions,
        lock::Lock,
    },
};

const MACHINES: [&str; 2] = ["client", "server"];

#[derive(Clone, Debug)]
enum Fault {
    Sever(usize),
    Heal(usize),
    Hold(usize),
    Release(usize),
    Reset(usize),
    Slow(usize, u64),
    Pause(usize),
    Resume(usize),
    Kill(usize),
    PowerLoss(usize),
    Start(usize),
}

impl Fault {
    /// Whether a connection outlives it.
    fn spares_connections(&self) -> bool {
        !matches!(self, Fault::Reset(_) | Fault::Kill(_) | Fault::PowerLoss(_))
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let which = 0..2usize;
    prop_oneof![
        3 => which.clone().prop_map(Fault::Sever),
        3 => which.clone().prop_map(Fault::Heal),
        2 => which.clone().prop_map(Fault::Hold),
        2 => which.clone().prop_map(Fault::Release),
        1 => which.clone().prop_map(Fault::Reset),
        2 => (which.clone(), 1..300u64).prop_map(|(link, ms)| Fault::Slow(link, ms)),
        2 => which.clone().prop_map(Fault::Pause),
        2 => which.clone().prop_map(Fault::Resume),
        1 => which.clone().prop_map(Fault::Kill),
        1 => which.clone().prop_map(Fault::PowerLoss),
        2 => which.prop_map(Fault::Start),
    ]
}

/// The byte at a position of the one stream everybody sends.
fn byte(position: usize) -> u8 {
    (position ^ (position >> 8)) as u8
}

/// How connections ended: bytes checked, and whether the end was a clean end of file.
type Endings = Arc<Lock<Vec<(usize, bool)>>>;

/// More than the buffers of a connection hold.
const LENGTH: usize = 150_000;

async fn send(stream: &mut Stream) -> io::Result<()> {
    let mut position = 0;
    while position < LENGTH {
        let piece: Vec<u8> = (position..LENGTH.min(position + 7001)).map(byte).collect();
        stream.write_all(&piece).await?;
        position += piece.len();
    }
    stream.shutdown().await
}

/// Reads to the end, checking every byte.
async fn receive(stream: &mut Stream, endings: &Endings) {
    let (mut position, mut buf) = (0, [0; 5000]);
    let clean = loop {
        match stream.read(&mut buf).await {
            Ok(0) => break true,
            Ok(count) => {
                let expected = (position..).map(byte);
                assert!(buf[..count].iter().copied().zip(expected).all(|(a, b)| a == b));
                position += count;
            }
            Err(_) => break false,
        }
    };
    endings.lock().push((position, clean));
}

/// Sends the stream to everybody who connects, one after the other.
async fn server(env: Env) {
    let mut listener = env.network.listen(Address::new("server", 1)).await.unwrap();
    while let Ok((mut stream, _)) = listener.accept().await {
        env.tasks.spawn(
            "sender",
            Box::pin(async move {
                let _ = send(&mut stream).await;
            }),
        );
    }
}

/// Reads the stream again and again, with a new connection each time.
async fn client(env: Env, endings: Endings) {
    loop {
        let connecting = env.network.connect(Address::new("server", 1));
        let deadline = env.clock.sleep_until(env.clock.now() + Duration::from_secs(2));
        tokio::select! {
            biased;
            () = deadline => {}
            connected = connecting => {
                if let Ok(mut stream) = connected {
                    receive(&mut stream, &endings).await;
                }
            }
        }
        env.clock.sleep_until(env.clock.now() + Duration::from_millis(500)).await;
    }
}

fn start(world: &World, machine: usize, endings: &Endings) {
    let endings = endings.clone();
    match MACHINES[machine] {
        "client" => world.start("client", |env| Box::pin(client(env, endings))),
        name => world.start(name, |env| Box::pin(server(env))),
    }
}

fn strike(world: &World, fault: &Fault, endings: &Endings) {
    let link =
        |which: &usize| -> LinkControl { world.link(MACHINES[*which], MACHINES[1 - *which]) };
    match fault {
        Fault::Sever(which) => link(which).sever(),
        Fault::Heal(which) => link(which).heal(),
        Fault::Hold(which) => link(which).hold(),
        Fault::Release(which) => link(which).release(),
        Fault::Reset(which) => link(which).reset(),
        Fault::Slow(which, ms) => {
            let (min, mean) = (Duration::ZERO, Duration::from_millis(*ms));
            link(which).set_latency(Latency::Exponential { min, mean, max: 4 * mean });
        }
        Fault::Pause(machine) => world.pause(MACHINES[*machine]),
        Fault::Resume(machine) => world.resume(MACHINES[*machine]),
        Fault::Kill(machine) => world.kill(MACHINES[*machine]),
        Fault::PowerLoss(machine) => world.power_loss(MACHINES[*machine]),
        Fault::Start(machine) if world.is_running(MACHINES[*machine]) => {}
        Fault::Start(machine) => start(world, *machine, endings),
    }
}

/// What a storm left: how connections ended during it and after the heal, and the digest.
fn weather(seed: u64, storm: &[(u64, Fault)]) -> (Vec<(usize, bool)>, Digest) {
    let link =
        LinkOptions { split: Chance::of(0.2), loss: Chance::of(0.01), ..LinkOptions::default() };
    let result = World::run(seed, WorldOptions { link }, |world| async move {
        let endings = Endings::default();
        for (machine, name) in MACHINES.iter().enumerate() {
            world.add_machine(name, MachineOptions::default());
            start(&world, machine, &endings);
        }
        for (pause, fault) in storm {
            world.sleep(Duration::from_millis(*pause)).await;
            strike(&world, fault, &endings);
        }
        world.heal_all();
        for link in world.links(MACHINES[0], MACHINES[1]) {
            link.set_latency(LinkOptions::default().latency);
        }
        for (machine, name) in MACHINES.iter().enumerate() {
            world.resume(name);
            if !world.is_running(name) {
                start(&world, machine, &endings);
            }
        }
        world.sleep(Duration::from_secs(15)).await;
        let ended = endings.lock().clone();
        (ended, world.trace().digest())
    });
    result.unwrap_or_else(|crash| panic!("{crash}"))
}

/// What no storm takes away.
fn judge(seed: u64, storm: &[(u64, Fault)]) -> Result<(), TestCaseError> {
    let (endings, digest) = weather(seed, storm);
    for (bytes, clean) in &endings {
        // A killed server's kernel ends the stream where the process stopped.
        let killed = storm.iter().any(|(_, fault)| matches!(fault, Fault::Kill(1)));
        prop_assert!(!clean || *bytes == LENGTH || killed, "{:?}", endings);
    }
    // A server that lost power says so only to those who send, so its client may wait for ever.
    let half_open =
        storm.iter().any(|(_, fault)| matches!(fault, Fault::PowerLoss(1) | Fault::Reset(_)));
    prop_assert!(half_open || endings.last().is_some_and(|last| *last == (LENGTH, true)));
    if storm.iter().all(|(_, fault)| fault.spares_connections()) {
        prop_assert!(endings.iter().all(|ending| *ending == (LENGTH, true)));
    }
    prop_assert_eq!(weather(seed, storm).1, digest);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn bytes_arrive_in_order_or_not_at_all_through_any_storm(
        seed in 0..1_000_000u64,
        storm in prop::collection::vec((0..1500u64, fault()), 1..30),
    ) {
        judge(seed, &storm)?;
    }
}

/// What was sent arrives behind a reset, and the stream seemed to end well where the reset had cut it.
#[test]
fn a_stream_that_a_reset_cut_short_has_no_clean_end() {
    judge(24_972, &[(1004, Fault::Hold(1)), (200, Fault::Reset(1))]).unwrap();
}
