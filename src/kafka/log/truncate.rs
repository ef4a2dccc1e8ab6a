//! Cutting a log back, as a follower does whose log has what the leader's has not.

use super::{
    error::LogError,
    partition_log::Log,
    segment::{DELETED, SUFFIXES, Segment, path_of},
};
use crate::{
    env::{Disk, WallTime},
    kafka::types::Offset,
};

impl Log {
    /// Cuts the log so that it ends at `offset` or, if a batch spans that, before the batch. Producers are
    /// as they were there.
    pub fn truncate_to(&mut self, offset: Offset, now: WallTime) -> Result<(), LogError> {
        assert!(offset.0 >= 0, "a log is not truncated to a negative offset");
        self.changing(|log| {
            if offset >= log.end {
                // An epoch that began here and wrote nothing may contradict the leader's.
                log.epochs.truncate_from_end(log.end);
                return Ok(());
            }
            if offset < log.segments[0].base {
                return log.restart_at(offset, now);
            }
            let keep = log.slot_of(offset) + 1;
            log.remove_segments(keep..log.segments.len())?;
            log.active().truncate_to(offset, now)?;
            log.end = log.active().read_next_offset()?;
            log.active().load_first_timestamp()?;
            log.after_truncation(now)
        })
    }

    /// Empties the log; its next record gets `offset`.
    pub fn truncate_fully_and_start_at(
        &mut self,
        offset: Offset,
        now: WallTime,
    ) -> Result<(), LogError> {
        self.changing(|log| log.restart_at(offset, now))
    }

    fn restart_at(&mut self, offset: Offset, now: WallTime) -> Result<(), LogError> {
        self.remove_segments(0..self.segments.len())?;
        let (segment, _) = Segment::open(self.disk.as_ref(), &self.dir, offset, &self.config, now)?;
        self.segments.push(segment);
        self.epochs.clear();
        self.producers.clear(self.disk.as_ref(), offset)?;
        self.end = offset;
        self.start = offset;
        self.high_watermark = offset;
        self.flush.truncated(offset);
        Ok(())
    }

    fn after_truncation(&mut self, now: WallTime) -> Result<(), LogError> {
        let end = self.end;
        self.epochs.truncate_from_end(end);
        self.start = self.start.min(end);
        self.high_watermark = self.high_watermark.min(end);
        self.flush.truncated(end);
        self.reload_producers(end, now)?;
        Ok(())
    }

    /// Removes segments and their snapshots at once, when a log is cut. Kafka renames them here too.
    pub(super) fn remove_segments(
        &mut self,
        range: std::ops::Range<usize>,
    ) -> Result<(), LogError> {
        let remove =
            |disk: &dyn Disk, path: &str| disk.remove(path).map_err(LogError::io("remove", path));
        self.take_out(range, None, remove)
    }

    /// Takes segments and their snapshots out of the log: renames their files to `.deleted`, as Kafka does
    /// for readers that are still at them. The snapshot of a segment that another one replaces stays.
    pub(super) fn retire_segments(
        &mut self,
        range: std::ops::Range<usize>,
        replaced: Option<Offset>,
    ) -> Result<(), LogError> {
        let mut deleted = std::mem::take(&mut self.deleted);
        let taken = self.take_out(range, replaced, |disk, path| {
            let retired = format!("{path}{DELETED}");
            disk.rename(path, &retired).map_err(LogError::io("rename", path))?;
            deleted.push(retired);
            Ok(())
        });
        self.deleted = deleted;
        taken
    }

    fn take_out(
        &mut self,
        range: std::ops::Range<usize>,
        replaced: Option<Offset>,
        mut act: impl FnMut(&dyn Disk, &str) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let gone: Vec<Offset> = self.segments.drain(range).map(|segment| segment.base).collect();
        for (base, suffix) in gone.iter().flat_map(|base| SUFFIXES.map(|suffix| (*base, suffix))) {
            act(self.disk.as_ref(), &path_of(&self.dir, base, suffix))?;
        }
        for path in self
            .producers
            .forget_snapshots(|offset| gone.contains(&offset) && Some(offset) != replaced)
        {
            act(self.disk.as_ref(), &path)?;
        }
        if !gone.is_empty() {
            self.flush.files_removed();
        }
        Ok(())
    }
}
