//! A partition's log through kills and power losses, on the simulated disk.
//!
//! A writer appends batches of idempotent producers and flushes now and then, until its machine is
//! killed or loses power at a random moment; then it is started again and opens the log. What it must
//! find is written down outside of the machine.

#![allow(clippy::unwrap_used)] // All of it is one test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proptest::prelude::*;
use retrial::{
    env::Env,
    kafka::{
        config::{CleanupPolicy, TopicConfig},
        log::{
            AppendOrigin, Log, LogPolicy, MinOneMessage, OpenOptions, Outcome, Recovery, Shutdown,
            load_offsets, store_offsets, write_atomically,
        },
        protocol::batch::{BatchBuilder, BatchOptions, Batches, Compression},
        types::{
            LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicPartition,
        },
    },
    sim::{MachineOptions, World, WorldOptions},
};

const CHECKPOINT: &str = "recovery-point-offset-checkpoint";
const CLEAN: &str = ".kafka_cleanshutdown";

#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Kill,
    PowerLoss,
    /// A clean shutdown, after which the stopped machine loses power.
    CleanThenPowerLoss,
}

#[derive(Clone, Debug)]
struct Trial {
    seed: u64,
    segment_bytes: u32,
    index_interval_bytes: u32,
    flush_messages: Option<u64>,
    /// How the machine ends, and after how many microseconds.
    ends: Vec<(End, u64)>,
}

fn trial() -> impl Strategy<Value = Trial> {
    let ends = [End::Kill, End::PowerLoss, End::CleanThenPowerLoss];
    let end = prop::sample::select(ends.to_vec());
    (
        any::<u64>(),
        4_000..30_000_u32,
        0..9_000_u32,
        prop::option::of(1..20_u64),
        prop::collection::vec((end, 1..40_000_u64), 1..6),
    )
        .prop_map(|(seed, segment_bytes, index_interval_bytes, flush_messages, ends)| Trial {
            seed,
            segment_bytes,
            index_interval_bytes,
            flush_messages,
            ends,
        })
}

/// A batch that was appended.
#[derive(Clone, PartialEq, Debug)]
struct Written {
    producer: i64,
    sequence: i32,
    values: Vec<Vec<u8>>,
}

/// What an observer outside of the machine knows.
#[derive(Default)]
struct Ledger {
    batches: Vec<Written>,
    /// Offset up to which the log said that all is durable.
    synced: i64,
    recoveries: Vec<Recovery>,
}

impl Ledger {
    fn values(&self) -> Vec<Vec<u8>> {
        self.batches.iter().flat_map(|batch| batch.values.clone()).collect()
    }

    fn next_sequences(&self) -> BTreeMap<i64, i32> {
        let after = |batch: &Written| (batch.producer, batch.sequence + batch.values.len() as i32);
        self.batches.iter().map(after).collect()
    }
}

type Shared = Arc<Mutex<Ledger>>;

fn lock(ledger: &Shared) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(trial: &Trial) -> TopicConfig {
    TopicConfig {
        segment_bytes: trial.segment_bytes,
        segment_age: Duration::from_secs(7 * 24 * 3600),
        index_interval_bytes: trial.index_interval_bytes,
        segment_index_bytes: 10 << 20,
        flush_messages: trial.flush_messages,
        flush_interval: None,
        max_message_bytes: 1 << 20,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        cleanup_policy: CleanupPolicy::Delete,
        retention: None,
        retention_bytes: None,
        file_delete_delay: Duration::from_secs(60),
        delete_retention_ms: 86_400_000,
        min_cleanable_ratio: 0.5,
        min_compaction_lag: Duration::ZERO,
        max_compaction_lag: None,
        log_append_time: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        compression: "producer".into(),
    }
}

