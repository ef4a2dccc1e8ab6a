//! Opening a log: loading what is sound, recovering what a crash may have torn. After `LogLoader`.
//!
//! What lies before the recovery point was synced and is trusted, as are the snapshots up to the segment
//! that holds it. From that segment on every batch is checked; at the first that is not sound the log is
//! cut, and later segments go.
//!
//! Producers are replayed from the snapshot one segment further back than needed. A snapshot keeps one
//! batch of each producer and Kafka, which starts from the newest, no longer recognises the four before
//! it; here a restart keeps the window of five, as far as the last two segments reach.

use std::{io, sync::Arc};

use super::{
    checkpoint::CheckpointError,
    clean::finish_interrupted,
    epochs::LeaderEpochs,
    error::LogError,
    flush::FlushState,
    index::Found,
    partition_log::{Log, OpenOptions, Shutdown},
    producers::Producers,
    segment::{SUFFIXES, Segment, offset_of, path_of},
};
use crate::{
    env::{Disk, WallTime},
    kafka::{
        config::{CleanupPolicy, TopicConfig},
        types::Offset,
    },
};

/// What was cut off the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Where the log ends since.
    pub offset: Offset,
    pub bytes: u64,
}

/// What opening a log took.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Segments whose batches were all checked.
    pub segments_scanned: usize,
    pub batches_scanned: u64,
    /// Set if something at the end was no sound batch.
    pub cut: Option<Cut>,
    /// Segments removed behind the cut, or because the log's start is beyond its end.
    pub segments_deleted: usize,
    /// Whether batches before the recovery point were damaged, so that all segments were checked. Kafka
    /// refuses to load such a log.
    pub trust_was_misplaced: bool,
    /// Segments whose indexes were missing or unsound.
    pub indexes_rebuilt: usize,
    pub producers_loaded: usize,
    /// The snapshot that producers were loaded from.
    pub snapshot: Option<Offset>,
}

