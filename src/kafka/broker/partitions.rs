//! The partitions this broker holds: their logs, who waits for them, and when they are synced.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{observer::Event, purgatory::Waiters, state::Broker, storage::Work, ticker::Due};
use crate::kafka::{
    log::{
        AppendError, AppendInfo, AppendOrigin, Log, LogError, Outcome, PendingFlush, store_offsets,
    },
    protocol::batch::BatchHeader,
    types::{LeaderEpoch, Offset, TopicName, TopicPartition},
};

/// `producer.id.expiration.check.interval.ms`, which is internal to Kafka.
pub(super) const PRODUCER_EXPIRATION_CHECK: Duration = Duration::from_secs(600);

/// Checkpoint files of the data directory, by Kafka's names.
pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(super) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(super) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub(super) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// One partition and its log.
pub(super) struct Partition {
    pub id: TopicPartition,
    pub topic_id: Uuid,
    leader_epoch: AtomicI32,
    pub waiters: Waiters,
    log: Mutex<Log>,
    /// Its topic was deleted: whoever still holds it must find nothing in it.
    retired: AtomicBool,
    /// A deadline for the log's next flush is in the ticker.
    flush_scheduled: AtomicBool,
}

impl Partition {
    pub fn new(id: TopicPartition, topic_id: Uuid, leader_epoch: LeaderEpoch, log: Log) -> Self {
        Partition {
            id,
            topic_id,
            leader_epoch: AtomicI32::new(leader_epoch.0),
            waiters: Waiters::default(),
            log: Mutex::new(log),
            retired: AtomicBool::new(false),
            flush_scheduled: AtomicBool::new(false),
        }
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no panic while a log is locked")
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.load(Ordering::Relaxed))
    }

    /// The broker leads the partition anew.
    pub fn begin_epoch(&self, epoch: LeaderEpoch) {
        let mut log = self.log();
        self.leader_epoch.store(epoch.0, Ordering::Relaxed);
        log.assign_epoch(epoch);
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Ends the partition: no append comes after this, and whoever waits for one looks again.
    pub fn retire(&self) {
        let mut log = self.log();
        self.retired.store(true, Ordering::Relaxed);
        log.abandon();
        drop(log);
        self.waiters.wake_all();
    }

    /// Appends one batch as the leader and makes it visible. Returns once it is as durable as the topic's
    /// settings ask for: with one replica that is what `acks=1` and `acks=all` both mean.
    pub async fn append(
        &self,
        broker: &Arc<Broker>,
        records: &[u8],
        origin: AppendOrigin,
    ) -> Result<AppendInfo, AppendError> {
        let info = self.write(broker, records, origin)?;
        self.settle(broker, &info).await?;
        Ok(info)
    }

    /// The first half of an append: the batch is in the log, and nobody may hear of it yet.
    pub fn write(
        &self,
        broker: &Arc<Broker>,
        records: &[u8],
        origin: AppendOrigin,
    ) -> Result<AppendInfo, AppendError> {
        let now = broker.env.clock.wall_time();
        let mut log = self.log();
        // The log has been closed, or is about to be: what came later would not be synced.
        let closed = match (broker.ending.is_stopping(), self.is_retired()) {
            (true, _) => Some("the broker is stopping"),
            (_, true) => Some("its topic is deleted"),
            _ => None,
        };
        if let Some(reason) = closed {
            let (path, source) = (self.id.to_string(), io::Error::other(reason));
            return Err(LogError::Io { action: "append to", path, source }.into());
        }
        let appended = log.append_as_leader(records, origin, self.leader_epoch(), now);
        drop(log);
        let partition = self.id.clone();
        match &appended {
            Ok(info) if info.outcome == Outcome::Duplicate => {
                let base_offset = info.first_offset;
                broker.observe(Event::Deduplicated { partition, base_offset });
            }
            Ok(info) => self.observe_append(broker, records, info),
            Err(error) => {
                if let AppendError::Log(error) = error {
                    broker.fail(error);
                }
                broker.observe(Event::AppendRejected { partition, error: error.to_string() });
            }
        }
        appended
    }

    /// The second half: syncs if the topic's settings ask for it, then lets everybody see the batch.
    pub async fn settle(&self, broker: &Arc<Broker>, info: &AppendInfo) -> Result<(), LogError> {
        if info.must_flush {
            self.flush(broker).await?;
        } else {
            self.schedule_flush(broker);
        }
        let mut log = self.log();
        // A duplicate, or a flush that a later one has overtaken, moves nothing back.
        let watermark = log.high_watermark().max(info.last_offset + 1);
        log.set_high_watermark(watermark);
        drop(log);
        self.waiters.wake_all();
        Ok(())
    }

    fn observe_append(&self, broker: &Broker, records: &[u8], info: &AppendInfo) {
        let Ok(header) = BatchHeader::parse(records) else { return };
        broker.observe(Event::Appended {
            partition: self.id.clone(),
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        });
    }

    /// Sees to it that the ticker flushes the log when that is due.
    pub fn schedule_flush(&self, broker: &Broker) {
        let at = self.log().next_flush_deadline();
        let never = at == crate::env::Instant::FAR_FUTURE;
        if !never && !self.flush_scheduled.swap(true, Ordering::Relaxed) {
            broker.ticker.schedule(at, Due::Store(Work::Flush(self.id.clone())));
        }
    }

    /// Flushes if it is due; called by the storage task.
    pub async fn flush_due(&self, broker: &Arc<Broker>) {
        self.flush_scheduled.store(false, Ordering::Relaxed);
        let pending = self.log().due_flush(broker.env.clock.now());
        if let Some(pending) = pending
            && self.finish_flush(broker, pending).await.is_err()
        {
            return;
        }
        self.schedule_flush(broker);
    }

    /// Makes everything appended so far durable.
    pub async fn flush(&self, broker: &Arc<Broker>) -> Result<(), LogError> {
        let pending = self.log().begin_flush();
        self.finish_flush(broker, pending).await
    }

    pub async fn finish_flush(
        &self,
        broker: &Arc<Broker>,
        pending: PendingFlush,
    ) -> Result<(), LogError> {
        let upto = pending.upto();
        let result = pending.sync().await;
        let done = self.log().flush_done(pending, result, broker.env.clock.now());
        match &done {
            Ok(()) => broker.observe(Event::Flushed { partition: self.id.clone(), upto }),
            // Its directory may have gone with its topic meanwhile.
            Err(_) if self.is_retired() => {}
            Err(error) => broker.fail(error),
        }
        done
    }
}

