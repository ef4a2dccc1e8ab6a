//! The fixed part of a batch: parsing it, checking it, and the fields a leader fills in.

use bytes::{Buf, Bytes};

use super::{compression::Compression, records::Records};
use crate::kafka::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Bytes from the base offset to the record count, both included.
pub const HEADER_LEN: usize = 61;
/// Base offset and length: what the length field itself does not count.
const LOG_OVERHEAD: usize = 12;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
/// The checksum covers everything from here to the end of the batch, so that base offset and leader
/// epoch can be assigned without touching it.
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const PRODUCER_ID_AT: usize = 43;

const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// KIP-534: the base timestamp is the time from which on tombstones may go.
const DELETE_HORIZON: i16 = 1 << 6;

/// Why bytes are not a batch.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BatchError {
    #[error("{have} bytes do not hold a batch of {need}")]
    Incomplete { have: usize, need: usize },
    #[error("batch length {0} is smaller than a header")]
    BadLength(i32),
    #[error("batch has magic {0}, only 2 is known")]
    UnsupportedMagic(i8),
    #[error("checksum is {computed:#010x}, the batch says {stored:#010x}")]
    CrcMismatch { stored: u32, computed: u32 },
    #[error("no compression has id {0}")]
    UnknownCompression(i16),
    #[error("{codec} payload cannot be opened: {reason}")]
    BadCompression { codec: &'static str, reason: String },
    #[error("record {index} is malformed: {reason}")]
    BadRecord { index: i32, reason: &'static str },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// Records carry the producer's time.
    CreateTime,
    /// All records carry the batch's maximum timestamp, which is when the leader appended it.
    LogAppendTime,
}

/// Compression and flags.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Attributes(pub i16);

impl Attributes {
    pub(super) fn new(compression: Compression, transactional: bool, control: bool) -> Self {
        let flag = |set: bool, bit: i16| if set { bit } else { 0 };
        Attributes(compression.id() | flag(transactional, TRANSACTIONAL) | flag(control, CONTROL))
    }

    pub fn compression(self) -> Result<Compression, BatchError> {
        Compression::from_id(self.0 & 7).ok_or(BatchError::UnknownCompression(self.0 & 7))
    }

    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    pub(super) fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    pub(super) fn with_delete_horizon(self) -> Self {
        Attributes(self.0 | DELETE_HORIZON)
    }

    /// Neither compressed nor with a delete horizon.
    pub(super) fn plain(self) -> Self {
        Attributes(self.0 & (LOG_APPEND_TIME | TRANSACTIONAL | CONTROL))
    }

    /// Whether the records are markers of the coordinator's, not shown to applications.
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }
}

/// All fields of a batch but its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after this field; see [`BatchHeader::size`].
    pub length: i32,
    pub leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    /// Of the first record, or the delete horizon; the records' are stored as differences.
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which may end before the batch does.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(mut head) = bytes.get(..HEADER_LEN) else {
            return Err(BatchError::Incomplete { have: bytes.len(), need: HEADER_LEN });
        };
        let base_offset = Offset(head.get_i64());
        let length = head.get_i32();
        let leader_epoch = LeaderEpoch(head.get_i32());
        let magic = head.get_i8();
        if magic != 2 {
            return Err(BatchError::UnsupportedMagic(magic));
        }
        if length < (HEADER_LEN - LOG_OVERHEAD) as i32 {
            return Err(BatchError::BadLength(length));
        }
        Ok(BatchHeader {
            base_offset,
            length,
            leader_epoch,
            crc: head.get_u32(),
            attributes: Attributes(head.get_i16()),
            last_offset_delta: head.get_i32(),
            base_timestamp: Timestamp(head.get_i64()),
            max_timestamp: Timestamp(head.get_i64()),
            producer_id: ProducerId(head.get_i64()),
            producer_epoch: ProducerEpoch(head.get_i16()),
            base_sequence: Sequence(head.get_i32()),
            record_count: head.get_i32(),
        })
    }

    /// Writes the header over the first [`HEADER_LEN`] bytes of `batch`.
    pub(super) fn write(&self, batch: &mut [u8]) {
        let mut put = |at: usize, field: &[u8]| batch[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.0.to_be_bytes());
        put(8, &self.length.to_be_bytes());
        put(LEADER_EPOCH_AT, &self.leader_epoch.0.to_be_bytes());
        put(MAGIC_AT, &[2]);
        put(CRC_AT, &self.crc.to_be_bytes());
        put(ATTRIBUTES_AT, &self.attributes.0.to_be_bytes());
        put(23, &self.last_offset_delta.to_be_bytes());
        put(27, &self.base_timestamp.0.to_be_bytes());
        put(MAX_TIMESTAMP_AT, &self.max_timestamp.0.to_be_bytes());
        put(PRODUCER_ID_AT, &self.producer_id.0.to_be_bytes());
        put(51, &self.producer_epoch.0.to_be_bytes());
        put(53, &self.base_sequence.0.to_be_bytes());
        put(57, &self.record_count.to_be_bytes());
    }

    /// Bytes of the whole batch, header included.
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + self.length as usize
    }

    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// The offset after this batch's last.
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// Sequence of the last record; -1 for a producer that is not idempotent.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence.0 < 0 {
            Sequence(-1)
        } else {
            self.base_sequence.plus(self.last_offset_delta)
        }
    }

    /// From when on compaction may remove the batch's tombstones; set when it first met them.
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > -1
    }
}

