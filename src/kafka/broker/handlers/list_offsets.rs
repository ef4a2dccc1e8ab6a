//! ListOffsets, 1 to 9: offsets by timestamp, and the two ends of a log.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets_request::ListOffsetsPartition,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    },
    protocol::VersionRange,
};

use super::{fetch::check_epoch, produce::missing};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        partitions::Partition,
        state::Broker,
    },
    log::{FoundOffset, LogError},
    protocol::ResponseError,
    types::{LeaderEpoch, Offset, Timestamp},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 1, max: 9 };

/// `ListOffsetsRequest`'s questions that are no timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// Tiered storage does not exist here, so what is local is everything, and nothing is tiered.
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ListOffsetsRequest = call.request()?;
    let mut response = ListOffsetsResponse::default();
    for topic in request.topics {
        let mut answered = ListOffsetsTopicResponse::default().with_name(topic.name.clone());
        for ask in &topic.partitions {
            let found = broker
                .partitions
                .find(&topic.name, ask.partition_index)
                .ok_or_else(|| missing(broker, &topic.name, ask.partition_index))
                .and_then(|partition| check_epoch(partition, ask.current_leader_epoch))
                .and_then(|partition| answer(&partition, ask.timestamp));
            answered.partitions.push(describe(call.version(), ask, found));
        }
        response.topics.push(answered);
    }
    call.answer(&response)
}

/// No offset where the log has no such record.
fn answer(partition: &Partition, timestamp: i64) -> Result<Option<FoundOffset>, ResponseError> {
    let log = partition.log();
    let end = |(offset, epoch): (Offset, Option<LeaderEpoch>)| FoundOffset {
        offset,
        timestamp: Timestamp::NONE,
        leader_epoch: epoch.unwrap_or(LeaderEpoch(-1)),
    };
    let found = match timestamp {
        LATEST => Ok(Some(end(log.latest(log.high_watermark())))),
        EARLIEST | EARLIEST_LOCAL => Ok(Some(end(log.earliest()))),
        MAX_TIMESTAMP => log.max_timestamp(),
        LATEST_TIERED => Ok(None),
        at if at >= 0 => log.offset_for_timestamp(Timestamp(at)),
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    found.map_err(|_: LogError| ResponseError::KafkaStorageError)
}

/// Version 4 brought the epoch; a version without it has no place for one.
fn describe(
    version: i16,
    ask: &ListOffsetsPartition,
    found: Result<Option<FoundOffset>, ResponseError>,
) -> ListOffsetsPartitionResponse {
    let data = ListOffsetsPartitionResponse::default()
        .with_partition_index(ask.partition_index)
        .with_timestamp(-1)
        .with_offset(-1)
        .with_leader_epoch(-1);
    match found {
        Ok(Some(found)) => data
            .with_timestamp(found.timestamp.0)
            .with_offset(found.offset.0)
            .with_leader_epoch(if version >= 4 { found.leader_epoch.0 } else { -1 }),
        Ok(None) => data,
        Err(code) => data.with_error_code(code.code()),
    }
}
