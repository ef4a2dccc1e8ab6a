//! Opening a batch: its records one by one, as slices of the (decompressed) payload.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::{
    header::{Batch, BatchError, BatchHeader, HEADER_LEN, TimestampType},
    varint,
};
use crate::kafka::types::{Offset, Sequence, Timestamp};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    pub key: StrBytes,
    pub value: Option<Bytes>,
}

/// One record. What all records of a batch share is in its [`BatchHeader`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub offset: Offset,
    /// -1 for a producer that is not idempotent.
    pub sequence: Sequence,
    pub timestamp: Timestamp,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// In the producer's order; a key may repeat.
    pub headers: Vec<RecordHeader>,
}

/// The records of one batch, parsed as they are asked for. After an error the walk ends.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    payload: Bytes,
    position: usize,
    index: i32,
}

impl Records {
    pub(super) fn open(batch: &Batch) -> Result<Self, BatchError> {
        let codec = batch.header.attributes.compression()?;
        let payload = codec.decompress(batch.bytes.slice(HEADER_LEN..))?;
        Ok(Records { header: batch.header, payload, position: 0, index: 0 })
    }

    fn parse(&mut self) -> Result<Record, &'static str> {
        let mut rest = &self.payload[self.position..];
        let size = varint::take(&mut rest).ok_or("its size is cut off")?;
        let size = usize::try_from(size).map_err(|_| "its size is negative")?;
        let body = rest.get(..size).ok_or("it is longer than the payload")?;
        let mut fields = Fields { payload: &self.payload, rest: body };
        let record = fields.record(&self.header)?;
        if !fields.rest.is_empty() {
            return Err("bytes remain after its last header");
        }
        self.position = self.payload.len() - rest.len() + size;
        Ok(record)
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.record_count {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let mut record = self.parse();
        // Kafka refuses a batch whose payload outlasts its count (`ensureNoneRemaining`).
        if self.index == self.header.record_count && self.position < self.payload.len() {
            record = record.and(Err("bytes remain after the last record"));
        }
        Some(record.map_err(|reason| {
            self.index = i32::MAX;
            BatchError::BadRecord { index, reason }
        }))
    }
}

/// A cursor over one record's body.
struct Fields<'a> {
    payload: &'a Bytes,
    rest: &'a [u8],
}

impl Fields<'_> {
    fn record(&mut self, batch: &BatchHeader) -> Result<Record, &'static str> {
        // Attributes: no bit of them is in use.
        self.rest = self.rest.get(1..).ok_or("it has no attributes")?;
        let timestamp_delta = self.int("its timestamp is cut off")?;
        let offset_delta = self.int("its offset is cut off")?;
        let offset_delta = i32::try_from(offset_delta).map_err(|_| "its offset is out of range")?;
        let key = self.slice("its key is cut off")?;
        let value = self.slice("its value is cut off")?;
        let headers = self.headers()?;
        let timestamp = match batch.attributes.timestamp_type() {
            TimestampType::LogAppendTime => batch.max_timestamp,
            TimestampType::CreateTime => {
                Timestamp(batch.base_timestamp.0.wrapping_add(timestamp_delta))
            }
        };
        let sequence = match batch.base_sequence {
            none if none.0 < 0 => Sequence(-1),
            base if offset_delta >= 0 => base.plus(offset_delta),
            _ => return Err("its offset is before the batch's first"),
        };
        let offset = Offset(batch.base_offset.0.wrapping_add(i64::from(offset_delta)));
        Ok(Record { offset, sequence, timestamp, key, value, headers })
    }

    fn headers(&mut self) -> Result<Vec<RecordHeader>, &'static str> {
        let count = self.int("its headers are cut off")?;
        let count = usize::try_from(count).map_err(|_| "it has a negative number of headers")?;
        if count > self.rest.len() {
            return Err("it has more headers than bytes");
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let key = self.slice("a header is cut off")?.ok_or("a header has no key")?;
            let key = StrBytes::try_from(key).map_err(|_| "a header's key is not UTF-8")?;
            headers.push(RecordHeader { key, value: self.slice("a header is cut off")? });
        }
        Ok(headers)
    }

    fn int(&mut self, missing: &'static str) -> Result<i64, &'static str> {
        varint::take(&mut self.rest).ok_or(missing)
    }

    /// A field with its length in front; `None` for a negative length.
    fn slice(&mut self, missing: &'static str) -> Result<Option<Bytes>, &'static str> {
        let Ok(length) = usize::try_from(self.int(missing)?) else { return Ok(None) };
        let field = self.rest.get(..length).ok_or(missing)?;
        self.rest = &self.rest[length..];
        Ok(Some(self.payload.slice_ref(field)))
    }
}
