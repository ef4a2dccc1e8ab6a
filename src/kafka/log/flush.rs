//! Making the log durable, split so that nobody holds it while the disk works.
//!
//! As in Kafka, an append alone is durable on no disk: `flush.messages` and `flush.ms` are unlimited by
//! default. A rolled segment and its producer snapshot are flushed soon after the roll.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    checkpoint::{Durable, parent, replace},
    epochs::{self, Change},
    error::LogError,
    partition_log::Log,
    policy::{EpochCheckpointFsync, LogPolicy, SegmentDirFsync, TruncationFsync},
    segment::DirtyFile,
};
use crate::{
    env::{Disk, Instant},
    kafka::types::Offset,
};

/// What is not durable yet, beside the segments' own marks.
pub(super) struct FlushState {
    /// All before it is durable.
    recovery_point: Offset,
    last_flush: Instant,
    /// Where the last append ended that `flush.messages` asked to sync.
    asked: Offset,
    /// Segments below this base wait for their flush.
    rolled: Option<Offset>,
    snapshots: Vec<DirtyFile>,
    /// Files came or went.
    directory_changed: bool,
    /// The directory itself may be new: to this process, or to one that was killed. Kafka leaves this to
    /// the file system's journal.
    directory_may_be_new: bool,
    /// Counts truncations: a flush begun before one says nothing about what was written after it.
    truncations: u64,
    /// How many truncations the stored recovery point takes account of.
    truncations_stored: u64,
    /// Flushes begun and not done. What they hold is not durable, so a later flush syncs it too.
    in_flight: BTreeMap<u64, Work>,
    next_id: u64,
    /// Of the flush that replaces the file of epochs; two at a time would undo each other.
    epochs_in_flight: Weak<UnderWay>,
    /// How far flushes got, of which the file of epochs may not tell all yet.
    synced: Offset,
    /// Nothing may be written any more; flushes under way know it too.
    abandoned: Arc<AtomicBool>,
}

/// What one flush syncs.
#[derive(Clone)]
struct Work {
    upto: Offset,
    files: Vec<DirtyFile>,
    sync_dir: bool,
    sync_parent: bool,
    truncations: u64,
}

impl Work {
    fn include(&mut self, other: &Work) {
        for file in &other.files {
            if !self.files.iter().any(|(path, _)| *path == file.0) {
                self.files.push(file.clone());
            }
        }
        self.sync_dir |= other.sync_dir;
        self.sync_parent |= other.sync_parent;
    }
}

impl FlushState {
    pub fn new(recovery_point: Offset, now: Instant) -> Self {
        FlushState {
            recovery_point,
            last_flush: now,
            asked: Offset(0),
            rolled: None,
            snapshots: Vec::new(),
            directory_changed: true,
            directory_may_be_new: true,
            truncations: 0,
            truncations_stored: 0,
            in_flight: BTreeMap::new(),
            next_id: 0,
            epochs_in_flight: Weak::new(),
            synced: recovery_point,
            abandoned: Arc::default(),
        }
    }

    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// All before it is durable or on its way.
    fn begun(&self) -> Offset {
        let current = self.in_flight.values().filter(|work| work.truncations == self.truncations);
        current.map(|work| work.upto).fold(self.recovery_point.max(self.synced), Offset::max)
    }

    pub fn set_recovery_point(&mut self, offset: Offset) {
        (self.recovery_point, self.synced) = (offset, offset);
    }

    pub fn rolled(&mut self, base: Offset, snapshot: Option<DirtyFile>) {
        self.rolled = Some(base);
        self.snapshots.extend(snapshot);
        self.directory_changed = true;
    }

    pub fn add_snapshot(&mut self, snapshot: Option<DirtyFile>) {
        self.snapshots.extend(snapshot);
        self.directory_changed = true;
    }

    /// How often the log was cut.
    pub fn truncations(&self) -> u64 {
        self.truncations
    }

    pub fn files_removed(&mut self) {
        self.directory_changed = true;
    }

    pub fn truncated(&mut self, end: Offset) {
        self.truncations += 1;
        self.recovery_point = self.recovery_point.min(end);
        self.asked = self.asked.min(end);
        self.synced = self.synced.min(end);
        self.rolled = self.rolled.filter(|&base| base <= end);
        self.directory_changed = true;
    }
}

/// What a flush makes durable of the files whose names it changes or finds new.
fn directory_durable(policy: LogPolicy) -> Durable {
    match policy.segment_dir_fsync {
        SegmentDirFsync::On => Durable::ContentsAndName,
        SegmentDirFsync::Off => Durable::Contents,
    }
}