/// Compares the checksum of the batch that starts `bytes`.
pub fn check_crc(header: &BatchHeader, bytes: &[u8]) -> Result<(), BatchError> {
    let size = header.size();
    let body = bytes
        .get(ATTRIBUTES_AT..size)
        .ok_or(BatchError::Incomplete { have: bytes.len(), need: size })?;
    let computed = crc32c::crc32c(body);
    if computed == header.crc {
        Ok(())
    } else {
        Err(BatchError::CrcMismatch { stored: header.crc, computed })
    }
}

/// The checksum that the batch that starts `batch` carries.
pub fn stored_crc(batch: &[u8]) -> u32 {
    let mut crc = [0; 4];
    crc.copy_from_slice(&batch[CRC_AT..ATTRIBUTES_AT]);
    u32::from_be_bytes(crc)
}

/// Gives the batch that starts `batch` its place in the log. Neither field is under the checksum.
pub fn assign(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Stamps exactly one batch with the time of its append, for `message.timestamp.type=LogAppendTime`.
pub fn set_log_append_time(batch: &mut [u8], now: Timestamp) {
    let attributes = i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]]);
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2]
        .copy_from_slice(&(attributes | LOG_APPEND_TIME).to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&now.0.to_be_bytes());
    seal(batch);
}

/// Computes the checksum of exactly one batch and stores it.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}

/// One whole batch.
#[derive(Clone, Debug)]
pub struct Batch {
    pub header: BatchHeader,
    /// Header and payload.
    pub bytes: Bytes,
}

impl Batch {
    pub fn check_crc(&self) -> Result<(), BatchError> {
        check_crc(&self.header, &self.bytes)
    }

    /// Opens the payload. Check the checksum first unless the bytes are trusted.
    pub fn records(&self) -> Result<Records, BatchError> {
        Records::open(self)
    }
}

/// Walks the batches of a buffer without copying them.
///
/// A batch that is not there as a whole ends the walk without an error: a fetch may end in the middle
/// of a batch, and a leader ignores such a rest of a produce request, as `ByteBufferLogInputStream`
/// does. After an error the walk ends.
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    pub fn new(bytes: Bytes) -> Self {
        Batches { rest: bytes }
    }

    /// What the walk has not passed.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if starts_with_partial(&self.rest) {
            return None;
        }
        match BatchHeader::parse(&self.rest) {
            Ok(header) => {
                let bytes = self.rest.split_to(header.size());
                Some(Ok(Batch { header, bytes }))
            }
            Err(error) => {
                self.rest.clear();
                Some(Err(error))
            }
        }
    }
}

/// Whether `bytes` end before the batch that they start with does (also when there are none).
pub fn starts_with_partial(bytes: &[u8]) -> bool {
    let Some(mut length) = bytes.get(8..LOG_OVERHEAD) else { return true };
    let length = length.get_i32();
    // The magic byte tells whether it is a batch at all; up to there more bytes may be needed.
    match usize::try_from(length) {
        Ok(length) if length >= HEADER_LEN - LOG_OVERHEAD => bytes.len() < LOG_OVERHEAD + length,
        _ => bytes.len() < HEADER_LEN,
    }
}
