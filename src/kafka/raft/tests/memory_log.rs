//! A metadata log in memory, and which part of it would outlast a power loss.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::super::{OffsetAndEpoch, QuorumLog};
use crate::kafka::types::{LeaderEpoch, Offset};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub epoch: i32,
    /// No two records that leaders append have the same.
    pub value: u32,
}

/// Bytes that a snapshot has per record it stands for, so that a large one takes several parts.
pub const SNAPSHOT_BYTES: u64 = 10;

#[derive(Clone, Default, Debug)]
pub struct MemoryLog {
    /// From offset 0 on, also what a snapshot took the place of: only checks look there.
    pub entries: Vec<Entry>,
    pub start: usize,
    pub synced: usize,
    pub snapshots: BTreeMap<OffsetAndEpoch, u64>,
}

pub fn offset(at: usize) -> Offset {
    Offset(i64::try_from(at).unwrap())
}

pub fn index(offset: Offset) -> usize {
    usize::try_from(offset.0).unwrap()
}

impl MemoryLog {
    fn epoch_before(&self, at: usize) -> LeaderEpoch {
        LeaderEpoch(if at == 0 { 0 } else { self.entries[at - 1].epoch })
    }

    pub fn read(&self, from: usize, most: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        for entry in self.entries[from..].iter().take(most) {
            bytes.put_i32(entry.epoch);
            bytes.put_u32(entry.value);
        }
        bytes.freeze()
    }

    pub fn append(&mut self, mut records: Bytes) {
        while records.has_remaining() {
            self.entries.push(Entry { epoch: records.get_i32(), value: records.get_u32() });
        }
    }

    pub fn truncate(&mut self, to: usize) {
        assert!(to >= self.start, "truncated to {to}, before the log's start {}", self.start);
        self.entries.truncate(to);
        self.synced = self.synced.min(to);
    }

    /// Of what is not synced only the first part survives.
    pub fn lose(&mut self, surviving: usize) {
        self.entries.truncate(self.synced.max(surviving));
    }

    pub fn snapshot(&mut self, end: usize) {
        let id = OffsetAndEpoch::new(offset(end), self.epoch_before(end));
        self.snapshots.insert(id, end as u64 * SNAPSHOT_BYTES);
        self.start = end;
        self.synced = self.synced.max(end);
        self.snapshots.retain(|snapshot, _| snapshot.offset >= offset(end));
    }

    pub fn install(&mut self, snapshot: OffsetAndEpoch, committed: &[Entry]) {
        let end = index(snapshot.offset);
        self.entries = committed[..end].to_vec();
        self.synced = end;
        self.snapshot(end);
        assert!(self.snapshots.contains_key(&snapshot), "{snapshot} is another's snapshot");
    }
}

impl QuorumLog for MemoryLog {
    fn start_offset(&self) -> Offset {
        offset(self.start)
    }

    fn end_offset(&self) -> Offset {
        offset(self.entries.len())
    }

    fn last_epoch(&self) -> LeaderEpoch {
        self.epoch_before(self.entries.len())
    }

    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch {
        let here = &self.entries[self.start..];
        let end = self.start + here.partition_point(|entry| entry.epoch <= epoch.0);
        OffsetAndEpoch::new(offset(end), self.epoch_before(end))
    }

    fn earliest_snapshot(&self) -> Option<OffsetAndEpoch> {
        let id = OffsetAndEpoch::new(offset(self.start), self.epoch_before(self.start));
        (self.start > 0).then_some(id)
    }

    fn latest_snapshot(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.keys().next_back().copied()
    }

    fn snapshot_size(&self, snapshot: OffsetAndEpoch) -> Option<u64> {
        self.snapshots.get(&snapshot).copied()
    }
}