impl Log {
    /// Opens the log in `dir`, or begins one there.
    pub async fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        config: Arc<TopicConfig>,
        options: &OpenOptions,
    ) -> Result<(Log, Recovery), LogError> {
        let names = list(disk.as_ref(), dir)?;
        if names.is_none() {
            disk.create_dir(dir).map_err(LogError::io("create", dir))?;
        }
        let names = finish_interrupted(disk.as_ref(), dir, names.unwrap_or_default()).await?;
        let files = Files::sort(disk.as_ref(), dir, names)?;
        let epochs = LeaderEpochs::load(disk.as_ref(), dir).map_err(|error| match error {
            CheckpointError::Io { path, source } => LogError::Io { action: "read", path, source },
            CheckpointError::Malformed { path, reason } => {
                LogError::Io { action: "read", path, source: io::Error::other(reason) }
            }
        })?;
        let mut log = Log {
            producers: Producers::new(
                dir,
                options.producer_id_expiration,
                options.policy.first_sequence_on_empty_state,
                files.snapshots,
            ),
            flush: FlushState::new(options.recovery_point, options.now),
            disk,
            dir: dir.into(),
            config,
            policy: options.policy,
            segments: Vec::new(),
            start: options.log_start,
            end: options.log_start,
            high_watermark: options.log_start,
            epochs,
            deleted: Vec::new(),
            scratch: Vec::new(),
            poisoned: false,
        };
        let mut recovery = Recovery::default();
        let bases = log.without_deleted(files.bases)?;
        let unsound = log.load_segments(&bases, options.wall_time)?;
        match log.recover(&unsound, options, log.first_to_check(options), &mut recovery) {
            // What was said to be durable is not: the disk lied or a sector went bad.
            Err(LogError::Corrupt { .. }) => {
                recovery = Recovery { trust_was_misplaced: true, ..Recovery::default() };
                log.recover(&unsound, options, 0, &mut recovery)?;
            }
            recovered => recovered?,
        }
        log.settle(options, &mut recovery)?;
        Ok((log, recovery))
    }

    /// Removes the segments below the log's start. A power loss may have undone the deletion of some of
    /// them alone, and what lies behind the hole would pass for the end of a torn log.
    fn without_deleted(&mut self, bases: Vec<Offset>) -> Result<Vec<Offset>, LogError> {
        let kept = bases.partition_point(|&base| base <= self.start).saturating_sub(1);
        let (gone, kept) = bases.split_at(kept);
        for (base, suffix) in gone.iter().flat_map(|base| SUFFIXES.map(|suffix| (*base, suffix))) {
            let path = path_of(&self.dir, base, suffix);
            match self.disk.remove(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(LogError::io("remove", &path))?,
            }
        }
        let first = kept.first().copied().unwrap_or_default();
        self.producers.remove_snapshots(self.disk.as_ref(), |offset| offset < first)?;
        Ok(kept.to_vec())
    }

    /// Opens the segments; returns the slots of those without sound indexes.
    fn load_segments(&mut self, bases: &[Offset], now: WallTime) -> Result<Vec<usize>, LogError> {
        let mut unsound = Vec::new();
        for (slot, &base) in bases.iter().enumerate() {
            let (segment, found) =
                Segment::open(self.disk.as_ref(), &self.dir, base, &self.config, now)?;
            if found != Found::Sound {
                unsound.push(slot);
            }
            self.segments.push(segment);
        }
        Ok(unsound)
    }

    /// The slot of the first segment that is not trusted.
    fn first_to_check(&self, options: &OpenOptions) -> usize {
        match options.shutdown {
            Shutdown::Clean => self.segments.len(),
            Shutdown::Unclean => self.slot_of(options.recovery_point),
        }
    }

    /// Checks the segments from slot `first` on, and brings producers and epochs to the end of the log.
    fn recover(
        &mut self,
        unsound: &[usize],
        options: &OpenOptions,
        first: usize,
        recovery: &mut Recovery,
    ) -> Result<(), LogError> {
        recovery.indexes_rebuilt = unsound.len();
        for &slot in unsound.iter().filter(|&&slot| slot < first) {
            let recovered = self.segments[slot].recover(|_| ())?;
            recovery.segments_scanned += 1;
            recovery.batches_scanned += recovered.batches;
            if recovered.cut > 0 {
                recovery.cut = Some(Cut { offset: recovered.end, bytes: recovered.cut });
            }
        }
        let checked_from = self.segments.get(first).map(|segment| segment.base);
        if let Some(from) = checked_from {
            recovery.snapshot = self.reload_producers(from, options.wall_time)?;
            self.check_segments(first, recovery)?;
        }
        self.end = match self.segments.last() {
            Some(last) => last.read_next_offset()?,
            None => self.start,
        };
        if checked_from.is_none() && !self.segments.is_empty() {
            recovery.snapshot = self.reload_producers(self.end, options.wall_time)?;
        }
        Ok(())
    }

    /// Checks the segments from `first` on, which producers have been replayed up to.
    ///
    /// A power loss may take the end of one segment and leave the next. Kafka keeps both and the gap
    /// between them, at which a consumer may wait for ever; here what lies behind a gap goes, unless
    /// compaction may have made it.
    fn check_segments(&mut self, first: usize, recovery: &mut Recovery) -> Result<(), LogError> {
        let dense = self.config.cleanup_policy == CleanupPolicy::Delete;
        let mut end = self.segments[first].base;
        for slot in first..self.segments.len() {
            let base = self.segments[slot].base;
            if dense && base != end {
                return self.cut(slot, Cut { offset: end, bytes: 0 }, recovery);
            }
            if slot > first {
                self.producers.set_end(base);
                let snapshot = self.producers.take_snapshot(self.disk.as_ref())?;
                self.flush.add_snapshot(snapshot);
            }
            let (producers, epochs) = (&mut self.producers, &mut self.epochs);
            let recovered = self.segments[slot].recover(|header| {
                producers.update(header);
                epochs.found(header.leader_epoch, header.base_offset);
            })?;
            recovery.segments_scanned += 1;
            recovery.batches_scanned += recovered.batches;
            end = recovered.end;
            if recovered.cut > 0 {
                return self.cut(slot + 1, Cut { offset: end, bytes: recovered.cut }, recovery);
            }
        }
        Ok(())
    }

    /// Removes the segments from `slot` on, after `cut` bytes before them.
    fn cut(&mut self, slot: usize, cut: Cut, recovery: &mut Recovery) -> Result<(), LogError> {
        let later: u64 = self.segments[slot..].iter().map(|segment| u64::from(segment.size)).sum();
        recovery.cut = Some(Cut { bytes: cut.bytes + later, ..cut });
        recovery.segments_deleted += self.segments.len() - slot;
        self.remove_segments(slot..self.segments.len())
    }

    /// Makes producers what they were when the log ended at `upto`; returns the snapshot used.
    pub(super) fn reload_producers(
        &mut self,
        upto: Offset,
        now: WallTime,
    ) -> Result<Option<Offset>, LogError> {
        let slot = self.slot_of(upto).saturating_sub(1);
        let (back, first) = (self.segments[slot].base, self.segments[0].base);
        self.producers.remove_snapshots(self.disk.as_ref(), |offset| offset > upto)?;
        let snapshot = self.producers.reload(self.disk.as_ref(), back, first, now)?;
        // What lies behind `upto` may not have been checked yet.
        let known = self.segments.iter().take_while(|segment| segment.base < upto);
        for segment in known.skip(self.slot_of(self.producers.end())) {
            let mut scan = segment.scan_from_offset(self.producers.end());
            while let Some(found) = scan.expect_next()? {
                if found.header.base_offset >= upto {
                    break;
                }
                if found.header.base_offset >= self.producers.end() {
                    self.producers.update(&found.header);
                }
            }
        }
        self.producers.set_end(upto);
        Ok(snapshot)
    }

    /// Sets what follows from where the log starts and ends.
    fn settle(&mut self, options: &OpenOptions, recovery: &mut Recovery) -> Result<(), LogError> {
        if self.end < options.log_start {
            recovery.segments_deleted += self.segments.len();
            self.remove_segments(0..self.segments.len())?;
            self.epochs.clear();
        }
        if self.segments.is_empty() {
            self.end = options.log_start;
            self.producers.clear(self.disk.as_ref(), self.end)?;
            let (segment, _) = Segment::open(
                self.disk.as_ref(),
                &self.dir,
                self.end,
                &self.config,
                options.wall_time,
            )?;
            self.segments.push(segment);
        }
        self.start = options.log_start.max(self.segments[0].base);
        self.high_watermark = self.start;
        self.active().load_first_timestamp()?;
        self.epochs.truncate_from_end(self.end);
        self.epochs.truncate_from_start(self.start);
        self.producers.set_end(self.end);
        self.remove_stray_snapshots()?;
        let recovered_to = match options.shutdown {
            Shutdown::Clean if recovery.cut.is_none() && !recovery.trust_was_misplaced => self.end,
            _ => options.recovery_point.min(self.end),
        };
        self.flush.set_recovery_point(recovered_to);
        if recovered_to < options.recovery_point {
            self.flush.truncated(recovered_to);
        }
        recovery.producers_loaded = self.producers.len();
        Ok(())
    }

    /// Keeps the snapshots at the base of a segment, and the newest, which a clean shutdown writes.
    fn remove_stray_snapshots(&mut self) -> Result<(), LogError> {
        let bases: Vec<Offset> = self.segment_bases().collect();
        let newest = self.producers.newest_snapshot();
        self.producers.remove_snapshots(self.disk.as_ref(), |offset| {
            !bases.contains(&offset) && Some(offset) != newest
        })
    }
}

/// The names in a partition's directory that matter.
struct Files {
    bases: Vec<Offset>,
    snapshots: Vec<Offset>,
}

impl Files {
    /// Removes indexes without their segment.
    fn sort(disk: &dyn Disk, dir: &str, names: Vec<String>) -> Result<Self, LogError> {
        let all = |suffix| names.iter().filter_map(|name| offset_of(name, suffix)).collect();
        // Names are padded with zeros, so that the order of names is that of offsets.
        let mut files = Files { bases: all(SUFFIXES[0]), snapshots: all("snapshot") };
        files.bases.sort_unstable();
        for name in &names {
            let orphan = SUFFIXES[1..].iter().any(|suffix| {
                offset_of(name, suffix).is_some_and(|base| !files.bases.contains(&base))
            });
            if orphan {
                let path = format!("{dir}/{name}");
                disk.remove(&path).map_err(LogError::io("remove", &path))?;
            }
        }
        Ok(files)
    }
}

/// Names in a directory; `None` if there is none.
fn list(disk: &dyn Disk, dir: &str) -> Result<Option<Vec<String>>, LogError> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        names => names.map(Some).map_err(LogError::io("list", dir)),
    }
}