/// All partitions of the broker.
#[derive(Default)]
pub(super) struct Partitions {
    by_topic: Mutex<BTreeMap<TopicName, BTreeMap<i32, Arc<Partition>>>>,
    /// One at a time writes a checkpoint, and none puts an older state over a newer one.
    pub checkpointing: tokio::sync::Mutex<()>,
}

impl Partitions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicName, BTreeMap<i32, Arc<Partition>>>> {
        self.by_topic.lock().expect("no panic while the partitions are locked")
    }

    pub fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.lock().get(topic)?.get(&partition).cloned()
    }

    pub fn get(&self, partition: &TopicPartition) -> Option<Arc<Partition>> {
        self.find(partition.topic.as_str(), partition.partition)
    }

    pub fn insert(&self, partition: Arc<Partition>) {
        let id = &partition.id;
        let (topic, index) = (id.topic.clone(), id.partition);
        self.lock().entry(topic).or_default().insert(index, partition);
    }

    pub fn remove(&self, partition: &TopicPartition) {
        let mut by_topic = self.lock();
        if let Some(partitions) = by_topic.get_mut(&partition.topic) {
            partitions.remove(&partition.partition);
            if partitions.is_empty() {
                by_topic.remove(&partition.topic);
            }
        }
    }

    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.lock().values().flat_map(BTreeMap::values).cloned().collect()
    }

    pub fn expire_producers(&self, broker: &Broker) {
        let now = broker.env.clock.wall_time();
        for partition in self.all() {
            partition.log().remove_expired_producers(now);
        }
    }

    /// Writes recovery points and high watermarks.
    pub async fn checkpoint_ends(&self, broker: &Arc<Broker>) {
        let _turn = self.checkpointing.lock().await;
        let mut points = BTreeMap::new();
        let mut watermarks = BTreeMap::new();
        let metadata = &broker.metadata.log;
        points.insert(metadata.id.clone(), metadata.log().recovery_point());
        for partition in self.all() {
            let log = partition.log();
            points.insert(partition.id.clone(), log.recovery_point());
            watermarks.insert(partition.id.clone(), log.high_watermark());
        }
        store(broker, RECOVERY_POINTS, &points).await;
        store(broker, HIGH_WATERMARKS, &watermarks).await;
    }

    /// Writes log starts: as in Kafka, only those that the segments' names do not tell.
    pub async fn checkpoint_starts(&self, broker: &Arc<Broker>) {
        let _turn = self.checkpointing.lock().await;
        let mut starts = BTreeMap::new();
        for partition in self.all() {
            let log = partition.log();
            let first = log.segment_bases().next().unwrap_or(Offset(0));
            if log.start_offset() > first {
                starts.insert(partition.id.clone(), log.start_offset());
            }
        }
        store(broker, LOG_STARTS, &starts).await;
    }
}

/// Replaces a checkpoint file, in one's turn; a failure takes the broker down.
pub(super) async fn store(
    broker: &Arc<Broker>,
    path: &str,
    offsets: &BTreeMap<TopicPartition, Offset>,
) {
    if let Err(source) = store_offsets(broker.env.disk.as_ref(), path, offsets).await {
        broker.fail(&LogError::Io { action: "write", path: path.to_owned(), source });
    }
}
