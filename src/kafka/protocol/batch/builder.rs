//! Building one batch, record by record, as a producer does.
//!
//! The accounting of sizes is that of Java's `MemoryRecordsBuilder`, so that a batch here is full after
//! the same record as there.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    compression::Compression,
    header::{Attributes, Batch, BatchError, BatchHeader, HEADER_LEN, PRODUCER_ID_AT, seal},
    records::RecordHeader,
    varint,
};
use crate::kafka::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// `DefaultRecord.MAX_RECORD_OVERHEAD`: attributes and the longest forms of size, timestamp and offset.
const MAX_RECORD_OVERHEAD: usize = 21;
/// `MemoryRecordsBuilder.COMPRESSION_RATE_ESTIMATION_FACTOR`.
const RATIO_MARGIN: f32 = 1.05;

/// What a batch says of itself beside its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchOptions {
    /// 0 from a producer; the leader assigns the real one.
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub transactional: bool,
    pub control: bool,
}

impl Default for BatchOptions {
    /// A batch of a producer that is not idempotent.
    fn default() -> Self {
        BatchOptions {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(-1),
            producer_id: ProducerId(-1),
            producer_epoch: ProducerEpoch(-1),
            base_sequence: Sequence(-1),
            transactional: false,
            control: false,
        }
    }
}

/// One batch in the making. Records are encoded at once; offsets count from 0 without gaps.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: Compression,
    /// Bytes the finished batch should not exceed once it holds a record.
    limit: usize,
    estimated_ratio: f32,
    /// Room for the header, then the plain records.
    buffer: BytesMut,
    count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
}

impl BatchBuilder {
    /// `limit` is the producer's `batch.size`, or more if its first record needs more
    /// (see [`BatchBuilder::upper_bound`]). One record always fits.
    pub fn new(compression: Compression, limit: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(limit.clamp(HEADER_LEN, 1 << 14));
        buffer.put_bytes(0, HEADER_LEN);
        BatchBuilder {
            compression,
            limit,
            estimated_ratio: 1.0,
            buffer,
            count: 0,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
        }
    }

    /// How well this topic's records have compressed so far (compressed over plain size).
    pub fn with_estimated_ratio(mut self, ratio: f32) -> Self {
        self.estimated_ratio = ratio;
        self
    }

    /// The most bytes a batch of this one record can take, uncompressed.
    pub fn upper_bound(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> usize {
        HEADER_LEN + MAX_RECORD_OVERHEAD + fields_size(key, value, headers)
    }

    pub fn count(&self) -> i32 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the header and the plain records.
    pub fn plain_size(&self) -> usize {
        self.buffer.len()
    }

    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// Bytes the batch would have if built here, as Java's builder estimates it.
    pub fn estimated_size(&self) -> usize {
        match self.compression {
            Compression::None => self.buffer.len(),
            _ => {
                let plain = (self.buffer.len() - HEADER_LEN) as f32;
                HEADER_LEN + (plain * self.estimated_ratio * RATIO_MARGIN) as usize
            }
        }
    }

    pub fn is_full(&self) -> bool {
        self.count > 0 && self.limit <= self.estimated_size()
    }

    /// Whether the record may join. The first always may.
    pub fn has_room_for(
        &self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> bool {
        if self.count == 0 {
            return true;
        }
        let body = self.body_size(timestamp, key, value, headers);
        let record = varint::size(body as i64) + body;
        !self.is_full() && self.limit >= self.estimated_size() + record
    }

    fn body_size(
        &self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> usize {
        let base = if self.count == 0 { timestamp } else { self.base_timestamp };
        1 + varint::size(timestamp.0.wrapping_sub(base.0))
            + varint::size(i64::from(self.count))
            + fields_size(key, value, headers)
    }

    /// Adds a record, whether there is room or not, and returns its offset within the batch.
    pub fn append(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader],
    ) -> i32 {
        let body = self.body_size(timestamp, key, value, headers);
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.buffer.reserve(body + 5);
        varint::put(&mut self.buffer, body as i64);
        let delta = timestamp.0.wrapping_sub(self.base_timestamp.0);
        put_body(&mut self.buffer, delta, i64::from(self.count), key, value, headers);
        self.count += 1;
        self.count - 1
    }

    /// The finished batch.
    ///
    /// # Panics
    /// If no record was appended: Kafka has no empty batches but those compaction leaves.
    pub fn build(self, options: &BatchOptions) -> Bytes {
        assert!(self.count > 0, "a batch holds a record");
        let mut batch = match self.compression {
            Compression::None => self.buffer,
            codec => {
                let mut plain = self.buffer;
                let mut batch = plain.split_to(HEADER_LEN);
                codec.compress(plain, &mut batch);
                batch
            }
        };
        let header = BatchHeader {
            base_offset: options.base_offset,
            length: i32::try_from(batch.len() - 12).expect("a batch is smaller than 2 GiB"),
            leader_epoch: options.leader_epoch,
            crc: 0,
            attributes: Attributes::new(self.compression, options.transactional, options.control),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.count,
        };
        header.write(&mut batch);
        seal(&mut batch);
        batch.freeze()
    }
}

/// The same records and fields under another compression, for a topic whose `compression.type` is not
/// `producer`.
pub fn recompress(batch: &Batch, compression: Compression) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new(compression, batch.bytes.len());
    for record in batch.records()? {
        let record = record?;
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.append(record.timestamp, key, value, &record.headers);
    }
    let header = &batch.header;
    if builder.is_empty() {
        return Ok(batch.bytes.clone());
    }
    Ok(builder.build(&BatchOptions {
        base_offset: header.base_offset,
        leader_epoch: header.leader_epoch,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
        control: header.attributes.is_control(),
    }))
}

/// The same batch under another producer identity, for a producer whose epoch was bumped while the
/// batch waited for a retry. Copies the batch.
pub fn set_producer(batch: &[u8], id: ProducerId, epoch: ProducerEpoch, base: Sequence) -> Bytes {
    let mut copy = BytesMut::from(batch);
    let mut fields = &mut copy[PRODUCER_ID_AT..PRODUCER_ID_AT + 14];
    fields.put_i64(id.0);
    fields.put_i16(epoch.0);
    fields.put_i32(base.0);
    seal(&mut copy);
    copy.freeze()
}

/// What follows a record's size.
pub(super) fn put_body(
    out: &mut BytesMut,
    timestamp_delta: i64,
    offset_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[RecordHeader],
) {
    out.put_u8(0);
    varint::put(out, timestamp_delta);
    varint::put(out, offset_delta);
    put_field(out, key);
    put_field(out, value);
    varint::put(out, headers.len() as i64);
    for header in headers {
        put_field(out, Some(header.key.as_bytes()));
        put_field(out, header.value.as_deref());
    }
}

/// `DefaultRecord.sizeOf(key, value, headers)`.
fn fields_size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[RecordHeader]) -> usize {
    let mut size = field_size(key) + field_size(value) + varint::size(headers.len() as i64);
    for header in headers {
        size += field_size(Some(header.key.as_bytes())) + field_size(header.value.as_deref());
    }
    size
}

fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(varint::size(-1), |bytes| varint::size(bytes.len() as i64) + bytes.len())
}

fn put_field(out: &mut BytesMut, field: Option<&[u8]>) {
    match field {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
    }
}
