//! The partitions this broker holds: their logs and replicas, who waits for them, and when logs are synced.
//!
//! What replication asks of a partition is in `replication`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{
    handlers::codes, observer::Event, purgatory::Waiters, state::Broker, storage::Work, ticker::Due,
};
use crate::kafka::{
    log::{
        AppendError, AppendInfo, AppendOrigin, Log, LogError, Outcome, PendingFlush, store_offsets,
    },
    metadata::METADATA_TOPIC,
    protocol::{ResponseError, batch::BatchHeader},
    replica::{Effect, Replica, RequiredAcks},
    types::{LeaderEpoch, Offset, TopicName, TopicPartition},
};

/// `producer.id.expiration.check.interval.ms`, which is internal to Kafka.
pub(super) const PRODUCER_EXPIRATION_CHECK: Duration = Duration::from_secs(600);

const NEVER: u64 = crate::env::Instant::FAR_FUTURE.as_nanos();

/// Between two flushes of a log that is to be durable at once, while another one is under way.
const FLUSH_PAUSE: Duration = Duration::from_millis(1);

/// Checkpoint files of the data directory, by Kafka's names.
pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(super) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(super) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub(super) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// One partition: its log, and this broker's part in its replication.
pub(super) struct Partition {
    pub id: TopicPartition,
    pub topic_id: Uuid,
    /// Who waits for the high watermark, the low one, or the end of this broker's leadership.
    pub waiters: Waiters,
    /// Followers' fetches, which wait for the end of the log to move.
    pub followers: Waiters,
    held: Mutex<Held>,
    /// Its topic was deleted, or this broker is no replica of it any more: whoever still holds it must find
    /// nothing in it.
    retired: AtomicBool,
    /// The earliest flush of the log that the ticker knows of, in nanoseconds; [`NEVER`] for none.
    flush_scheduled: AtomicU64,
    /// A coordinator wants to hear when the high watermark moves next.
    pub coordinator_waits: AtomicBool,
}

/// What is locked together, since what the replica says holds for the log as it is then.
pub(super) struct Held {
    pub log: Log,
    /// None for the log of metadata.
    pub replica: Option<Replica>,
    /// As many as are assigned.
    pub replicas: usize,
    /// Counts how often this broker began to follow: a write of an earlier term cannot be acknowledged.
    pub term: u64,
    /// Where the replica puts its effects; empty between two inputs, and kept to save the allocation.
    pub effects: Vec<Effect>,
}

/// The log of a partition that is locked.
pub(super) struct LogGuard<'a>(MutexGuard<'a, Held>);

impl Deref for LogGuard<'_> {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.0.log
    }
}

impl DerefMut for LogGuard<'_> {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.0.log
    }
}

/// A batch in the leader's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub info: AppendInfo,
    /// That of [`Held::term`].
    pub term: u64,
}

