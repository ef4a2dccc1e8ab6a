//! One segment: a `.log` file of batches, its two indexes, and what is remembered of its newest part.

use std::sync::Arc;

use super::{
    error::LogError,
    index::{Found, OffsetIndex, TimeIndex},
    scan::{Depth, Scan, ScanError},
};
use crate::{
    env::{Disk, File, OpenMode, WallTime},
    kafka::{
        config::TopicConfig,
        protocol::batch::BatchHeader,
        types::{LeaderEpoch, Offset, Timestamp},
    },
};

/// Batches since the last index entry that are remembered exactly; at 4096 bytes between entries there
/// are hardly more.
const RECENT: usize = 64;

/// Where a batch is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub position: u32,
    pub size: u32,
}

/// What one append adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    pub first: Offset,
    pub last: Offset,
    /// Largest timestamp, and the last offset of the batch that has it.
    pub max: (Timestamp, Offset),
    pub batches: usize,
}

/// An append after the last index entry.
struct Recent {
    base: Offset,
    last: Offset,
    place: Place,
    batches: usize,
}

/// A file to sync, with the path errors name.
pub(super) type DirtyFile = (String, Arc<dyn File>);

pub(super) struct Segment {
    pub base: Offset,
    pub file: Arc<dyn File>,
    pub path: String,
    /// Bytes of the `.log`.
    pub size: u32,
    index: OffsetIndex,
    times: TimeIndex,
    index_interval: u32,
    bytes_since_entry: u32,
    /// The newest batches, without gaps up to the end; saves the tail's readers the scan.
    recent: Vec<Recent>,
    /// Largest timestamp of the segment's first batch, from which `segment.ms` counts.
    first_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    offset_of_max: Offset,
    created: WallTime,
    dirty: bool,
}

/// What [`Segment::recover`] found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub batches: u64,
    /// The offset after the last sound batch.
    pub end: Offset,
    /// Bytes cut off behind it.
    pub cut: u64,
}

/// `.log`, `.index` and `.timeindex` of a segment.
pub(super) const SUFFIXES: [&str; 3] = ["log", "index", "timeindex"];

/// What is appended to the name of a file that is to be removed.
pub(super) const DELETED: &str = ".deleted";

pub(super) fn path_of(dir: &str, base: Offset, suffix: &str) -> String {
    format!("{dir}/{:020}.{suffix}", base.0)
}

/// The offset in a file's name, if it is all of the name before the suffix.
pub(super) fn offset_of(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Offset)).flatten()
}

/// Bytes of the entries in both indexes.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexSizes {
    offsets: u64,
    times: u64,
}

impl IndexSizes {
    pub fn plus(self, other: IndexSizes) -> IndexSizes {
        let offsets = self.offsets + other.offsets;
        IndexSizes { offsets, times: self.times + other.times }
    }

    pub fn exceed(self, most: u32) -> bool {
        self.offsets.max(self.times) > u64::from(most)
    }
}

impl Segment {
    /// Opens the segment, creating its files as needed. The second result tells whether the indexes are
    /// of use; if not they are empty.
    pub fn open(
        disk: &dyn Disk,
        dir: &str,
        base: Offset,
        config: &TopicConfig,
        now: WallTime,
    ) -> Result<(Self, Found), LogError> {
        let paths = SUFFIXES.map(|suffix| path_of(dir, base, suffix));
        Self::open_at(disk, paths, base, config, now)
    }

    /// A new segment whose files' names end in `ending`, to stand beside one with the same base.
    pub fn create_beside(
        disk: &dyn Disk,
        dir: &str,
        base: Offset,
        ending: &str,
        config: &TopicConfig,
        created: WallTime,
    ) -> Result<Self, LogError> {
        let paths = SUFFIXES.map(|suffix| path_of(dir, base, suffix) + ending);
        for path in &paths {
            // What an earlier attempt left would be appended to.
            disk.open(path, OpenMode::Truncate).map_err(LogError::io("create", path))?;
        }
        let (segment, _) = Self::open_at(disk, paths, base, config, created)?;
        Ok(segment)
    }

