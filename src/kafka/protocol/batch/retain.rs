//! What compaction leaves of a batch: some of its records, or none.
//!
//! Offsets stay what they were, and so do the batch's first and last offset, its producer and its
//! sequences, so that a log reads the same around what is gone (`MemoryRecords.filterTo`).

use bytes::{Bytes, BytesMut};

use super::{
    builder::put_body,
    compression::Compression,
    header::{BatchError, BatchHeader, HEADER_LEN, TimestampType, seal},
    records::Record,
    varint,
};
use crate::kafka::types::Timestamp;

/// A batch of `records`, some of those of the batch with this header, under its own compression. With a
/// `horizon` it gets one; the one it has stays otherwise.
///
/// # Panics
/// If there are no records: see [`retain_none`].
pub fn retain(
    header: &BatchHeader,
    records: &[Record],
    horizon: Option<Timestamp>,
) -> Result<Bytes, BatchError> {
    let first = records.first().expect("a record is retained");
    let horizon = horizon.or(header.delete_horizon());
    let base = horizon.unwrap_or(first.timestamp);
    let mut plain = BytesMut::zeroed(HEADER_LEN);
    let mut body = BytesMut::new();
    for record in records {
        body.clear();
        let timestamp = record.timestamp.0.wrapping_sub(base.0);
        let offset = record.offset - header.base_offset;
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        put_body(&mut body, timestamp, offset, key, value, &record.headers);
        varint::put(&mut plain, body.len() as i64);
        plain.extend_from_slice(&body);
    }
    let batch = match header.attributes.compression()? {
        Compression::None => plain,
        codec => {
            let mut batch = plain.split_to(HEADER_LEN);
            codec.compress(plain, &mut batch);
            batch
        }
    };
    let latest = records.iter().map(|record| record.timestamp).max().unwrap_or(Timestamp::NONE);
    let append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let attributes = match horizon {
        Some(_) => header.attributes.with_delete_horizon(),
        None => header.attributes,
    };
    let changed = BatchHeader {
        attributes,
        base_timestamp: base,
        max_timestamp: if append_time { header.max_timestamp } else { latest },
        record_count: i32::try_from(records.len()).expect("no more than there were"),
        ..*header
    };
    Ok(finish(changed, batch))
}

/// The batch without any record: it keeps its offsets and its producer's last sequence
/// (`DefaultRecordBatch.writeEmptyHeader`).
pub fn retain_none(header: &BatchHeader) -> Bytes {
    let changed = BatchHeader {
        attributes: header.attributes.plain(),
        base_timestamp: Timestamp::NONE,
        record_count: 0,
        ..*header
    };
    finish(changed, BytesMut::zeroed(HEADER_LEN))
}

fn finish(header: BatchHeader, mut batch: BytesMut) -> Bytes {
    let length = i32::try_from(batch.len() - 12).expect("a batch is smaller than 2 GiB");
    BatchHeader { length, ..header }.write(&mut batch);
    seal(&mut batch);
    batch.freeze()
}
