//! One cleaning of one log, step by step, on the segments' files and without the log itself.
//!
//! Departure from Kafka: the last batch of every rewritten segment is kept, empty if need be, where Kafka
//! keeps the last batch of a whole cleaning. So a segment always ends where the next one begins, and what
//! finds it half swapped in knows which segments it replaces.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    filter::{Filter, Kept},
    offset_map::OffsetMap,
    plan::Cleanable,
    swap::{CLEANED, Cleaned},
};
use crate::{
    env::{Disk, File, WallTime},
    kafka::{
        config::TopicConfig,
        log::{
            Log, LogError,
            scan::{Depth, Found, Scan},
            segment::{Appended, IndexSizes, Segment},
        },
        protocol::batch::{Batch, BatchError},
        types::{Offset, ProducerId, Timestamp},
    },
};

/// `log.cleaner.*`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CleanerLimits {
    /// `dedupe.buffer.size`
    pub memory: u64,
    /// `io.buffer.load.factor`
    pub load_factor: f64,
    /// `io.buffer.size`: bytes read in one step, give or take a batch.
    pub step_bytes: u64,
}

/// A segment as it was when the cleaning began.
struct Source {
    base: Offset,
    file: Arc<dyn File>,
    path: String,
    size: u32,
    indexes: IndexSizes,
    created: WallTime,
    /// Where the first dirty record is, or shortly before.
    dirty_from: u32,
}

pub struct Cleaning {
    disk: Arc<dyn Disk>,
    dir: String,
    config: Arc<TopicConfig>,
    limits: CleanerLimits,
    now: WallTime,
    first_dirty: Offset,
    upto: Offset,
    /// How often the log had been cut.
    truncations: u64,
    sources: Vec<Source>,
    producers: BTreeMap<ProducerId, Offset>,
    map: OffsetMap,
    phase: Phase,
}

enum Phase {
    /// Reading the keys of the dirty section.
    Mapping { slot: usize, position: u32 },
    /// Copying the sources from here on.
    Copying { slot: usize },
    /// Copying a group of sources into one segment.
    Filling(Filling),
}

struct Filling {
    group: Range<usize>,
    slot: usize,
    position: u32,
    into: Box<Segment>,
}

/// What a step came to.
pub enum Step {
    More,
    /// A segment is ready to be swapped in; the cleaning goes on after that.
    Cleaned(Cleaned),
    /// All is done; the log is clean up to this offset.
    Done(Offset),
}

impl Log {
    /// Begins to clean what `cleanable` says. All of it must be durable, or nothing begins: a power loss that took
    /// a key's last record would take the key. (In Kafka it may; only the flush that follows a roll stands
    /// against it.) Nor does it where the log was cut since: `cleanable` is of what it was.
    pub fn begin_cleaning(
        &self,
        cleanable: &Cleanable,
        limits: CleanerLimits,
        now: WallTime,
    ) -> Option<Cleaning> {
        let is_cut = self.flush.truncations() != cleanable.truncations;
        if is_cut || self.recovery_point() < cleanable.upto {
            return None;
        }
        let upto = cleanable.upto;
        let sources = self.segments.iter().filter(|segment| segment.base < upto);
        let source = |segment: &Segment| Source {
            base: segment.base,
            file: Arc::clone(&segment.file),
            path: segment.path.clone(),
            size: segment.size,
            indexes: segment.index_sizes(),
            created: segment.created(),
            dirty_from: segment.position_before(cleanable.first_dirty),
        };
        Some(Cleaning {
            disk: Arc::clone(&self.disk),
            dir: self.dir.clone(),
            config: Arc::clone(&self.config),
            limits,
            now,
            first_dirty: cleanable.first_dirty,
            upto,
            truncations: cleanable.truncations,
            sources: sources.map(source).collect(),
            producers: self.producers.last_offsets(),
            map: OffsetMap::new(limits.memory, limits.load_factor),
            phase: Phase::Mapping { slot: self.slot_of(cleanable.first_dirty), position: 0 },
        })
    }

    /// Whether nothing was cut off since the cleaning began. Else it is to be given up: an unclean election may cut what
    /// it has read (`LogCleanerManager.abortAndPauseCleaning`).
    pub fn is_as_cleaned(&self, cleaning: &Cleaning) -> bool {
        self.flush.truncations() == cleaning.truncations
    }
}

impl Cleaning {
    /// Whether the next step may make files; others only read and write such as are open.
    pub fn is_between_segments(&self) -> bool {
        matches!(self.phase, Phase::Copying { .. })
    }

    /// Does a part of the work.
    pub fn step(&mut self) -> Result<Step, LogError> {
        let phase = std::mem::replace(&mut self.phase, Phase::Copying { slot: 0 });
        match phase {
            Phase::Mapping { slot, position } => {
                self.phase = self.map_keys(slot, position)?;
                Ok(Step::More)
            }
            Phase::Copying { slot } if slot == self.copied().len() => {
                self.phase = Phase::Copying { slot };
                Ok(Step::Done(self.map.latest() + 1))
            }
            Phase::Copying { slot } => {
                let group = self.group_from(slot);
                let base = self.sources[slot].base;
                let into = Segment::create_beside(
                    self.disk.as_ref(),
                    &self.dir,
                    base,
                    CLEANED,
                    &self.config,
                    self.sources[group.end - 1].created,
                )?;
                self.phase =
                    Phase::Filling(Filling { group, slot, position: 0, into: Box::new(into) });
                Ok(Step::More)
            }
            Phase::Filling(filling) => self.fill(filling),
        }
    }

