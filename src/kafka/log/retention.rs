//! Deleting the oldest segments: by age, by size, and what DeleteRecords put out of reach.

use super::{error::LogError, error::ReadError, partition_log::Log, segment::Segment};
use crate::{
    env::WallTime,
    kafka::{config::CleanupPolicy, types::Offset},
};

impl Log {
    /// Raises the log's start, as DeleteRecords asks: records before it are out of reach at once and
    /// deleted by [`Log::delete_retention`]. Fails above the high watermark.
    pub fn advance_start_offset(&mut self, offset: Offset) -> Result<(), ReadError> {
        self.check_usable()?;
        if offset > self.high_watermark {
            let (start, end) = (self.start, self.high_watermark);
            return Err(ReadError::OutOfRange { asked: offset, start, end });
        }
        if offset > self.start {
            self.start = offset;
            self.epochs.truncate_from_start(offset);
        }
        Ok(())
    }

    /// Deletes what `retention.ms`, `retention.bytes` and the log's start allow; returns the base offsets
    /// of the deleted segments. Nothing at or above the high watermark goes.
    pub fn delete_retention(&mut self, now: WallTime) -> Result<Vec<Offset>, LogError> {
        self.changing(|log| {
            let mut gone = log.delete_while(now, |log, slot| {
                log.segments.get(slot + 1).is_some_and(|next| next.base <= log.start)
            })?;
            if matches!(log.config.cleanup_policy, CleanupPolicy::Compact) {
                return Ok(gone);
            }
            let mut surplus =
                log.config.retention_bytes.map_or(0, |most| log.size().saturating_sub(most));
            gone.extend(log.delete_while(now, |log, slot| {
                let size = u64::from(log.segments[slot].size);
                let delete = size <= surplus && surplus > 0;
                surplus = surplus.saturating_sub(size);
                delete
            })?);
            gone.extend(log.delete_while(now, |log, slot| {
                let age = i128::from(now.0) - i128::from(log.segments[slot].largest_timestamp().0);
                log.config.retention.is_some_and(|most| age > most.as_millis() as i128)
            })?);
            Ok(gone)
        })
    }

    /// Deletes from the oldest segment on while `doomed` holds.
    fn delete_while(
        &mut self,
        now: WallTime,
        mut doomed: impl FnMut(&Log, usize) -> bool,
    ) -> Result<Vec<Offset>, LogError> {
        let count = (0..self.segments.len())
            .take_while(|&slot| self.may_delete(slot) && doomed(self, slot))
            .count();
        if count == 0 {
            return Ok(Vec::new());
        }
        if count == self.segments.len() {
            // There must be a segment to append to.
            self.roll_to(self.end, now)?;
        }
        let gone = self.segments[..count].iter().map(|segment| segment.base).collect();
        let start = self.segments[count].base;
        if start > self.start {
            self.start = start;
            self.epochs.truncate_from_start(start);
        }
        self.remove_segments(0..count)?;
        Ok(gone)
    }

    /// Whether all of the segment is committed, and it is not the empty one at the end.
    fn may_delete(&self, slot: usize) -> bool {
        let next = self.segments.get(slot + 1).map(|next: &Segment| next.base);
        let empty_last = next.is_none() && self.segments[slot].size == 0;
        !empty_last && self.high_watermark >= next.unwrap_or(self.end)
    }
}
