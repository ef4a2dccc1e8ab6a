//! The sparse indexes of a segment: `.index` (offset to position) and `.timeindex` (timestamp to offset).
//!
//! Entries are kept in memory and written through, as Kafka's memory mapping does in effect. Kafka
//! allocates a file of `segment.index.bytes` and trims it on close; here a file is as long as its
//! entries, which loading accepts of Kafka's too.

use std::sync::Arc;

use super::{checkpoint::read_file, error::LogError};
use crate::{
    env::{Disk, File, OpenMode},
    kafka::types::{Offset, Timestamp},
};

/// One entry of an index file.
trait Entry: Copy {
    const SIZE: usize;

    fn encode(self, out: &mut [u8]);
    fn decode(bytes: &[u8]) -> Self;
    /// Whether the entry may come right after `previous`.
    fn follows(self, previous: Self) -> bool;
}

/// The file and its entries.
struct Entries<E> {
    path: String,
    file: Arc<dyn File>,
    entries: Vec<E>,
    capacity: usize,
    dirty: bool,
}

/// What loading found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Sound,
    Missing,
    Corrupt,
}

impl<E: Entry> Entries<E> {
    /// Opens or creates the file. A corrupt one loads as empty.
    fn open(disk: &dyn Disk, path: String, max_bytes: u32) -> Result<(Self, Found), LogError> {
        let bytes = match read_file(disk, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            bytes => Some(bytes.map_err(LogError::io("read", &path))?),
        };
        let file = disk.open(&path, OpenMode::Create).map_err(LogError::io("open", &path))?;
        let entries: Vec<E> =
            bytes.iter().flat_map(|all| all.chunks_exact(E::SIZE)).map(E::decode).collect();
        let found = match bytes {
            None => Found::Missing,
            Some(all) if all.len() % E::SIZE != 0 => Found::Corrupt,
            Some(_) if !entries.is_sorted_by(|&a, &b| b.follows(a)) => Found::Corrupt,
            Some(_) => Found::Sound,
        };
        let capacity = max_bytes as usize / E::SIZE;
        let mut index = Entries { path, file, entries, capacity, dirty: found == Found::Missing };
        if found == Found::Corrupt {
            index.truncate(0)?;
        }
        Ok((index, found))
    }

    fn push(&mut self, entry: E) -> Result<(), LogError> {
        let mut bytes = [0; 12];
        entry.encode(&mut bytes[..E::SIZE]);
        let position = (self.entries.len() * E::SIZE) as u64;
        self.file
            .write_at(position, &bytes[..E::SIZE])
            .map_err(LogError::io("write", &self.path))?;
        self.entries.push(entry);
        self.dirty = true;
        Ok(())
    }

    fn truncate(&mut self, count: usize) -> Result<(), LogError> {
        self.file
            .set_len((count * E::SIZE) as u64)
            .map_err(LogError::io("truncate", &self.path))?;
        self.entries.truncate(count);
        self.dirty = true;
        Ok(())
    }

    fn size(&self) -> u64 {
        (self.entries.len() * E::SIZE) as u64
    }

