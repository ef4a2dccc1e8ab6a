//! Which part of a log can be cleaned, and whether that is worth it: `LogCleanerManager`.

use crate::{
    env::WallTime,
    kafka::{
        log::{Log, LogError, segment::Segment},
        types::Offset,
    },
};

/// What cleaning a log now would be about.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cleanable {
    /// All before it was cleaned.
    pub first_dirty: Offset,
    /// Base of the first segment that is not to be cleaned yet.
    pub upto: Offset,
    /// Bytes of the segments before the first dirty one, and from there to `upto`.
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    /// A dirty record waits for longer than `max.compaction.lag.ms`.
    pub overdue: bool,
    /// The last cleaning's end is not in the log and has been replaced by the log's start.
    pub reset: bool,
    min_ratio: f64,
    /// How often the log had been cut.
    pub(super) truncations: u64,
}

impl Cleanable {
    /// Share of dirty bytes; of two logs that with more is cleaned first.
    pub fn ratio(&self) -> f64 {
        self.dirty_bytes as f64 / (self.clean_bytes + self.dirty_bytes) as f64
    }

    pub fn is_due(&self) -> bool {
        self.dirty_bytes > 0 && (self.overdue || self.ratio() > self.min_ratio)
    }
}

impl Log {
    /// `last_clean` is where the last cleaning ended, from `cleaner-offset-checkpoint`.
    pub fn cleanable(
        &self,
        last_clean: Option<Offset>,
        now: WallTime,
    ) -> Result<Cleanable, LogError> {
        let known = last_clean.filter(|clean| (self.start..=self.end).contains(clean));
        let first_dirty = known.unwrap_or(self.start);
        let upto = self.first_uncleanable(first_dirty, now);
        let size = |segments: &[Segment]| segments.iter().map(|s| u64::from(s.size)).sum();
        let clean = self.segments.partition_point(|segment| segment.base < first_dirty);
        let dirty = self.slot_of(first_dirty.min(upto))..self.slot_of(upto);
        Ok(Cleanable {
            truncations: self.flush.truncations(),
            first_dirty,
            upto,
            clean_bytes: size(&self.segments[..clean]),
            dirty_bytes: size(&self.segments[dirty.clone()]),
            overdue: self.is_overdue(&self.segments[dirty], now)?,
            reset: last_clean.is_some() && known.is_none(),
            min_ratio: self.config.min_cleanable_ratio,
        })
    }

    /// Not the active segment, nothing above the high watermark, and nothing younger than
    /// `min.compaction.lag.ms`. The answer is the base of a segment.
    fn first_uncleanable(&self, first_dirty: Offset, now: WallTime) -> Offset {
        let active = self.segments.len() - 1;
        let lag = self.config.min_compaction_lag.as_millis() as i128;
        let too_young = |segment: &Segment| {
            lag > 0 && i128::from(segment.largest_timestamp().0) > i128::from(now.0) - lag
        };
        let first = self.slot_of(first_dirty);
        let young = (first..active).find(|&slot| too_young(&self.segments[slot]));
        let committed = self.slot_of(self.high_watermark.max(first_dirty));
        self.segments[young.unwrap_or(active).min(committed).max(first)].base
    }

    fn is_overdue(&self, dirty: &[Segment], now: WallTime) -> Result<bool, LogError> {
        let Some(lag) = self.config.max_compaction_lag else { return Ok(false) };
        let limit = i128::from(now.0) - lag.as_millis() as i128;
        for segment in dirty {
            let first = segment.scan_from(0).expect_next()?;
            let first = first.map_or(-1, |first| first.header.max_timestamp.0);
            if first > 0 && i128::from(first) < limit {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