impl Written {
    /// Where the high watermark must be before it is committed.
    pub fn required(&self) -> Offset {
        self.info.last_offset + 1
    }
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// By the replica: it does not lead, or too few are in sync.
    #[error("{0}")]
    Refused(ResponseError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl WriteError {
    pub fn code(&self) -> ResponseError {
        match self {
            WriteError::Refused(code) => *code,
            WriteError::Append(error) => codes::of_append(error),
        }
    }
}

impl From<LogError> for WriteError {
    fn from(error: LogError) -> Self {
        WriteError::Append(error.into())
    }
}

impl Partition {
    /// `replica` is `None` for the log of metadata.
    pub fn new(id: TopicPartition, topic_id: Uuid, replica: Option<Replica>, log: Log) -> Self {
        Partition {
            id,
            topic_id,
            waiters: Waiters::default(),
            followers: Waiters::default(),
            held: Mutex::new(Held { log, replica, replicas: 1, term: 0, effects: Vec::new() }),
            retired: AtomicBool::new(false),
            flush_scheduled: AtomicU64::new(NEVER),
            coordinator_waits: AtomicBool::new(false),
        }
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic while a log is locked")
    }

    pub fn log(&self) -> LogGuard<'_> {
        LogGuard(self.held())
    }

    /// Moves with whatever a follower's fetch could show.
    pub fn changes_for_followers(&self) -> u64 {
        self.followers.wakes() + self.waiters.wakes()
    }

    /// Moves with whatever a client's fetch could show.
    pub fn changes_for_clients(&self) -> u64 {
        self.waiters.wakes()
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
        self.followers.wake_all();
    }

    /// Appends one batch as the leader. Returns once it is as durable as the topic's settings ask for, and
    /// visible as far as replication allows: what `acks=1` means.
    pub async fn append(
        &self,
        broker: &Arc<Broker>,
        records: &[u8],
        origin: AppendOrigin,
        acks: RequiredAcks,
    ) -> Result<Written, WriteError> {
        let written = self.write(broker, records, origin, acks)?;
        self.settle(broker, &written).await?;
        Ok(written)
    }

    /// The first half of an append: the batch is in the log, and no client may hear of it yet.
    pub fn write(
        &self,
        broker: &Arc<Broker>,
        records: &[u8],
        origin: AppendOrigin,
        acks: RequiredAcks,
    ) -> Result<Written, WriteError> {
        let now = broker.env.clock.wall_time();
        let mut held = self.held();
        // The log has been closed, or is about to be: what came later would not be synced.
        let closed = match (broker.ending.is_stopping(), self.is_retired()) {
            (true, _) => Some("the broker is stopping"),
            (_, true) => Some("it is no partition of this broker's any more"),
            _ => None,
        };
        if let Some(reason) = closed {
            let (path, source) = (self.id.to_string(), io::Error::other(reason));
            return Err(LogError::Io { action: "append to", path, source }.into());
        }
        let leader = held.replica.as_ref().and_then(Replica::leader);
        let leader = leader.ok_or(WriteError::Refused(ResponseError::NotLeaderOrFollower))?;
        let epoch = leader.check_append(&held.log, acks).map_err(WriteError::Refused)?;
        let appended = held.log.append_as_leader(records, origin, epoch, now);
        let (term, is_replicated) = (held.term, held.replicas > 1);
        drop(held);
        let partition = self.id.clone();
        match &appended {
            Ok(info) if info.outcome == Outcome::Duplicate => {
                let base_offset = info.first_offset;
                broker.observe(Event::Deduplicated { partition, base_offset });
            }
            Ok(info) => {
                self.observe_append(broker, records, epoch, info);
                if is_replicated {
                    self.followers.wake_all();
                }
            }
            Err(error) => {
                if let AppendError::Log(error) = error {
                    broker.fail(error);
                }
                broker.observe(Event::AppendRejected { partition, error: error.to_string() });
            }
        }
        Ok(Written { info: appended?, term })
    }

    /// The second half: syncs if the topic's settings ask for it, then shows the batch as far as that makes
    /// it committed.
    pub async fn settle(&self, broker: &Arc<Broker>, written: &Written) -> Result<(), LogError> {
        if written.info.must_flush {
            self.flush(broker).await
        } else {
            self.schedule_flush(broker);
            self.acknowledged_end_moved(broker);
            Ok(())
        }
    }

    fn observe_append(
        &self,
        broker: &Broker,
        records: &[u8],
        leader_epoch: LeaderEpoch,
        info: &AppendInfo,
    ) {
        let Ok(header) = BatchHeader::parse(records) else { return };
        broker.observe(Event::Appended {
            partition: self.id.clone(),
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            leader_epoch,
            checksum: info.checksum,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        });
    }

    /// Sees to it that the ticker flushes the log when that is due.
    pub fn schedule_flush(&self, broker: &Broker) {
        let at = self.log().next_flush_deadline();
        if at.as_nanos() < self.flush_scheduled.fetch_min(at.as_nanos(), Ordering::Relaxed) {
            broker.ticker.schedule(at, Due::Store(Work::Flush(self.id.clone())));
        }
    }

    /// Flushes if it is due; called by the storage task.
    pub async fn flush_due(&self, broker: &Arc<Broker>) {
        self.flush_scheduled.store(NEVER, Ordering::Relaxed);
        let pending = self.log().due_flush(broker.env.clock.now());
        match pending {
            // What became of it was told to the broker.
            Some(pending) => drop(self.finish_flush(broker, pending).await),
            None => self.schedule_flush(broker),
        }
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
        let result = match self.store_truncation(broker).await {
            Ok(()) => pending.sync().await,
            Err(error) => Err(error),
        };
        let done = self.log().flush_done(pending, result, broker.env.clock.now());
        match &done {
            Ok(()) => {
                broker.observe(Event::Flushed { partition: self.id.clone(), upto });
                self.acknowledged_end_moved(broker);
                // Epochs may have come while those before them were being written.
                self.schedule_flush(broker);
            }
            // Its directory may have gone with its topic meanwhile.
            Err(_) if self.is_retired() => {}
            Err(error) => broker.fail(error),
        }
        done
    }

    /// Makes all durable, after which nothing may be appended.
    pub async fn close(&self, broker: &Arc<Broker>) -> Result<(), LogError> {
        let pending = self.log().close_clean()?;
        self.finish_flush(broker, pending).await?;
        self.flush_until(broker, Log::is_durable).await
    }

    /// Flushes until enough is durable: another flush may write the file of epochs meanwhile, or may have been
    /// dropped while it did.
    pub async fn flush_until(
        &self,
        broker: &Arc<Broker>,
        is_enough: impl Fn(&Log) -> bool,
    ) -> Result<(), LogError> {
        while !is_enough(&self.log()) {
            self.flush(broker).await?;
            if !is_enough(&self.log()) {
                broker.env.clock.sleep_until(broker.env.clock.now() + FLUSH_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Stores a recovery point that is not beyond where the log was cut, before the file of epochs forgets what was cut
    /// off. A loss of power may bring that back, whole segments of it, and a start must read them again. Kafka stores the
    /// recovery points within the truncation (`LogManager.truncateTo`).
    ///
    /// Of the metadata log nothing is cut off that was committed, and its stored point is not beyond that; its task waits
    /// for checkpoints itself and must not wait for one that waits for a flush of its own.
    async fn store_truncation(&self, broker: &Arc<Broker>) -> Result<(), LogError> {
        if self.id.topic.as_str() == METADATA_TOPIC {
            return Ok(());
        }
        broker.cleaner.store_truncations(broker).await;
        let is_stored = self.log().unstored_truncation().is_none();
        if is_stored { Ok(()) } else { broker.partitions.checkpoint_recovery_points(broker).await }
    }
}

/// All partitions of the broker.
#[derive(Default)]
pub(super) struct Partitions {
    by_topic: Mutex<BTreeMap<TopicName, BTreeMap<i32, Arc<Partition>>>>,
    /// What the checkpoints told of these is of topics that had the same name.
    forgotten: Mutex<BTreeSet<TopicPartition>>,
    /// One at a time writes a checkpoint, and none puts an older state over a newer one.
    pub checkpointing: tokio::sync::Mutex<()>,
}

impl Partitions {
    /// Many look-ups at once.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicName, BTreeMap<i32, Arc<Partition>>>> {
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

    pub async fn checkpoint_ends(&self, broker: &Arc<Broker>) {
        if let Err(error) = self.checkpoint_recovery_points(broker).await {
            broker.fail(&error);
        }
        self.checkpoint_high_watermarks(broker).await;
    }

    /// Stores how far each log is durable, and with that all truncations of theirs.
    async fn checkpoint_recovery_points(&self, broker: &Arc<Broker>) -> Result<(), LogError> {
        let _turn = self.checkpointing.lock().await;
        let mut truncations = Vec::new();
        let mut points = self.of_unopened(broker, &broker.data_dir.recovery_points);
        let (metadata, point) = broker.metadata.recovery_point();
        let known = points.entry(metadata).or_default();
        *known = point.max(*known);
        for partition in self.all() {
            let log = partition.log();
            points.insert(partition.id.clone(), log.recovery_point());
            let unstored = log.unstored_truncation();
            truncations.extend(unstored.map(|truncation| (partition.clone(), truncation)));
        }
        replace(broker, RECOVERY_POINTS, &points).await?;
        for (partition, truncation) in truncations {
            partition.log().truncation_stored(truncation);
        }
        Ok(())
    }

    pub async fn checkpoint_high_watermarks(&self, broker: &Arc<Broker>) {
        let _turn = self.checkpointing.lock().await;
        let watermark =
            |partition: &Arc<Partition>| (partition.id.clone(), partition.log().high_watermark());
        let mut watermarks = self.of_unopened(broker, &broker.data_dir.high_watermarks);
        watermarks.extend(self.all().iter().map(watermark));
        store(broker, HIGH_WATERMARKS, &watermarks).await;
    }

    /// Writes log starts: as in Kafka, only those that the segments' names do not tell.
    pub async fn checkpoint_starts(&self, broker: &Arc<Broker>) {
        let _turn = self.checkpointing.lock().await;
        let mut starts = self.of_unopened(broker, &broker.data_dir.log_starts);
        starts.extend(broker.metadata.start_to_keep());
        for partition in self.all() {
            let log = partition.log();
            let first = log.segment_bases().next().unwrap_or(Offset(0));
            if log.start_offset() > first {
                starts.insert(partition.id.clone(), log.start_offset());
            }
        }
        store(broker, LOG_STARTS, &starts).await;
    }

    /// The next start must not take what the checkpoints tell of a topic that is gone for another's of that name.
    pub async fn forget(&self, broker: &Arc<Broker>, id: &TopicPartition) {
        broker.cleaner.forget(id);
        if broker.data_dir.tells_of(id) {
            self.forgotten.lock().expect("no panic while it is locked").insert(id.clone());
            self.checkpoint_ends(broker).await;
            self.checkpoint_starts(broker).await;
            broker.cleaner.store_truncations(broker).await;
        }
    }

    /// What the checkpoints told of logs that this life of the broker has not come to: it stays true.
    fn of_unopened(
        &self,
        broker: &Broker,
        told: &BTreeMap<TopicPartition, Offset>,
    ) -> BTreeMap<TopicPartition, Offset> {
        if broker.metadata.is_published() {
            return BTreeMap::new();
        }
        let forgotten = self.forgotten.lock().expect("no panic while it is locked");
        let is_unopened = |id| self.get(id).is_none() && !forgotten.contains(id);
        let unopened = told.iter().filter(|(id, _)| is_unopened(id));
        unopened.map(|(id, offset)| (id.clone(), *offset)).collect()
    }
}

/// Replaces a checkpoint file, in one's turn; a failure takes the broker down.
pub(super) async fn store(
    broker: &Arc<Broker>,
    path: &str,
    offsets: &BTreeMap<TopicPartition, Offset>,
) {
    if let Err(error) = replace(broker, path, offsets).await {
        broker.fail(&error);
    }
}

async fn replace(
    broker: &Arc<Broker>,
    path: &str,
    offsets: &BTreeMap<TopicPartition, Offset>,
) -> Result<(), LogError> {
    let stored = store_offsets(broker.env.disk.as_ref(), path, offsets).await;
    stored.map_err(|source| LogError::Io { action: "write", path: path.to_owned(), source })
}
