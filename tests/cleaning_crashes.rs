//! A cleaning of a log through power losses at every one of its points, on the simulated disk.
//!
//! Every sync takes a millisecond, and nothing else takes time: so a power loss in the middle of each
//! millisecond meets every state that the disk can be in, and the seed draws what of it survives. What is
//! found must be the log as it was between two swaps, whole.

#![allow(clippy::unwrap_used)] // All of it is one test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use retrial::{
    env::{Env, WallTime},
    kafka::{
        config::{BrokerConfig, CleanupPolicy, Settings, Side, TopicConfig},
        log::{
            AppendOrigin, CleanerLimits, Log, LogPolicy, MinOneMessage, OpenOptions, Shutdown, Step,
        },
        protocol::batch::{BatchBuilder, BatchOptions, Batches, Compression},
        types::{LeaderEpoch, Offset, Timestamp},
    },
    sim::{Latency, MachineOptions, World, WorldOptions},
};

const DIR: &str = "orders-0";
const SYNC: Duration = Duration::from_millis(1);
const NOW: WallTime = WallTime(10_000);

/// Offset, key, and value of each record.
type Contents = Vec<(i64, Vec<u8>, Option<Vec<u8>>)>;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Loss {
    Kill,
    Power,
}

/// When the machine ends: in the middle of the cleaning's sync of this number, and then in that of the
/// recovery after it.
#[derive(Clone, Copy, Debug)]
struct Trial {
    seed: u64,
    loss: Loss,
    during_cleaning: u32,
    during_recovery: u32,
}

#[derive(Default)]
struct Ledger {
    /// A cleaning or a recovery is under way.
    begun: bool,
    /// The log before the cleaning and after each swap, if that is what is asked for.
    states: Vec<Contents>,
    syncs: u32,
    found: Option<Contents>,
}

type Shared = Arc<Mutex<Ledger>>;

fn config(segment_bytes: u32) -> Arc<TopicConfig> {
    let broker = BrokerConfig::from_settings(&Settings::new(Side::Broker)).unwrap();
    Arc::new(TopicConfig {
        segment_bytes,
        cleanup_policy: CleanupPolicy::Compact,
        timestamp_before_max_ms: i64::MAX,
        ..broker.topic_defaults
    })
}

async fn open(env: &Env, recovery_point: Offset) -> Log {
    let options = OpenOptions {
        recovery_point,
        log_start: Offset(0),
        shutdown: Shutdown::Unclean,
        producer_id_expiration: Duration::from_secs(24 * 3600),
        wall_time: NOW,
        now: env.clock.now(),
        policy: LogPolicy::default(),
    };
    let opened = Log::open(env.disk.clone(), DIR, config(900), &options).await;
    opened.unwrap().0
}

fn contents(log: &Log) -> Contents {
    let mut found = Contents::new();
    let mut from = Offset(0);
    while from < log.end_offset() {
        // Batch by batch, so that no segment is passed over that lies within another.
        let read = log.read(from, 1, log.end_offset(), MinOneMessage::Yes).unwrap();
        for batch in Batches::new(read.records.clone()).map(Result::unwrap) {
            batch.check_crc().unwrap();
            for record in batch.records().unwrap().map(Result::unwrap) {
                let value = record.value.map(|value| value.to_vec());
                found.push((record.offset.0, record.key.unwrap().to_vec(), value));
            }
        }
        assert!(read.next_offset > from);
        from = read.next_offset;
    }
    found
}

async fn flush(env: &Env, log: &mut Log) {
    let pending = log.begin_flush();
    let result = pending.sync().await;
    log.flush_done(pending, result, env.clock.now()).unwrap();
}

/// A log of many small segments, all of it durable.
async fn fill(env: &Env) -> Log {
    let mut log = open(env, Offset(0)).await;
    log.set_config(config(300));
    for number in 0..60_u8 {
        let mut builder = BatchBuilder::new(Compression::None, 0);
        for record in 0..1 + number % 3 {
            let (key, value) = ([(number + record) % 11], [number; 20]);
            let value = (number % 5 != 0).then_some(&value[..]);
            builder.append(Timestamp(500), Some(&key), value, &[]);
        }
        let batch = builder.build(&BatchOptions::default());
        log.append_as_leader(&batch, AppendOrigin::Client, LeaderEpoch(0), NOW).unwrap();
    }
    log.roll(NOW).unwrap();
    log.set_high_watermark(log.end_offset());
    log.set_config(config(900));
    flush(env, &mut log).await;
    log
}