    /// After the files of a segment that stood beside another have got its names.
    pub fn set_plain_paths(&mut self, dir: &str) {
        let [log, index, times] = SUFFIXES.map(|suffix| path_of(dir, self.base, suffix));
        self.path = log;
        self.index.set_path(index);
        self.times.set_path(times);
    }

    fn open_at(
        disk: &dyn Disk,
        [path, index_path, times_path]: [String; 3],
        base: Offset,
        config: &TopicConfig,
        now: WallTime,
    ) -> Result<(Self, Found), LogError> {
        let file = disk.open(&path, OpenMode::Create).map_err(LogError::io("open", &path))?;
        let size = u32::try_from(file.len()).unwrap_or(u32::MAX);
        let max = config.segment_index_bytes;
        let (index, found) = OffsetIndex::open(disk, index_path, base, max)?;
        let (times, times_found) = TimeIndex::open(disk, times_path, base, max)?;
        let beyond = index.last_position() > size;
        let found = match (found, times_found) {
            // An empty segment has nothing to index.
            (Found::Missing, Found::Missing) if size == 0 => Found::Sound,
            (Found::Sound, _) if beyond => Found::Corrupt,
            (Found::Sound, times) => times,
            (found, _) => found,
        };
        let (max_timestamp, offset_of_max) = times.last();
        let segment = Segment {
            base,
            file,
            path,
            size,
            index,
            times,
            index_interval: config.index_interval_bytes,
            bytes_since_entry: 0,
            recent: Vec::new(),
            first_timestamp: None,
            max_timestamp,
            offset_of_max,
            created: now,
            dirty: size == 0,
        };
        Ok((segment, found))
    }

    /// Reads the timestamp that rolling counts from; for the active segment after loading.
    pub fn load_first_timestamp(&mut self) -> Result<(), LogError> {
        let first = self.scan_from(0).expect_next()?;
        self.first_timestamp = first.map(|first| first.header.max_timestamp);
        Ok(())
    }

    pub fn created(&self) -> WallTime {
        self.created
    }

    pub fn index_sizes(&self) -> IndexSizes {
        IndexSizes { offsets: self.index.size(), times: self.times.size() }
    }

    /// Where the batch with `offset` begins, or one before it.
    pub fn position_before(&self, offset: Offset) -> u32 {
        self.index.lookup(offset)
    }