    /// The sources that the map tells something about.
    fn copied(&self) -> &[Source] {
        let count = self.sources.partition_point(|source| source.base <= self.map.latest());
        &self.sources[..count]
    }

    /// `Cleaner.buildOffsetMap`, one part of one segment.
    fn map_keys(&mut self, slot: usize, position: u32) -> Result<Phase, LogError> {
        let Some(source) = self.sources.get(slot) else { return Ok(Phase::Copying { slot: 0 }) };
        let position = position.max(source.dirty_from);
        let mut scan = source.scan_from(position);
        let until = u64::from(position) + self.limits.step_bytes.max(1);
        while scan.position() < until
            && let Some((found, batch)) = source.next_batch(&mut scan)?
        {
            let header = &batch.header;
            if !header.attributes.is_control() {
                for record in batch.records().map_err(|error| source.corrupt(&found, error))? {
                    let record = record.map_err(|error| source.corrupt(&found, error))?;
                    let Some(key) = record.key.filter(|_| record.offset >= self.first_dirty) else {
                        continue;
                    };
                    if self.map.put(&key, record.offset).is_err() {
                        return Ok(Phase::Copying { slot: 0 });
                    }
                }
            }
            if header.last_offset() >= self.first_dirty {
                self.map.set_latest(header.last_offset());
            }
        }
        if scan.position() < u64::from(source.size) {
            return Ok(Phase::Mapping { slot, position: scan.position() as u32 });
        }
        // Over offsets at the end that are gone.
        let next = self.sources.get(slot + 1).map_or(self.upto, |next| next.base);
        self.map.set_latest(Offset(next.0 - 1));
        Ok(Phase::Mapping { slot: slot + 1, position: 0 })
    }

    /// `Cleaner.groupSegmentsBySize`: as many as make one full segment.
    fn group_from(&self, first: usize) -> Range<usize> {
        let sources = self.copied();
        let (mut size, mut indexes) = (u64::from(sources[first].size), sources[first].indexes);
        let mut end = first + 1;
        while let Some(source) = sources.get(end) {
            size += u64::from(source.size);
            indexes = indexes.plus(source.indexes);
            let next = self.sources.get(end + 1).map_or(self.upto, |next| next.base);
            let span = next.0 - 1 - sources[first].base.0;
            if size > u64::from(self.config.segment_bytes)
                || indexes.exceed(self.config.segment_index_bytes)
                || source.size > 0 && span > i64::from(i32::MAX)
            {
                break;
            }
            end += 1;
        }
        first..end
    }

    /// `Cleaner.cleanInto`, one part of one segment.
    fn fill(&mut self, mut filling: Filling) -> Result<Step, LogError> {
        let source = &self.sources[filling.slot];
        let ends_group = filling.slot + 1 == filling.group.end;
        let filter = Filter {
            map: &self.map,
            producers: &self.producers,
            now: Timestamp::from(self.now),
            delete_retention_ms: self.config.delete_retention_ms,
        };
        let mut scan = source.scan_from(filling.position);
        let until = u64::from(filling.position) + self.limits.step_bytes.max(1);
        while scan.position() < until
            && let Some((found, batch)) = source.next_batch(&mut scan)?
        {
            let last = ends_group && scan.position() == u64::from(source.size);
            match filter.apply(&batch, last).map_err(|error| source.corrupt(&found, error))? {
                Kept::Nothing => {}
                Kept::AsItWas => append(&mut filling.into, &batch.bytes)?,
                Kept::Changed(bytes) => append(&mut filling.into, &bytes)?,
            }
        }
        filling.position = scan.position() as u32;
        if filling.position < source.size {
            self.phase = Phase::Filling(filling);
            return Ok(Step::More);
        }
        if !ends_group {
            (filling.slot, filling.position) = (filling.slot + 1, 0);
            self.phase = Phase::Filling(filling);
            return Ok(Step::More);
        }
        filling.into.seal()?;
        let replaced = self.sources[filling.group.clone()].iter().map(|source| source.base);
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        let cleaned = Cleaned::new(disk, dir, filling.into, replaced.collect());
        self.phase = Phase::Copying { slot: filling.group.end };
        Ok(Step::Cleaned(cleaned))
    }
}

fn append(into: &mut Segment, bytes: &[u8]) -> Result<(), LogError> {
    let header = crate::kafka::protocol::batch::BatchHeader::parse(bytes);
    let header = header.expect("a batch that was read or built");
    let last = header.last_offset();
    let max = (header.max_timestamp, last);
    into.append(bytes, Appended { first: header.base_offset, last, max, batches: 1 })
}

impl Source {
    fn scan_from(&self, position: u32) -> Scan<'_> {
        let (from, end) = (u64::from(position), u64::from(self.size));
        Scan::new(self.file.as_ref(), &self.path, from, end, Depth::Whole)
    }

    fn next_batch(&self, scan: &mut Scan<'_>) -> Result<Option<(Found, Batch)>, LogError> {
        let Some(found) = scan.expect_next()? else { return Ok(None) };
        let bytes = scan.last_batch(&found);
        Ok(Some((found, Batch { header: found.header, bytes })))
    }

    fn corrupt(&self, found: &Found, source: BatchError) -> LogError {
        LogError::Corrupt { path: self.path.clone(), position: found.position, source }
    }
}
