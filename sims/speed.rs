//! `cargo bench`: what a trial costs, in CPU seconds, which a noisy machine disturbs less than wall time.
//!
//! All figures come from one run, one trial after the other, so their ratios mean something on any machine.

mod growth;
mod standard;

use std::{hint::black_box, time::Duration};

use cpu_time::ProcessTime;
use retrial::{
    env::{Address, Env},
    sim::{World, WorldOptions},
    testbed::{
        history::{EventKind, Outcome},
        runner::run_trial,
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Trials that are not counted, then those that are.
const WARM_UP: u64 = 3;
const TRIALS: u64 = 60;
/// Messages of the floor, each way, over as many connections as the standard trial has clients.
const ECHOES: usize = 20_000;
const CONNECTIONS: usize = 5;
/// About what a produce request of the standard trial weighs.
const FRAME: usize = 300;

fn main() {
    let plan = standard::plan();
    for seed in 0..WARM_UP {
        black_box(run_trial(&plan, None, seed));
    }
    let digest = run_trial(&plan, None, 1).digest;
    assert_eq!(
        kept(),
        Some(&*digest),
        "not the digest of a debug build, or one of other sources: see sims/digests.rs"
    );
    println!("standard trial, seed 1: trace {digest}, as in a debug build");
    let started = ProcessTime::now();
    let (mut acked, mut delivered, mut messages) = (0u64, 0u64, 0u64);
    let mut virtual_time = Duration::ZERO;
    for seed in 0..TRIALS {
        let trial = run_trial(&plan, None, seed);
        assert!(trial.passed(), "seed {seed}: {:?} {:?}", trial.end, trial.judgements);
        virtual_time += trial.virtual_time;
        messages += trial.messages;
        for event in &trial.history.events {
            match &event.kind {
                EventKind::SendEnded { outcome: Outcome::Ok, .. } => acked += 1,
                EventKind::Polled { records } => delivered += records.len() as u64,
                _ => {}
            }
        }
    }
    let trials = started.elapsed().as_secs_f64();
    let per_second = TRIALS as f64 / trials;
    println!(
        "standard trial: 3 brokers and controllers, 6 partitions of 3 replicas, 2 producers, a group of 3, \
         1000 records, 6 faults"
    );
    println!("  {per_second:>10.1} trials per CPU-second ({:.2} ms each)", 1000.0 / per_second);
    println!("  {:>10.0} virtual seconds per CPU-second", virtual_time.as_secs_f64() / trials);
    println!("  {:>10.0} records acked per CPU-second", acked as f64 / trials);
    println!("  {:>10.0} records delivered per CPU-second", delivered as f64 / trials);
    let rate = messages as f64 / trials;
    println!("  {:>10.0} requests per CPU-second (half of the messages)", rate / 2.0);
    println!("  {rate:>10.0} messages per CPU-second");
    let floor = floor();
    println!("floor: echo of {FRAME}-byte frames over the simulated network, empty handlers");
    println!("  {floor:>10.0} messages per CPU-second");
    println!("  {:>10.2} of the floor's rate is the trial's", rate / floor);
    growth::show(&plan);
}

/// The standard trial's digest as `cargo test` keeps it.
fn kept() -> Option<&'static str> {
    let kept = include_str!("snapshots/sims__digests__digests.snap");
    kept.lines().find_map(|line| line.strip_prefix("standard 1 "))
}

/// Messages per CPU-second of the bare simulated network.
fn floor() -> f64 {
    let started = ProcessTime::now();
    let done = World::run(1, WorldOptions::default(), |world| async move {
        world.add_machine("server", Default::default());
        world.add_machine("client", Default::default());
        world.start("server", |env| Box::pin(serve(env)));
        world.start("client", |env| Box::pin(ask(env)));
        world.ended("client").await
    });
    black_box(done.expect("nothing panics"));
    (2 * ECHOES) as f64 / started.elapsed().as_secs_f64()
}

async fn serve(env: Env) {
    let mut listener = env.network.listen(Address::new("server", 1)).await.expect("a free port");
    while let Ok((mut stream, _)) = listener.accept().await {
        env.tasks.spawn(
            "echo",
            Box::pin(async move {
                let mut frame = [0; FRAME];
                while stream.read_exact(&mut frame).await.is_ok() {
                    if stream.write_all(&frame).await.is_err() {
                        break;
                    }
                }
            }),
        );
    }
}

async fn ask(env: Env) {
    let (sender, mut ended) = tokio::sync::mpsc::channel(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let (network, sender) = (env.network.clone(), sender.clone());
        env.tasks.spawn(
            "ask",
            Box::pin(async move {
                let stream = network.connect(Address::new("server", 1)).await;
                let mut stream = stream.expect("the server listens");
                let mut frame = [7; FRAME];
                for _ in 0..ECHOES / CONNECTIONS {
                    stream.write_all(&frame).await.expect("the server lives");
                    stream.read_exact(&mut frame).await.expect("the server answers");
                }
                sender.send(()).await.expect("somebody waits");
            }),
        );
    }
    for _ in 0..CONNECTIONS {
        ended.recv().await;
    }
}
