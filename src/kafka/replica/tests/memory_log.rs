//! A log in memory: which epoch wrote which record, and how much of it a power loss would leave.

use crate::kafka::{
    replica::LogView,
    types::{LeaderEpoch, Offset},
};

/// A record: the epoch that appended it and a number that no other has.
pub type Entry = (LeaderEpoch, u32);

#[derive(Clone, Debug)]
pub struct MemoryLog {
    /// Offset of the first of `entries`.
    base: i64,
    entries: Vec<Entry>,
    start: Offset,
    pub high_watermark: Offset,
    epochs: Vec<(LeaderEpoch, Offset)>,
    pub min_isr: usize,
}

impl MemoryLog {
    pub fn new(min_isr: usize) -> Self {
        let (entries, epochs) = (Vec::new(), Vec::new());
        let zero = Offset(0);
        MemoryLog { base: 0, entries, start: zero, high_watermark: zero, epochs, min_isr }
    }

    pub fn get(&self, offset: Offset) -> Option<Entry> {
        let index = usize::try_from(offset.0 - self.base).ok()?;
        self.entries.get(index).copied()
    }

    pub fn read(&self, from: Offset, most: usize) -> Vec<Entry> {
        let index = usize::try_from(from.0 - self.base).unwrap();
        self.entries[index..].iter().take(most).copied().collect()
    }

    pub fn append(&mut self, entry: Entry) {
        self.assign_epoch(entry.0, self.end_offset());
        self.entries.push(entry);
    }

    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.epochs.last().is_some_and(|last| last.0 == epoch) {
            return;
        }
        self.epochs.retain(|(known, from)| *known < epoch && *from < start);
        self.epochs.push((epoch, start));
    }

    pub fn set_high_watermark(&mut self, offset: Offset) {
        self.high_watermark = offset.clamp(self.start, self.end_offset());
    }

    pub fn truncate_to(&mut self, offset: Offset) {
        let end = offset.min(self.end_offset());
        self.entries.truncate(usize::try_from(end.0 - self.base).unwrap_or(0));
        self.epochs.retain(|(_, from)| *from < end);
        self.start = self.start.min(end);
        self.high_watermark = self.high_watermark.min(end);
    }

    pub fn start_at(&mut self, offset: Offset) {
        self.entries.clear();
        self.epochs.clear();
        (self.base, self.start, self.high_watermark) = (offset.0, offset, offset);
    }

    pub fn raise_start(&mut self, offset: Offset) {
        assert!(offset <= self.high_watermark, "only committed records are deleted");
        self.start = offset;
        while self.epochs.len() > 1 && self.epochs[1].1 <= offset {
            self.epochs.remove(0);
        }
        if let Some(first) = self.epochs.first_mut() {
            first.1 = first.1.max(offset);
        }
    }

    /// The records that may be read.
    pub fn records(&self) -> impl Iterator<Item = (Offset, Entry)> {
        let from = usize::try_from(self.start.0 - self.base).unwrap();
        (self.start.0..).map(Offset).zip(self.entries[from..].iter().copied())
    }
}

impl LogView for MemoryLog {
    fn start_offset(&self) -> Offset {
        self.start
    }

    fn end_offset(&self) -> Offset {
        Offset(self.base + i64::try_from(self.entries.len()).unwrap())
    }

    fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.last().map(|last| last.0)
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if self.latest_epoch()? == epoch {
            return Some((epoch, self.end_offset()));
        }
        let next = self.epochs.iter().find(|(known, _)| *known > epoch)?;
        let floor = self.epochs.iter().rev().find(|(known, _)| *known <= epoch);
        Some((floor.map_or(epoch, |floor| floor.0), next.1))
    }

    fn min_insync_replicas(&self) -> usize {
        self.min_isr
    }
}
