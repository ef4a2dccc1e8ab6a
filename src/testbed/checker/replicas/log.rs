//! One replica's log, as far as the history tells of it.

use crate::{
    kafka::types::Offset,
    testbed::history::{BatchAt, EventId},
};

/// A batch, and the event by which it came into the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub batch: BatchAt,
    pub event: EventId,
}

/// - Batches ascend and do not overlap; the last of them ends at `end`, unless the log was begun anew.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplicaLog {
    batches: Vec<Placed>,
    end: Offset,
}

impl ReplicaLog {
    pub fn end(&self) -> Offset {
        self.end
    }

    /// What lies at its place or behind it goes.
    pub fn append(&mut self, batch: BatchAt, event: EventId) {
        if batch.base < self.end {
            self.truncate(batch.base);
        }
        self.batches.push(Placed { batch, event });
        self.end = batch.last + 1;
    }

    pub fn truncate(&mut self, to: Offset) {
        while self.batches.last().is_some_and(|placed| placed.batch.last >= to) {
            self.batches.pop();
        }
        self.end = self.end.min(to);
    }

    pub fn restart(&mut self, at: Offset) {
        self.batches.clear();
        self.end = at;
    }

    /// The disk says what is there. Batches that were known keep the event they came by.
    pub fn replace(&mut self, found: &[BatchAt], event: EventId) {
        let known = std::mem::take(&mut self.batches);
        let mut known = known.iter().peekable();
        for batch in found {
            while known.next_if(|placed| placed.batch.base < batch.base).is_some() {}
            let same = known.next_if(|placed| placed.batch == *batch);
            self.batches.push(same.copied().unwrap_or(Placed { batch: *batch, event }));
        }
        self.end = found.last().map_or(self.end, |batch| batch.last + 1);
    }

    /// The batch that covers the offset.
    pub fn at(&self, offset: Offset) -> Option<&Placed> {
        let index = self.batches.partition_point(|placed| placed.batch.last < offset);
        self.batches.get(index).filter(|placed| placed.batch.base <= offset)
    }

    /// The batches that have an offset from `from` up to `to`, without the latter.
    pub fn between(&self, from: Offset, to: Offset) -> &[Placed] {
        let first = self.batches.partition_point(|placed| placed.batch.last < from);
        let last = self.batches.partition_point(|placed| placed.batch.base < to);
        &self.batches[first..last.max(first)]
    }

    pub fn last(&self) -> Option<&Placed> {
        self.batches.last()
    }

    /// The first offset it is known to hold.
    pub fn start(&self) -> Offset {
        self.batches.first().map_or(self.end, |placed| placed.batch.base)
    }
}
