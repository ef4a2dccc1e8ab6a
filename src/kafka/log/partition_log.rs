//! The log of one partition: its state and the questions about it. What it does is in the files beside
//! this one: `append`, `read`, `flush`, `truncate`, `retention`, `loader`.

use std::{sync::Arc, time::Duration};

use super::{
    epochs::{EpochEntry, LeaderEpochs},
    error::LogError,
    flush::FlushState,
    policy::{HighWatermarkCheckpoint, LogPolicy},
    producers::{ActiveProducer, Producers},
    segment::Segment,
};
use crate::{
    env::{Disk, Instant, WallTime},
    kafka::{
        config::TopicConfig,
        types::{LeaderEpoch, Offset},
    },
};

/// How the log was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// By [`Log::close_clean`], and all of it was synced: nothing needs to be recovered.
    Clean,
    Unclean,
}

/// What the broker knows of a log before opening it, from its checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// All before it was synced; from `recovery-point-offset-checkpoint`, 0 if unknown.
    pub recovery_point: Offset,
    /// From `log-start-offset-checkpoint`, 0 if unknown.
    pub log_start: Offset,
    pub shutdown: Shutdown,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    pub wall_time: WallTime,
    pub now: Instant,
    pub policy: LogPolicy,
}

/// One partition's log.
///
/// - `log start <= high watermark <= end`, `recovery point <= end`.
/// - There is always a segment; the last one takes the appends.
/// - Segments lie in order of their base offsets, and a segment's offsets below the next one's base.
/// - After a failed write or sync, and when it was abandoned, every call that changes it fails with [`LogError::Poisoned`].
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: String,
    pub(super) config: Arc<TopicConfig>,
    pub(super) policy: LogPolicy,
    pub(super) segments: Vec<Segment>,
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) high_watermark: Offset,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    pub(super) flush: FlushState,
    /// Paths of files called `.deleted` that nobody has been told of.
    pub(super) deleted: Vec<String>,
    /// Where a batch gets its offset before it is written; kept to save the allocation.
    pub(super) scratch: Vec<u8>,
    pub(super) poisoned: bool,
}

impl Log {
    /// The partition's directory.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    pub fn config(&self) -> &Arc<TopicConfig> {
        &self.config
    }

    /// For a change of the topic's settings; existing segments keep their index sizes.
    pub fn set_config(&mut self, config: Arc<TopicConfig>) {
        self.config = config;
    }

    /// The first offset readers may ask for.
    pub fn start_offset(&self) -> Offset {
        self.start
    }

    /// The offset the next record gets.
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Moves the high watermark, kept within the log; returns where it is then.
    pub fn set_high_watermark(&mut self, offset: Offset) -> Offset {
        self.high_watermark = offset.clamp(self.start, self.end);
        self.high_watermark
    }

    /// Sets the high watermark of a log just opened to what `replication-offset-checkpoint` has; returns
    /// where it is then.
    pub fn restore_high_watermark(&mut self, checkpointed: Offset) -> Offset {
        match self.policy.high_watermark_checkpoint {
            HighWatermarkCheckpoint::Kept => self.set_high_watermark(checkpointed),
            HighWatermarkCheckpoint::ResetAtStart => self.set_high_watermark(self.start),
        }
    }

    /// Bytes of all segments, without indexes.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.size)).sum()
    }

    /// Base offsets of the segments, oldest first.
    pub fn segment_bases(&self) -> impl ExactSizeIterator<Item = Offset> {
        self.segments.iter().map(|segment| segment.base)
    }

    /// Producers whose state is kept.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Those producers, by id.
    pub fn active_producers(&self) -> impl Iterator<Item = ActiveProducer> {
        self.producers.active()
    }

    /// Forgets producers idle for `producer.id.expiration.ms`; the broker calls it every
    /// `producer.id.expiration.check.interval.ms`.
    pub fn remove_expired_producers(&mut self, now: WallTime) {
        self.producers.remove_expired(now);
    }

    pub fn latest_epoch(&self) -> Option<EpochEntry> {
        self.epochs.latest()
    }

    /// The epoch that wrote `offset`.
    pub fn epoch_for(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_for(offset)
    }

    /// The answer to OffsetForLeaderEpoch: the largest epoch up to `epoch`, and where it ended.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(epoch, self.end)
    }

    /// A new leader marks where its epoch begins before it writes anything.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) {
        self.epochs.assign(epoch, self.end);
    }

    pub(super) fn active(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has an active segment")
    }

    /// Where the segment that may hold `offset` is in the list.
    pub(super) fn slot_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// Ends the log: from here on it changes no file, not even through a flush that is under way. For a
    /// partition that was deleted, whose directory's name may be given to another.
    pub fn abandon(&mut self) {
        self.poisoned = true;
        self.flush.abandon();
    }

    pub(super) fn check_usable(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned { dir: self.dir.clone() }) } else { Ok(()) }
    }

    /// Runs what changes files; a failure leaves nobody knowing what is on the disk.
    pub(super) fn changing<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        self.check_usable()?;
        let result = change(self);
        self.poisoned = result.is_err();
        result
    }
}