async fn open(env: &Env, trial: &Trial) -> (Log, Recovery) {
    let shutdown = match env.disk.remove(CLEAN) {
        Ok(()) => Shutdown::Clean,
        Err(_) => Shutdown::Unclean,
    };
    // Before anything is appended, or a crash would pass for a clean end.
    env.disk.sync_dir("").await.unwrap();
    let offsets = load_offsets(env.disk.as_ref(), CHECKPOINT).unwrap();
    let partition = TopicPartition::new("orders", 0);
    let options = OpenOptions {
        recovery_point: offsets.get(&partition).copied().unwrap_or_default(),
        log_start: Offset(0),
        shutdown,
        producer_id_expiration: Duration::from_secs(24 * 3600),
        wall_time: env.clock.wall_time(),
        now: env.clock.now(),
        policy: LogPolicy::default(),
    };
    Log::open(env.disk.clone(), "orders-0", Arc::new(config(trial)), &options).await.unwrap()
}

fn build(written: &Written, timestamp: i64) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Compression::None, 0);
    for value in &written.values {
        builder.append(Timestamp(timestamp), None, Some(value), &[]);
    }
    builder.build(&BatchOptions {
        producer_id: ProducerId(written.producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(written.sequence),
        ..BatchOptions::default()
    })
}

fn contents(log: &Log) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut from = Offset(0);
    while from < log.end_offset() {
        let read = log.read(from, 10_000, log.end_offset(), MinOneMessage::Yes).unwrap();
        for batch in Batches::new(read.records.clone()).map(Result::unwrap) {
            batch.check_crc().unwrap();
            for record in batch.records().unwrap().map(Result::unwrap) {
                assert_eq!(record.offset.0, values.len() as i64);
                values.push(record.value.unwrap().to_vec());
            }
        }
        assert!(read.next_offset > from);
        from = read.next_offset;
    }
    values
}

/// Compares the log with the ledger, and takes from the ledger what a power loss took.
fn check(log: &mut Log, recovery: Recovery, last_end: Option<End>, ledger: &Shared) {
    let mut known = lock(ledger);
    let found = contents(log);
    let expected = known.values();
    assert!(expected.starts_with(&found), "the log is a prefix of what was written");
    assert!(found.len() as i64 >= known.synced, "what was synced is there");
    if last_end.is_some_and(|end| end != End::PowerLoss) {
        assert_eq!(found.len(), expected.len(), "neither a kill nor a clean end loses anything");
        assert_eq!(recovery.cut, None);
    }
    let mut offset = 0;
    known.batches.retain(|batch| {
        offset += batch.values.len();
        offset <= found.len()
    });
    assert_eq!(known.values().len(), found.len(), "batches are there as a whole or not");
    known.recoveries.push(recovery);
    check_duplicates(log, &known);
}

/// The last batches of a producer are known again, and are not appended twice.
fn check_duplicates(log: &mut Log, known: &Ledger) {
    let end = log.end_offset();
    let mut after = end.0;
    let mut seen = BTreeMap::<i64, usize>::new();
    // A window survives whole within the last segments; the very last batch survives in any case.
    for batch in known.batches.iter().rev() {
        after -= batch.values.len() as i64;
        let seen = seen.entry(batch.producer).or_default();
        *seen += 1;
        if *seen == 1 {
            let repeated = build(batch, 0);
            let info = log
                .append_as_leader(
                    &repeated,
                    AppendOrigin::Client,
                    LeaderEpoch(0),
                    retrial::env::WallTime(0),
                )
                .unwrap();
            assert_eq!((info.outcome, info.first_offset.0), (Outcome::Duplicate, after));
        }
    }
    assert_eq!(log.end_offset(), end);
}

