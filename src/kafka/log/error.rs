//! What can go wrong with a log, one variant per reaction of the caller, and Kafka's code for each.

use std::io;

use crate::kafka::{
    protocol::batch::BatchError,
    types::{Offset, ProducerEpoch, ProducerId, Sequence},
};

/// The log is unusable: the broker reports it and stops. `KAFKA_STORAGE_ERROR` (56) to clients.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("failed to {action} {path}: {source}")]
    Io { action: &'static str, path: String, source: io::Error },
    #[error("{path} is corrupt at byte {position}: {source}")]
    Corrupt { path: String, position: u64, source: BatchError },
    /// An earlier write or sync failed, so nobody knows what is on the disk.
    #[error("log {dir} is unusable since an earlier write failed")]
    Poisoned { dir: String },
}

impl LogError {
    /// For `map_err`: what was being done, to which file.
    pub(super) fn io(action: &'static str, path: &str) -> impl FnOnce(io::Error) -> LogError {
        move |source| LogError::Io { action, path: path.into(), source }
    }
}

/// Why a batch was not appended. The number in each line is Kafka's error code.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// `CORRUPT_MESSAGE` (2).
    #[error(transparent)]
    Corrupt(BatchError),
    /// `MESSAGE_TOO_LARGE` (10).
    #[error("batch of {size} bytes exceeds max.message.bytes = {max}")]
    MessageTooLarge { size: usize, max: u32 },
    /// `RECORD_LIST_TOO_LARGE` (18).
    #[error("batch of {size} bytes exceeds segment.bytes = {max}")]
    LargerThanSegment { size: usize, max: u32 },
    /// `INVALID_TIMESTAMP` (32).
    #[error("{0}")]
    InvalidTimestamp(String),
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER` (45).
    #[error("producer {producer} sent sequence {got} where its last was {last}")]
    OutOfOrderSequence { producer: ProducerId, last: Sequence, got: Sequence },
    /// `INVALID_PRODUCER_EPOCH` (47).
    #[error("epoch {got} of producer {producer} is older than {current}")]
    InvalidProducerEpoch { producer: ProducerId, current: ProducerEpoch, got: ProducerEpoch },
    /// `INVALID_TXN_STATE` (48).
    #[error("producer {0} has no transaction ongoing on this partition")]
    InvalidTxnState(ProducerId),
    /// `INVALID_RECORD` (87).
    #[error("{0}")]
    InvalidRecord(String),
    /// For a follower alone: the leader's records do not continue this log.
    #[error("records start at offset {got}, the log ends at {end}")]
    UnexpectedOffset { got: Offset, end: Offset },
    /// `KAFKA_STORAGE_ERROR` (56).
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// `OFFSET_OUT_OF_RANGE` (1).
    #[error("offset {asked} is outside of {start}..={end}")]
    OutOfRange { asked: Offset, start: Offset, end: Offset },
    /// `KAFKA_STORAGE_ERROR` (56).
    #[error(transparent)]
    Log(#[from] LogError),
}