/// What a flush makes durable of the file of epochs, given why it is replaced.
fn epochs_durable(policy: LogPolicy, change: Change) -> Durable {
    match (policy.epoch_checkpoint_fsync, change) {
        (EpochCheckpointFsync::Off, Change::Cut) => Durable::Nothing,
        (EpochCheckpointFsync::On, _) | (_, Change::Renewed) => Durable::ContentsAndName,
    }
}

/// Lives as long as the flush.
struct UnderWay;

/// A truncation among those of a log.
#[derive(Clone, Copy, Debug)]
pub struct Truncation(u64);

/// A flush under way. [`PendingFlush::sync`] it without holding the log, then tell the log with
/// [`Log::flush_done`], whatever came of it. Several may be under way at a time.
#[must_use]
pub struct PendingFlush {
    id: u64,
    disk: Arc<dyn Disk>,
    dir: String,
    work: Work,
    epochs: Option<(String, Durable, Arc<UnderWay>)>,
    abandoned: Arc<AtomicBool>,
}

impl PendingFlush {
    /// All before it is synced once this is done.
    pub fn upto(&self) -> Offset {
        self.work.upto
    }

    pub async fn sync(&self) -> Result<(), LogError> {
        for (path, file) in &self.work.files {
            file.sync().await.map_err(LogError::io("sync", path))?;
        }
        let (late, early) = match &self.epochs {
            // Else syncing the directory for the segments would make its name durable.
            Some((text, durable @ Durable::Nothing, _)) => (Some((text, *durable)), None),
            Some((text, durable, _)) => (None, Some((text, *durable))),
            None => (None, None),
        };
        self.replace_epochs(early).await?;
        if self.work.sync_dir {
            let synced = self.disk.sync_dir(&self.dir).await;
            synced.map_err(LogError::io("sync", &self.dir))?;
        }
        if self.work.sync_parent {
            let synced = self.disk.sync_dir(parent(&self.dir)).await;
            synced.map_err(LogError::io("sync the parent of", &self.dir))?;
        }
        self.replace_epochs(late).await
    }

    async fn replace_epochs(&self, file: Option<(&String, Durable)>) -> Result<(), LogError> {
        let Some((text, durable)) = file else { return Ok(()) };
        let path = format!("{}/{}", self.dir, epochs::FILE_NAME);
        // The directory of that name may be another log's by now.
        if self.abandoned.load(Ordering::Relaxed) {
            let source = io::Error::other("the log was abandoned");
            return Err(LogError::Io { action: "replace", path, source });
        }
        let replaced = replace(self.disk.as_ref(), &path, text.as_bytes(), durable).await;
        replaced.map_err(LogError::io("replace", &path))
    }
}

impl Log {
    /// All before it is durable; the broker stores it in `recovery-point-offset-checkpoint`.
    pub fn recovery_point(&self) -> Offset {
        self.flush.recovery_point
    }

    /// Whether a cut is to be durable before anything is written over it.
    pub fn syncs_cuts(&self) -> bool {
        self.policy.truncation_fsync == TruncationFsync::On
    }

    /// Truncations whose recovery point is not stored yet: a start would trust what was cut off.
    pub fn unstored_truncation(&self) -> Option<Truncation> {
        let FlushState { truncations, truncations_stored, .. } = self.flush;
        (truncations > truncations_stored).then_some(Truncation(truncations))
    }

    /// The recovery point was stored after this truncation.
    pub fn truncation_stored(&mut self, Truncation(number): Truncation) {
        self.flush.truncations_stored = self.flush.truncations_stored.max(number);
    }

    /// Nothing is there that a start would have to find again, in the file of epochs neither.
    pub fn is_durable(&self) -> bool {
        self.flush.recovery_point == self.end && self.epochs.is_written()
    }

    /// Records that a power loss may take.
    pub fn unflushed_records(&self) -> u64 {
        u64::try_from(self.end - self.flush.recovery_point).unwrap_or(0)
    }

    /// Whether a batch of waiting work is due: after a roll, or by `flush.messages` or `flush.ms`.
    pub fn needs_flush(&self, now: Instant) -> bool {
        !self.poisoned && self.next_flush_deadline() <= now
    }

    /// When [`Log::needs_flush`] turns true, if nothing is appended until then.
    pub fn next_flush_deadline(&self) -> Instant {
        let epochs = self.epochs.is_dirty() && self.flush.epochs_in_flight.strong_count() == 0;
        if self.flush.rolled.is_some() || epochs || self.flush_messages_reached(self.flush.begun())
        {
            return Instant::default();
        }
        self.flush_interval_deadline()
    }

    fn flush_interval_deadline(&self) -> Instant {
        match self.config.flush_interval {
            Some(interval) if self.end > self.flush.begun() => self.flush.last_flush + interval,
            _ => Instant::FAR_FUTURE,
        }
    }