async fn clean(log: &mut Log, ledger: &Shared) {
    let cleanable = log.cleanable(None, NOW).unwrap();
    let limits = CleanerLimits { memory: 1 << 20, load_factor: 0.9, step_bytes: 500 };
    let mut cleaning = log.begin_cleaning(&cleanable, limits, NOW).unwrap();
    loop {
        match cleaning.step().unwrap() {
            Step::More => {}
            Step::Done(_) => return,
            Step::Cleaned(mut cleaned) => {
                cleaned.store().await.unwrap();
                let swap = log.swap_in(cleaned).unwrap();
                ledger.lock().unwrap().states.push(contents(log));
                swap.finish().await.unwrap();
            }
        }
    }
}

/// The first life: fills the log and cleans it.
async fn first_life(env: Env, ledger: Shared) {
    let mut log = fill(&env).await;
    ledger.lock().unwrap().states.push(contents(&log));
    ledger.lock().unwrap().begun = true;
    let start = env.clock.now();
    clean(&mut log, &ledger).await;
    let took = env.clock.now() - start;
    ledger.lock().unwrap().syncs = (took.as_micros() / SYNC.as_micros()) as u32;
}

/// A later life: what does it find?
async fn later_life(env: Env, ledger: Shared) {
    ledger.lock().unwrap().begun = true;
    // As from a checkpoint of long ago: every batch is checked.
    let mut log = open(&env, Offset(0)).await;
    let found = contents(&log);
    let names = env.disk.list(DIR).unwrap();
    let temporary = |name: &String| name.ends_with("ed") || name.ends_with("swap");
    assert!(!names.iter().any(temporary), "{names:?}");
    ledger.lock().unwrap().found = Some(found.clone());
    // And it can be cleaned on.
    log.set_high_watermark(log.end_offset());
    flush(&env, &mut log).await;
    clean(&mut log, &Shared::default()).await;
    let last = |contents: &Contents| {
        let last: BTreeMap<_, _> =
            contents.iter().map(|(at, key, value)| (key.clone(), (*at, value.clone()))).collect();
        last
    };
    assert_eq!(last(&contents(&log)), last(&found));
}

async fn end(world: &World, loss: Loss, ledger: &Shared, during: u32) {
    while !std::mem::take(&mut ledger.lock().unwrap().begun) {
        world.sleep(SYNC / 10).await;
    }
    world.sleep(SYNC * during - SYNC / 2).await;
    match loss {
        Loss::Kill => world.kill("broker"),
        Loss::Power => world.power_loss("broker"),
    }
}

/// Runs to the end without a loss if `trial` has none.
fn run(seed: u64, trial: Option<Trial>) -> Ledger {
    let ledger = Shared::default();
    let outside = ledger.clone();
    World::run(seed, WorldOptions::default(), |world| async move {
        world.add_machine("broker", MachineOptions::default());
        world.disk("broker").set_sync_latency(Latency::Constant(SYNC));
        let start = |later: bool| {
            let ledger = outside.clone();
            world.start("broker", move |env| match later {
                false => Box::pin(first_life(env, ledger)),
                true => Box::pin(later_life(env, ledger)),
            });
        };
        start(false);
        if let Some(trial) = trial {
            end(&world, trial.loss, &outside, trial.during_cleaning).await;
            start(true);
            if trial.during_recovery > 0 {
                end(&world, trial.loss, &outside, trial.during_recovery).await;
                start(true);
            }
        }
        world.ended("broker").await;
    })
    .unwrap_or_else(|crash| panic!("{trial:?}: {crash:?}"));
    std::mem::take(&mut *ledger.lock().unwrap())
}

#[test]
fn a_power_loss_at_any_point_of_a_cleaning_leaves_a_whole_log() {
    let whole = run(1, None);
    assert!(whole.states.len() > 3 && whole.syncs > 20, "{} swaps", whole.states.len());
    let mut met = BTreeMap::<usize, u32>::new();
    for during_cleaning in 1..=whole.syncs + 1 {
        for seed in 0..8 {
            let loss = if seed % 4 == 0 { Loss::Kill } else { Loss::Power };
            let during_recovery = seed as u32 % 4;
            let trial = Trial { seed, loss, during_cleaning, during_recovery };
            let found = run(trial.seed, Some(trial)).found.unwrap();
            let state = whole.states.iter().position(|state| *state == found);
            let state = state.unwrap_or_else(|| panic!("{trial:?} left {found:?}"));
            *met.entry(state).or_default() += 1;
        }
    }
    assert_eq!(met.len(), whole.states.len(), "every state was met: {met:?}");
}
