//! Errors of the log as Kafka's error codes.

use crate::kafka::{
    log::{AppendError, ReadError},
    protocol::ResponseError,
};

pub(in crate::kafka::broker) fn of_append(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Corrupt(_) => ResponseError::CorruptMessage,
        AppendError::MessageTooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::LargerThanSegment { .. } => ResponseError::RecordListTooLarge,
        AppendError::InvalidTimestamp(_) => ResponseError::InvalidTimestamp,
        AppendError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::InvalidTxnState(_) => ResponseError::InvalidTxnState,
        AppendError::InvalidRecord(_) => ResponseError::InvalidRecord,
        // Only a follower's append can meet it, and that answers nobody.
        AppendError::UnexpectedOffset { .. } => ResponseError::UnknownServerError,
        AppendError::Log(_) => ResponseError::KafkaStorageError,
    }
}

pub(in crate::kafka::broker) fn of_read(error: &ReadError) -> ResponseError {
    match error {
        ReadError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Log(_) => ResponseError::KafkaStorageError,
    }
}
