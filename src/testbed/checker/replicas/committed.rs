//! What leaders have shown as committed.

use crate::{
    kafka::types::Offset,
    testbed::history::{BatchAt, EventId, NodeName},
};

/// A batch below some leader's high watermark.
#[derive(Clone, Copy, Debug)]
pub(in crate::testbed::checker) struct Shown<'a> {
    pub batch: BatchAt,
    /// Who showed it first, in which epoch, and by which event.
    pub by: &'a NodeName,
    pub epoch: i32,
    pub event: EventId,
}

/// In order of offsets.
#[derive(Debug, Default)]
pub(in crate::testbed::checker) struct Committed<'a>(Vec<Shown<'a>>);

impl<'a> Committed<'a> {
    pub fn end(&self) -> Offset {
        self.0.last().map_or(Offset(0), |shown| shown.batch.last + 1)
    }

    /// What was shown at the offset.
    pub fn at(&self, offset: Offset) -> Option<&Shown<'a>> {
        let index = self.0.partition_point(|shown| shown.batch.last < offset);
        self.0.get(index).filter(|shown| shown.batch.base <= offset)
    }

    /// What is at `from` or behind it.
    pub fn from(&self, from: Offset) -> &[Shown<'a>] {
        &self.0[self.0.partition_point(|shown| shown.batch.last < from)..]
    }

    pub fn push(&mut self, shown: Shown<'a>) {
        self.0.push(shown);
    }

    /// Forgets what is at `from` or behind it.
    pub fn forget_from(&mut self, from: Offset) {
        let keep = self.0.partition_point(|shown| shown.batch.last < from);
        self.0.truncate(keep);
    }
}