/// One life of the machine, with a clean end after that time if one is given.
async fn write(
    env: Env,
    trial: Trial,
    last_end: Option<End>,
    stop_after: Option<Duration>,
    ledger: Shared,
) {
    let (mut log, recovery) = open(&env, &trial).await;
    check(&mut log, recovery, last_end, &ledger);
    let mut sequences = lock(&ledger).next_sequences();
    let round = lock(&ledger).recoveries.len();
    let mut rng = env.rng.stream(&format!("writer-{round}"));
    let stop = stop_after.map(|after| env.clock.now() + after);
    while stop.is_none_or(|stop| env.clock.now() < stop) {
        let producer = rng.random_range(1..4_i64);
        let sequence = sequences.entry(producer).or_default();
        let count = rng.random_range(1..5);
        let mut value = || vec![rng.random::<u8>(); rng.random_range(1..900)];
        let values = (0..count).map(|_| value()).collect();
        let written = Written { producer, sequence: *sequence, values };
        *sequence += count;
        let batch = build(&written, env.clock.wall_time().0);
        let (epoch, now) = (LeaderEpoch(0), env.clock.wall_time());
        let info = log.append_as_leader(&batch, AppendOrigin::Client, epoch, now).unwrap();
        assert_eq!(info.outcome, Outcome::Appended);
        lock(&ledger).batches.push(written);
        let mut due = log.due_flush(env.clock.now());
        if due.is_none() && rng.random_range(0..12) == 0 {
            due = Some(log.begin_flush());
        }
        if let Some(pending) = due {
            let result = pending.sync().await;
            log.flush_done(pending, result, env.clock.now()).unwrap();
            lock(&ledger).synced = log.recovery_point().0;
            // The broker does this once a minute.
            if rng.random_range(0..3) == 0 {
                store_recovery_point(&env, &log).await;
            }
        }
        let pause = Duration::from_micros(rng.random_range(0..300));
        env.clock.sleep_until(env.clock.now() + pause).await;
    }
    let pending = log.close_clean().unwrap();
    let result = pending.sync().await;
    log.flush_done(pending, result, env.clock.now()).unwrap();
    store_recovery_point(&env, &log).await;
    write_atomically(env.disk.as_ref(), CLEAN, b"").await.unwrap();
}

async fn store_recovery_point(env: &Env, log: &Log) {
    let offsets = BTreeMap::from([(TopicPartition::new("orders", 0), log.recovery_point())]);
    store_offsets(env.disk.as_ref(), CHECKPOINT, &offsets).await.unwrap();
}

fn run(trial: Trial) -> Vec<Recovery> {
    let ledger = Shared::default();
    let outside = ledger.clone();
    World::run(trial.seed, WorldOptions::default(), |world| async move {
        world.add_machine("broker", MachineOptions::default());
        let mut last_end = None;
        for &(end, after) in &trial.ends {
            let (trial, ledger) = (trial.clone(), outside.clone());
            let after = Duration::from_micros(after);
            let stop_after = (end == End::CleanThenPowerLoss).then_some(after);
            world.start("broker", move |env| {
                Box::pin(write(env, trial, last_end, stop_after, ledger))
            });
            match end {
                End::CleanThenPowerLoss => drop(world.ended("broker").await),
                _ => world.sleep(after).await,
            }
            match end {
                End::Kill => world.kill("broker"),
                _ => world.power_loss("broker"),
            }
            last_end = Some(end);
        }
        let (trial, ledger) = (trial.clone(), outside.clone());
        world.start("broker", move |env| {
            Box::pin(async move {
                let (mut log, recovery) = open(&env, &trial).await;
                check(&mut log, recovery, last_end, &ledger);
            })
        });
        world.ended("broker").await;
    })
    .unwrap_or_else(|crash| panic!("{crash:?}"));
    let mut ledger = lock(&ledger);
    std::mem::take(&mut ledger.recoveries)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn acked_and_synced_records_survive_kills_and_power_losses(trial in trial()) {
        run(trial);
    }
}

/// Guards the property above against proving nothing.
#[test]
fn power_losses_tear_tails() {
    let trial = |seed| Trial {
        seed,
        segment_bytes: 20_000,
        index_interval_bytes: 4096,
        flush_messages: None,
        ends: vec![(End::PowerLoss, 20_000); 3],
    };
    let recoveries: Vec<_> = (0..20).flat_map(|seed| run(trial(seed))).collect();
    let scanned: u64 = recoveries.iter().map(|recovery| recovery.batches_scanned).sum();
    assert!(scanned > 500, "{scanned} batches");
    assert!(recoveries.iter().any(|recovery| recovery.cut.is_some_and(|cut| cut.bytes > 0)));
    assert!(recoveries.iter().any(|recovery| recovery.segments_deleted > 0));
    assert!(recoveries.iter().any(|recovery| recovery.snapshot.is_some()));
}