    /// Whether `flush.messages` asks for a flush when all before `durable` is.
    pub(super) fn flush_messages_reached(&self, durable: Offset) -> bool {
        let limit =
            self.config.flush_messages.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        limit.is_some_and(|limit| self.end - durable >= limit.max(1))
    }

    /// Whether the append that just ended the log must be durable before anybody sees it.
    ///
    /// In Kafka an append syncs under the log's lock, and the next one waits for that, so that the high
    /// watermark never passes records whose sync is under way. Here the log is not held while the disk
    /// works; what is appended behind such records is synced along with them.
    pub(super) fn must_flush_append(&mut self) -> bool {
        if self.flush_messages_reached(self.flush.begun()) {
            self.flush.asked = self.end;
        }
        self.flush.asked > self.flush.recovery_point
    }

    /// How far the log may be acknowledged: its end, or while `flush.messages` waits for a sync, what is
    /// durable.
    pub fn acknowledged_end(&self) -> Offset {
        let FlushState { asked, recovery_point, .. } = self.flush;
        if asked > recovery_point { recovery_point } else { self.end }
    }

    /// The flush that is due, if any: everything when `flush.messages` or `flush.ms` ask for it, else what
    /// rolling and new epochs left behind.
    pub fn due_flush(&mut self, now: Instant) -> Option<PendingFlush> {
        if !self.needs_flush(now) {
            return None;
        }
        let by_time = self.flush_interval_deadline() <= now;
        if by_time || self.flush_messages_reached(self.flush.begun()) {
            return Some(self.begin_flush());
        }
        // With epochs alone to store no segment is synced.
        Some(self.flush_upto(self.flush.rolled.unwrap_or_default()))
    }

    /// Begins to make all that was appended durable.
    pub fn begin_flush(&mut self) -> PendingFlush {
        self.flush_upto(self.end)
    }

    /// Begins to make durable what lies before `upto`.
    fn flush_upto(&mut self, upto: Offset) -> PendingFlush {
        let mut files = std::mem::take(&mut self.flush.snapshots);
        for segment in self.segments.iter_mut().filter(|segment| segment.base <= upto) {
            // The active segment stays out of a flush that ends where it begins, unless it is all
            // there is to flush: its file must exist durably too.
            if segment.base < upto || upto == self.end {
                files.extend(segment.take_dirty());
            }
        }
        let directory = directory_durable(self.policy);
        let state = &mut self.flush;
        state.rolled = state.rolled.filter(|&base| base > upto);
        let changed = std::mem::take(&mut state.directory_changed);
        let mut work = Work {
            upto,
            files,
            sync_dir: changed && directory == Durable::ContentsAndName,
            sync_parent: std::mem::take(&mut state.directory_may_be_new),
            truncations: state.truncations,
        };
        for other in state.in_flight.values() {
            work.include(other);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.in_flight.insert(id, work.clone());
        let mut epochs = None;
        if state.epochs_in_flight.strong_count() == 0 {
            self.epochs.given_up();
            epochs = self.epochs.take_dirty().map(|(text, change)| {
                let under_way = Arc::new(UnderWay);
                state.epochs_in_flight = Arc::downgrade(&under_way);
                (text, epochs_durable(self.policy, change).min(directory), under_way)
            });
        }
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        PendingFlush { id, disk, dir, work, epochs, abandoned: self.flush.abandoned.clone() }
    }

    /// Takes note of how a flush ended: moves the recovery point, or poisons the log.
    pub fn flush_done(
        &mut self,
        pending: PendingFlush,
        result: Result<(), LogError>,
        now: Instant,
    ) -> Result<(), LogError> {
        self.changing(|log| {
            result?;
            let state = &mut log.flush;
            state.in_flight.remove(&pending.id);
            if pending.epochs.is_some() {
                log.epochs.written();
            }
            if pending.work.truncations == state.truncations {
                state.synced = state.synced.max(pending.work.upto);
            }
            // The file of epochs must be as far as the recovery point says.
            let known = state.synced.min(log.epochs.written_upto());
            state.recovery_point = state.recovery_point.max(known);
            state.last_flush = now;
            Ok(())
        })
    }

    /// Prepares a clean shutdown: completes the indexes, writes a producer snapshot, and begins to flush
    /// everything. Once that is done nothing may be appended, and the broker stores its checkpoints and
    /// `.kafka_cleanshutdown`.
    pub fn close_clean(&mut self) -> Result<PendingFlush, LogError> {
        self.changing(|log| {
            log.active().seal()?;
            let snapshot = log.producers.take_snapshot(log.disk.as_ref())?;
            log.flush.add_snapshot(snapshot);
            Ok(log.begin_flush())
        })
    }
}
