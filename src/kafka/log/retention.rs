//! Deleting the oldest segments: by age, by size, and what DeleteRecords put out of reach.
//!
//! In two steps, [`Log::expire`] and [`Log::delete_below_start`], between which the broker writes down where
//! its logs start: a power loss may undo some of the deletions and leave others done, and recovery must
//! then know that the hole is none. Kafka leaves the order of its renames to the file system's journal.

use super::{
    error::{LogError, ReadError},
    partition_log::Log,
    segment::Segment,
};
use crate::{
    env::WallTime,
    kafka::{config::CleanupPolicy, types::Offset},
};

impl Log {
    /// Raises the log's start, as DeleteRecords asks: records before it are out of reach at once and
    /// deleted by [`Log::delete_below_start`]. Fails above the high watermark.
    pub fn advance_start_offset(&mut self, offset: Offset) -> Result<(), ReadError> {
        self.check_usable()?;
        if offset > self.high_watermark {
            let (start, end) = (self.start, self.high_watermark);
            return Err(ReadError::OutOfRange { asked: offset, start, end });
        }
        self.raise_start(offset);
        Ok(())
    }

    fn raise_start(&mut self, offset: Offset) {
        if offset > self.start {
            self.start = offset;
            self.epochs.truncate_from_start(offset);
        }
    }

    /// Raises the log's start past the segments that `retention.bytes` and `retention.ms` are tired of, if
    /// `cleanup.policy` deletes. Nothing at or above the high watermark goes. Returns whether there is
    /// anything to delete since, now or from before.
    pub fn expire(&mut self, now: WallTime) -> Result<bool, LogError> {
        self.changing(|log| {
            if !matches!(log.config.cleanup_policy, CleanupPolicy::Compact) {
                let kept = log.first_kept(now);
                if kept == log.segments.len() {
                    // There must be a segment to append to.
                    log.roll_to(log.end, now)?;
                }
                log.raise_start(log.segments[kept].base);
            }
            Ok(log.below_start() > 0)
        })
    }

    /// How many of the oldest segments are below the log's start.
    fn below_start(&self) -> usize {
        self.segments.iter().skip(1).take_while(|next| next.base <= self.start).count()
    }

    /// The slot of the first segment that neither size nor age condemns.
    fn first_kept(&self, now: WallTime) -> usize {
        let config = &self.config;
        let first = self.below_start();
        let live = self.segments[first..].iter().map(|segment| u64::from(segment.size)).sum();
        let mut surplus = config.retention_bytes.map_or(0, |most| u64::saturating_sub(live, most));
        let too_big = |segment: &Segment| {
            let delete = u64::from(segment.size) <= surplus && surplus > 0;
            surplus = surplus.saturating_sub(u64::from(segment.size));
            delete
        };
        let by_size = self.count_deletable(first, too_big);
        let too_old = |segment: &Segment| {
            let age = i128::from(now.0) - i128::from(segment.largest_timestamp().0);
            config.retention.is_some_and(|most| age > most.as_millis() as i128)
        };
        self.count_deletable(by_size, too_old)
    }

    /// The slot that `first` and those behind it lead to while they may go and `doomed` holds.
    fn count_deletable(&self, first: usize, mut doomed: impl FnMut(&Segment) -> bool) -> usize {
        let gone = (first..self.segments.len())
            .take_while(|&slot| self.may_delete(slot) && doomed(&self.segments[slot]));
        first + gone.count()
    }

    /// Whether all of the segment is committed, and it is not the empty one at the end.
    fn may_delete(&self, slot: usize) -> bool {
        let next = self.segments.get(slot + 1).map(|next: &Segment| next.base);
        let empty_last = next.is_none() && self.segments[slot].size == 0;
        !empty_last && self.high_watermark >= next.unwrap_or(self.end)
    }

    /// Takes the segments below the log's start away; returns their base offsets. Their files are called
    /// `.deleted` then and wait in [`Log::take_deleted`]; the directory is to be synced.
    pub fn delete_below_start(&mut self) -> Result<Vec<Offset>, LogError> {
        self.changing(|log| {
            let count = log.below_start();
            let gone = log.segment_bases().take(count).collect();
            log.retire_segments(0..count, None)?;
            Ok(gone)
        })
    }

    /// Paths of the files renamed since this was last asked, to be removed after `file.delete.delay.ms`.
    pub fn take_deleted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.deleted)
    }
}
