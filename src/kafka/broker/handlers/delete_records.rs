//! DeleteRecords, 0 to 2: raises the start of logs.
//!
//! Records before it are out of reach at once; their segments go when retention looks next. The start is
//! written down by the broker's chores, not here, so that, as in Kafka, a crash may undo the request. With
//! one replica there is no other whose log start to wait for.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records_request::DeleteRecordsPartition,
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
    protocol::VersionRange,
};

use super::{codes, produce::held};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    config::CleanupPolicy,
    coordinator::OFFSETS_TOPIC,
    protocol::ResponseError,
    types::Offset,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

/// `DeleteRecordsRequest.HIGH_WATERMARK`: everything there is.
const TO_HIGH_WATERMARK: i64 = -1;
/// `DeleteRecordsResponse.INVALID_LOW_WATERMARK`.
const NO_LOW_WATERMARK: i64 = -1;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DeleteRecordsRequest = call.request()?;
    let mut response = DeleteRecordsResponse::default();
    for topic in request.topics {
        let mut answered = DeleteRecordsTopicResult::default().with_name(topic.name.clone());
        for ask in &topic.partitions {
            let result =
                DeleteRecordsPartitionResult::default().with_partition_index(ask.partition_index);
            answered.partitions.push(match delete(broker, &topic.name, ask) {
                Ok(start) => result.with_low_watermark(start.0),
                Err(code) => {
                    result.with_low_watermark(NO_LOW_WATERMARK).with_error_code(code.code())
                }
            });
        }
        response.topics.push(answered);
    }
    call.answer(&response)
}

/// Returns where the log starts then.
fn delete(
    broker: &Broker,
    topic: &str,
    ask: &DeleteRecordsPartition,
) -> Result<Offset, ResponseError> {
    let partition = held(broker, topic, ask.partition_index);
    let exists = !matches!(partition, Err(ResponseError::UnknownTopicOrPartition));
    if topic == OFFSETS_TOPIC && exists {
        return Err(ResponseError::InvalidTopicException);
    }
    let partition = partition?;
    let mut log = partition.log();
    if log.config().cleanup_policy == CleanupPolicy::Compact {
        return Err(ResponseError::PolicyViolation);
    }
    let offset = match ask.offset {
        TO_HIGH_WATERMARK => log.high_watermark(),
        offset if offset < 0 => return Err(ResponseError::OffsetOutOfRange),
        offset => Offset(offset),
    };
    log.advance_start_offset(offset).map_err(|error| codes::of_read(&error))?;
    Ok(log.start_offset())
}