    /// Headers from a batch's position to the end.
    pub fn scan_from(&self, position: u32) -> Scan<'_> {
        let (from, end) = (u64::from(position), u64::from(self.size));
        Scan::new(self.file.as_ref(), &self.path, from, end, Depth::Header)
    }

    /// Headers from the batch with `offset`, or shortly before it, to the end.
    pub fn scan_from_offset(&self, offset: Offset) -> Scan<'_> {
        self.scan_from(self.index.lookup(offset))
    }

    /// `LogSegment.shouldRoll`, for a batch that is about to be appended.
    pub fn should_roll(
        &self,
        config: &TopicConfig,
        bytes: usize,
        next: &Appended,
        now: WallTime,
    ) -> bool {
        let waited = match self.first_timestamp {
            Some(first) if first.0 >= 0 => i128::from(next.max.0.0) - i128::from(first.0),
            _ => i128::from(now.0) - i128::from(self.created.0),
        };
        let too_old = self.size > 0 && waited > config.max_segment_age().as_millis() as i128;
        let too_big = u64::from(self.size) + bytes as u64 > u64::from(config.segment_bytes);
        let too_far = next.last - self.base > i64::from(i32::MAX);
        too_big && self.size > 0
            || too_old
            || self.index.is_full()
            || self.times.is_full()
            || too_far
    }

    /// Appends whole batches in one write.
    pub fn append(&mut self, bytes: &[u8], appended: Appended) -> Result<(), LogError> {
        let Appended { first, last, max, batches } = appended;
        let position = self.size;
        self.file
            .write_at(u64::from(position), bytes)
            .map_err(LogError::io("append to", &self.path))?;
        if position == 0 {
            self.first_timestamp = Some(max.0);
        }
        let size = u32::try_from(bytes.len()).expect("an append is smaller than a segment");
        self.size += size;
        self.dirty = true;
        self.note_timestamp(max);
        if self.bytes_since_entry > self.index_interval {
            self.add_index_entry(last, position)?;
        } else if self.recent.len() == RECENT {
            self.recent.drain(..RECENT / 2);
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(size);
        self.recent.push(Recent { base: first, last, place: Place { position, size }, batches });
        Ok(())
    }

    fn note_timestamp(&mut self, max: (Timestamp, Offset)) {
        if max.0 > self.max_timestamp {
            (self.max_timestamp, self.offset_of_max) = max;
        }
    }

    fn add_index_entry(&mut self, last: Offset, position: u32) -> Result<(), LogError> {
        self.index.append(last, position)?;
        self.times.maybe_append(self.max_timestamp, self.offset_of_max)?;
        self.bytes_since_entry = 0;
        self.recent.clear();
        Ok(())
    }

    /// The first batch that ends at or after `offset`; `None` if all end before it.
    pub fn find(&self, offset: Offset) -> Result<Option<Place>, LogError> {
        if self.recent.first().is_some_and(|first| first.base <= offset) {
            let slot = self.recent.partition_point(|batch| batch.last < offset);
            return match self.recent.get(slot) {
                None => Ok(None),
                Some(append) if append.batches == 1 => Ok(Some(append.place)),
                Some(append) => self.find_from(append.place.position, offset),
            };
        }
        self.find_from(self.index.lookup(offset), offset)
    }

    fn find_from(&self, position: u32, offset: Offset) -> Result<Option<Place>, LogError> {
        let mut scan = self.scan_from(position);
        while let Some(found) = scan.expect_next()? {
            if found.header.last_offset() >= offset {
                let size = found.header.size() as u32;
                return Ok(Some(Place { position: found.position as u32, size }));
            }
        }
        Ok(None)
    }

    /// The offset after the last batch, by the headers past the last index entry.
    pub fn read_next_offset(&self) -> Result<Offset, LogError> {
        let mut next = self.base;
        let mut scan = self.scan_from(self.index.last_position());
        while let Some(found) = scan.expect_next()? {
            next = found.header.next_offset();
        }
        Ok(next)
    }

    /// Checks every batch, rebuilds both indexes, and cuts the file at the first thing that is no sound
    /// batch. `on_batch` sees each batch that stays.
    pub fn recover(
        &mut self,
        mut on_batch: impl FnMut(&BatchHeader),
    ) -> Result<Recovered, LogError> {
        self.forget_derived()?;
        let mut recovered = Recovered { batches: 0, end: self.base, cut: 0 };
        let file = self.file.clone();
        let path = self.path.clone();
        let end = u64::from(self.size);
        let mut scan = Scan::new(file.as_ref(), &path, 0, end, Depth::Whole);
        let (mut valid, mut last_entry_at) = (0, 0);
        let mut epoch = LeaderEpoch(i32::MIN);
        loop {
            let found = match scan.next() {
                Ok(None) | Err(ScanError::Bad(_)) => break,
                Ok(Some(found)) => found,
                Err(ScanError::Log(error)) => return Err(error),
            };
            let header = found.header;
            let fits = header.last_offset() - self.base <= i64::from(i32::MAX);
            // Offsets or epochs that fall back are left-overs of a file that was cut and written again.
            let stale = header.base_offset < recovered.end || header.leader_epoch < epoch;
            if stale || header.last_offset_delta < 0 || !fits {
                break;
            }
            epoch = header.leader_epoch;
            let position = found.position as u32;
            self.first_timestamp.get_or_insert(header.max_timestamp);
            self.note_timestamp((header.max_timestamp, header.last_offset()));
            if position - last_entry_at > self.index_interval {
                self.add_index_entry(header.last_offset(), position)?;
                last_entry_at = position;
            }
            recovered.end = header.next_offset();
            recovered.batches += 1;
            valid = scan.position();
            on_batch(&header);
        }
        recovered.cut = end - valid;
        if recovered.cut > 0 {
            self.set_size(valid as u32)?;
        }
        self.bytes_since_entry = self.size - last_entry_at;
        // Nobody knows which of the bytes were synced before the crash.
        self.dirty = true;
        self.times.maybe_append(self.max_timestamp, self.offset_of_max)?;
        Ok(recovered)
    }

    /// Empties the indexes and all that is read off the batches.
    fn forget_derived(&mut self) -> Result<(), LogError> {
        self.index.truncate_to(self.base)?;
        self.times.truncate_to(self.base)?;
        self.recent.clear();
        self.first_timestamp = None;
        (self.max_timestamp, self.offset_of_max) = (Timestamp::NONE, self.base);
        Ok(())
    }

    fn set_size(&mut self, size: u32) -> Result<(), LogError> {
        self.file.set_len(u64::from(size)).map_err(LogError::io("truncate", &self.path))?;
        self.size = size;
        self.dirty = true;
        Ok(())
    }

    /// Cuts off the first batch that ends at or after `offset` and all behind it.
    pub fn truncate_to(&mut self, offset: Offset, now: WallTime) -> Result<(), LogError> {
        let place = self.find(offset)?;
        self.index.truncate_to(offset)?;
        self.times.truncate_to(offset)?;
        self.recent.clear();
        if let Some(place) = place {
            self.set_size(place.position)?;
        }
        if self.size == 0 {
            self.created = now;
            self.first_timestamp = None;
        }
        self.bytes_since_entry = 0;
        (self.max_timestamp, self.offset_of_max) = self.times.last();
        let mut later = (self.max_timestamp, self.offset_of_max);
        let mut scan = self.scan_from_offset(self.offset_of_max);
        while let Some(found) = scan.expect_next()? {
            if found.header.max_timestamp > later.0 {
                later = (found.header.max_timestamp, found.header.last_offset());
            }
        }
        self.note_timestamp(later);
        Ok(())
    }

    /// Completes the time index of a segment that is appended to no more.
    pub fn seal(&mut self) -> Result<(), LogError> {
        self.times.maybe_append(self.max_timestamp, self.offset_of_max)
    }

    /// Largest timestamp and the last offset of the batch that has it; -1 for none.
    pub fn max_timestamp(&self) -> (Timestamp, Offset) {
        (self.max_timestamp, self.offset_of_max)
    }

    /// As [`Segment::max_timestamp`], or when the segment was created if it has none. Kafka takes the
    /// file's time of modification, which the disk here does not tell.
    pub fn largest_timestamp(&self) -> Timestamp {
        if self.max_timestamp.0 >= 0 { self.max_timestamp } else { self.created.into() }
    }

    /// Headers from where a record of at least `timestamp` and `from` may first be.
    pub fn scan_for_timestamp(&self, timestamp: Timestamp, from: Offset) -> Scan<'_> {
        let (_, offset) = self.times.lookup(timestamp);
        self.scan_from_offset(offset.max(from))
    }

    /// The files that changed since this was last asked.
    pub fn take_dirty(&mut self) -> impl Iterator<Item = DirtyFile> + use<> {
        let log = std::mem::take(&mut self.dirty).then(|| (self.path.clone(), self.file.clone()));
        [log, self.index.take_dirty(), self.times.take_dirty()].into_iter().flatten()
    }
}
