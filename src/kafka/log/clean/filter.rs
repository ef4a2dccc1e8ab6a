//! What stays of one batch.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::offset_map::OffsetMap;
use crate::kafka::{
    protocol::batch::{Batch, BatchError, BatchHeader, Record, retain, retain_none},
    types::{Offset, ProducerId, Timestamp},
};

/// One cleaning's rules.
pub(super) struct Filter<'a> {
    pub map: &'a OffsetMap,
    /// The last offset of each producer whose state is kept.
    pub producers: &'a BTreeMap<ProducerId, Offset>,
    pub now: Timestamp,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    Nothing,
    AsItWas,
    Changed(Bytes),
}

impl Filter<'_> {
    /// `keep_offsets` keeps the batch even without a record in it.
    pub fn apply(&self, batch: &Batch, keep_offsets: bool) -> Result<Kept, BatchError> {
        let header = &batch.header;
        if header.attributes.is_control() {
            return Ok(Kept::AsItWas);
        }
        let mut kept = Vec::new();
        let mut tombstones = false;
        let mut count = 0;
        for record in batch.records()? {
            let record = record?;
            count += 1;
            if self.keeps(header, &record) {
                tombstones |= record.value.is_none();
                kept.push(record);
            }
        }
        if kept.is_empty() {
            // Its producer's last sequence must not be forgotten.
            let last = self.producers.get(&header.producer_id) == Some(&header.last_offset());
            let empty = match keep_offsets || header.has_producer_id() && last {
                false => Kept::Nothing,
                true if count == 0 => Kept::AsItWas,
                true => Kept::Changed(retain_none(header)),
            };
            return Ok(empty);
        }
        let new_horizon = (tombstones && header.delete_horizon().is_none())
            .then(|| Timestamp(self.now.0.saturating_add(self.delete_retention_ms)));
        if kept.len() == count && new_horizon.is_none() {
            return Ok(Kept::AsItWas);
        }
        Ok(Kept::Changed(retain(header, &kept, new_horizon)?))
    }

    /// `Cleaner.shouldRetainRecord`. A record without a key has no business here and goes.
    fn keeps(&self, header: &BatchHeader, record: &Record) -> bool {
        if record.offset > self.map.latest() {
            return true;
        }
        let Some(key) = &record.key else { return false };
        let past = header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        !self.map.outdates(key, record.offset) && (record.value.is_some() || !past)
    }
}
