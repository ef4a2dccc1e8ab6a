//! A log under test, and batches to put into it.

use std::{
    future::Future,
    ops::{Deref, DerefMut},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;

use super::memory_disk::MemoryDisk;
use crate::{
    env::{Disk, Instant, WallTime},
    kafka::{
        config::{CleanupPolicy, TopicConfig},
        log::{
            AppendError, AppendInfo, AppendOrigin, Log, LogError, LogPolicy, MinOneMessage,
            OpenOptions, Recovery, Shutdown,
        },
        protocol::batch::{BatchBuilder, BatchOptions, Batches, Compression},
        types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp},
    },
};

pub const DIR: &str = "orders-0";

/// Settings under which nothing rolls, flushes or expires by itself.
pub fn config() -> TopicConfig {
    TopicConfig {
        segment_bytes: 1 << 30,
        segment_age: Duration::from_secs(7 * 24 * 3600),
        index_interval_bytes: 4096,
        segment_index_bytes: 10 << 20,
        flush_messages: None,
        flush_interval: None,
        max_message_bytes: 1 << 20,
        min_insync_replicas: 1,
        unclean_leader_election: false,
        cleanup_policy: CleanupPolicy::Delete,
        retention: None,
        retention_bytes: None,
        file_delete_delay: Duration::from_secs(60),
        delete_retention_ms: 1_000,
        min_cleanable_ratio: 0.0,
        min_compaction_lag: Duration::ZERO,
        max_compaction_lag: None,
        log_append_time: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compression: "producer".into(),
    }
}

pub fn options(recovery_point: i64, shutdown: Shutdown) -> OpenOptions {
    OpenOptions {
        recovery_point: Offset(recovery_point),
        log_start: Offset(0),
        shutdown,
        producer_id_expiration: Duration::from_secs(24 * 3600),
        wall_time: WallTime(1_000),
        now: Instant::default(),
        policy: LogPolicy::default(),
    }
}

/// A log and the disk below it.
pub struct Fixture {
    pub disk: MemoryDisk,
    pub log: Log,
    pub recovery: Recovery,
}

impl Deref for Fixture {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl DerefMut for Fixture {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl Fixture {
    pub fn new() -> Self {
        Fixture::with(config())
    }

    pub fn with(config: TopicConfig) -> Self {
        Fixture::open(MemoryDisk::default(), config, &options(0, Shutdown::Unclean))
    }

    pub fn open(disk: MemoryDisk, config: TopicConfig, options: &OpenOptions) -> Self {
        let config = Arc::new(config);
        let (log, recovery) = now(Log::open(Arc::new(disk.clone()), DIR, config, options)).unwrap();
        Fixture { disk, log, recovery }
    }

    /// As [`Fixture::reopen`], with the files removed that end so.
    pub fn reopen_without(self, endings: &[&str]) -> Self {
        let names = self.disk.list(DIR).unwrap();
        for name in names.iter().filter(|name| endings.iter().any(|end| name.ends_with(end))) {
            self.disk.remove(&format!("{DIR}/{name}")).unwrap();
        }
        self.reopen()
    }

    /// The log as it is found after its process was killed.
    pub fn reopen(self) -> Self {
        let options = options(self.recovery_point().0, Shutdown::Unclean);
        Fixture::open(self.disk.clone(), (**self.config()).clone(), &options)
    }

    pub fn reopen_clean(mut self) -> Self {
        let pending = self.log.close_clean().unwrap();
        let result = now(pending.sync());
        self.log.flush_done(pending, result, Instant::default()).unwrap();
        let options = options(self.recovery_point().0, Shutdown::Clean);
        Fixture::open(self.disk.clone(), (**self.config()).clone(), &options)
    }

    pub fn append(&mut self, batch: &[u8]) -> Result<AppendInfo, AppendError> {
        self.append_at(batch, 1_000)
    }

    pub fn append_at(&mut self, batch: &[u8], wall: i64) -> Result<AppendInfo, AppendError> {
        self.log.append_as_leader(batch, AppendOrigin::Client, LeaderEpoch(0), WallTime(wall))
    }

    /// Deletes what retention and the log's start allow; returns the base offsets of the segments.
    pub fn retain(&mut self, now: WallTime) -> Result<Vec<Offset>, LogError> {
        self.expire(now)?;
        self.delete_below_start()
    }

    pub fn flush(&mut self) {
        let pending = self.log.begin_flush();
        let result = now(pending.sync());
        self.log.flush_done(pending, result, Instant::default()).unwrap();
    }

    /// Everything in the log: offset and value of each record.
    pub fn contents(&self) -> Vec<(i64, Vec<u8>)> {
        let mut from = self.start_offset();
        let mut all = Vec::new();
        while from < self.end_offset() {
            let read = self.read(from, 1 << 20, self.end_offset(), MinOneMessage::Yes).unwrap();
            assert!(read.next_offset > from, "a read makes progress");
            all.extend(records(&read.records).into_iter().filter(|(offset, _)| *offset >= from.0));
            from = read.next_offset;
        }
        all
    }
}

/// Offsets and values of the records in some batches.
pub fn records(bytes: &Bytes) -> Vec<(i64, Vec<u8>)> {
    let batches = Batches::new(bytes.clone()).map(Result::unwrap);
    let records = batches.flat_map(|batch| {
        batch.check_crc().unwrap();
        batch.records().unwrap().map(Result::unwrap)
    });
    records.map(|record| (record.offset.0, record.value.unwrap().to_vec())).collect()
}

/// A batch of values from a producer that is not idempotent, all at time 500.
pub fn batch(values: &[&[u8]]) -> Bytes {
    batch_at(500, values)
}

pub fn batch_at(timestamp: i64, values: &[&[u8]]) -> Bytes {
    build(timestamp, values, &BatchOptions::default())
}

/// A batch of one value, of an idempotent producer.
pub fn sequenced(producer: i64, epoch: i16, sequence: i32, value: &[u8]) -> Bytes {
    let options = BatchOptions {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
        ..BatchOptions::default()
    };
    build(500, &[value], &options)
}

pub fn build(timestamp: i64, values: &[&[u8]], options: &BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, 0);
    for value in values {
        builder.append(Timestamp(timestamp), None, Some(value), &[]);
    }
    builder.build(options)
}

/// The result of a future that has nothing to wait for.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing in memory waits"),
    }
}
