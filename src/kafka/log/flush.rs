//! Making the log durable, split so that nobody holds it while the disk works.
//!
//! As in Kafka, an append alone is durable on no disk: `flush.messages` and `flush.ms` are unlimited by
//! default. A rolled segment and its producer snapshot are flushed soon after the roll.

use std::sync::Arc;

use super::{
    checkpoint::{parent, write_atomically},
    epochs,
    error::LogError,
    partition_log::Log,
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
}

impl FlushState {
    pub fn new(recovery_point: Offset, now: Instant) -> Self {
        FlushState {
            recovery_point,
            last_flush: now,
            rolled: None,
            snapshots: Vec::new(),
            directory_changed: true,
            directory_may_be_new: true,
            truncations: 0,
        }
    }

    pub fn set_recovery_point(&mut self, offset: Offset) {
        self.recovery_point = offset;
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

    pub fn files_removed(&mut self) {
        self.directory_changed = true;
    }

    pub fn truncated(&mut self, end: Offset) {
        self.truncations += 1;
        self.recovery_point = self.recovery_point.min(end);
        self.rolled = self.rolled.filter(|&base| base <= end);
        self.directory_changed = true;
    }
}

/// A flush under way. [`PendingFlush::sync`] it without holding the log, then tell the log with
/// [`Log::flush_done`]; one that is dropped instead leaves its files unsynced until they change again.
#[must_use]
pub struct PendingFlush {
    disk: Arc<dyn Disk>,
    dir: String,
    upto: Offset,
    files: Vec<DirtyFile>,
    epochs: Option<String>,
    sync_dir: bool,
    sync_parent: bool,
    truncations: u64,
}

impl PendingFlush {
    /// The log's recovery point once this is done.
    pub fn upto(&self) -> Offset {
        self.upto
    }

    pub async fn sync(&self) -> Result<(), LogError> {
        for (path, file) in &self.files {
            file.sync().await.map_err(LogError::io("sync", path))?;
        }
        if let Some(text) = &self.epochs {
            let path = format!("{}/{}", self.dir, epochs::FILE_NAME);
            let written = write_atomically(self.disk.as_ref(), &path, text.as_bytes()).await;
            written.map_err(LogError::io("replace", &path))?;
        }
        if self.sync_dir {
            let synced = self.disk.sync_dir(&self.dir).await;
            synced.map_err(LogError::io("sync", &self.dir))?;
        }
        if self.sync_parent {
            let synced = self.disk.sync_dir(parent(&self.dir)).await;
            synced.map_err(LogError::io("sync the parent of", &self.dir))?;
        }
        Ok(())
    }
}

impl Log {
    /// All before it is durable; the broker stores it in `recovery-point-offset-checkpoint`.
    pub fn recovery_point(&self) -> Offset {
        self.flush.recovery_point
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
        if self.flush.rolled.is_some() || self.epochs.is_dirty() || self.flush_messages_reached() {
            return Instant::default();
        }
        match self.config.flush_interval {
            Some(interval) if self.unflushed_records() > 0 => self.flush.last_flush + interval,
            _ => Instant::FAR_FUTURE,
        }
    }

    pub(super) fn flush_messages_reached(&self) -> bool {
        self.config.flush_messages.is_some_and(|limit| self.unflushed_records() >= limit.max(1))
    }

    /// The flush that is due, if any: everything when `flush.messages` or `flush.ms` ask for it, else what
    /// rolling and new epochs left behind.
    pub fn due_flush(&mut self, now: Instant) -> Option<PendingFlush> {
        if !self.needs_flush(now) {
            return None;
        }
        let by_time = self.config.flush_interval.is_some_and(|interval| {
            self.unflushed_records() > 0 && self.flush.last_flush + interval <= now
        });
        if by_time || self.flush_messages_reached() {
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
        self.flush.rolled = self.flush.rolled.filter(|&base| base > upto);
        PendingFlush {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            upto,
            files,
            epochs: self.epochs.take_dirty(),
            sync_dir: std::mem::take(&mut self.flush.directory_changed),
            sync_parent: std::mem::take(&mut self.flush.directory_may_be_new),
            truncations: self.flush.truncations,
        }
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
            if pending.truncations == log.flush.truncations {
                log.flush.recovery_point = log.flush.recovery_point.max(pending.upto);
            }
            log.flush.last_flush = now;
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