    fn take_dirty(&mut self) -> Option<(String, Arc<dyn File>)> {
        std::mem::take(&mut self.dirty).then(|| (self.path.clone(), self.file.clone()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OffsetEntry {
    relative: u32,
    position: u32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn encode(self, out: &mut [u8]) {
        out[..4].copy_from_slice(&self.relative.to_be_bytes());
        out[4..].copy_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        OffsetEntry { relative: word(0), position: word(4) }
    }

    fn follows(self, previous: Self) -> bool {
        self.relative > previous.relative && self.position > previous.position
    }
}

/// From the last offset of some batches to their positions in the `.log`.
pub(super) struct OffsetIndex {
    base: Offset,
    inner: Entries<OffsetEntry>,
}

impl OffsetIndex {
    pub fn open(
        disk: &dyn Disk,
        path: String,
        base: Offset,
        max_bytes: u32,
    ) -> Result<(Self, Found), LogError> {
        let (inner, found) = Entries::open(disk, path, max_bytes)?;
        Ok((OffsetIndex { base, inner }, found))
    }

    /// Position of the last indexed batch that ends at or before `offset`; 0 if there is none.
    pub fn lookup(&self, offset: Offset) -> u32 {
        let relative = offset - self.base;
        let after =
            self.inner.entries.partition_point(|entry| i64::from(entry.relative) <= relative);
        after.checked_sub(1).map_or(0, |slot| self.inner.entries[slot].position)
    }

    pub fn last_position(&self) -> u32 {
        self.inner.entries.last().map_or(0, |entry| entry.position)
    }

    pub fn is_full(&self) -> bool {
        self.inner.entries.len() >= self.inner.capacity
    }

    pub fn append(&mut self, offset: Offset, position: u32) -> Result<(), LogError> {
        let relative = relative(self.base, offset);
        self.inner.push(OffsetEntry { relative, position })
    }

    /// Forgets entries at or after `offset`.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), LogError> {
        let relative = offset - self.base;
        let keep = self.inner.entries.partition_point(|entry| i64::from(entry.relative) < relative);
        if keep < self.inner.entries.len() { self.inner.truncate(keep) } else { Ok(()) }
    }

    /// Bytes of its entries.
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// For a file that is renamed.
    pub fn set_path(&mut self, path: String) {
        self.inner.path = path;
    }

    pub fn take_dirty(&mut self) -> Option<(String, Arc<dyn File>)> {
        self.inner.take_dirty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct TimeEntry {
    timestamp: i64,
    relative: u32,
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn encode(self, out: &mut [u8]) {
        out[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..].copy_from_slice(&self.relative.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&bytes[..8]);
        let mut relative = [0; 4];
        relative.copy_from_slice(&bytes[8..12]);
        TimeEntry {
            timestamp: i64::from_be_bytes(timestamp),
            relative: u32::from_be_bytes(relative),
        }
    }

    fn follows(self, previous: Self) -> bool {
        self.timestamp > previous.timestamp && self.relative >= previous.relative
    }
}

/// From timestamps to the offset up to which no later one occurs.
pub(super) struct TimeIndex {
    base: Offset,
    inner: Entries<TimeEntry>,
}

impl TimeIndex {
    pub fn open(
        disk: &dyn Disk,
        path: String,
        base: Offset,
        max_bytes: u32,
    ) -> Result<(Self, Found), LogError> {
        let (inner, found) = Entries::open(disk, path, max_bytes)?;
        Ok((TimeIndex { base, inner }, found))
    }

    fn point(&self, entry: TimeEntry) -> (Timestamp, Offset) {
        (Timestamp(entry.timestamp), self.base + i64::from(entry.relative))
    }

    /// The last entry at or before `timestamp`; (-1, base offset) if there is none.
    pub fn lookup(&self, timestamp: Timestamp) -> (Timestamp, Offset) {
        let after = self.inner.entries.partition_point(|entry| entry.timestamp <= timestamp.0);
        let slot = after.checked_sub(1);
        slot.map_or((Timestamp::NONE, self.base), |slot| self.point(self.inner.entries[slot]))
    }

    pub fn last(&self) -> (Timestamp, Offset) {
        let last = self.inner.entries.last();
        last.map_or((Timestamp::NONE, self.base), |&entry| self.point(entry))
    }

    /// Keeps one slot for the entry that closing the segment adds.
    pub fn is_full(&self) -> bool {
        self.inner.entries.len() + 1 >= self.inner.capacity
    }

    /// Adds an entry if `timestamp` is later than all before it.
    pub fn maybe_append(&mut self, timestamp: Timestamp, offset: Offset) -> Result<(), LogError> {
        if timestamp <= self.last().0 {
            return Ok(());
        }
        let relative = relative(self.base, offset);
        self.inner.push(TimeEntry { timestamp: timestamp.0, relative })
    }

    /// Forgets entries at or after `offset`.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), LogError> {
        let relative = offset - self.base;
        let keep = self.inner.entries.partition_point(|entry| i64::from(entry.relative) < relative);
        if keep < self.inner.entries.len() { self.inner.truncate(keep) } else { Ok(()) }
    }

    /// Bytes of its entries.
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// For a file that is renamed.
    pub fn set_path(&mut self, path: String) {
        self.inner.path = path;
    }

    pub fn take_dirty(&mut self) -> Option<(String, Arc<dyn File>)> {
        self.inner.take_dirty()
    }
}

/// An offset as an index stores it. A segment rolls before its offsets outgrow this.
fn relative(base: Offset, offset: Offset) -> u32 {
    u32::try_from(offset - base).expect("a segment's offsets lie within 2^31 of its base")
}
