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

use super::produce::missing;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        partitions::Partition,
        reading::known_epoch,
        state::Broker,
    },
    log::{FoundOffset, LogError},
    protocol::ResponseError,
    replica::{OffsetBound, ReadFrom, Visibility},
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
/// `ListOffsetsRequest.DEBUGGING_REPLICA_ID`.
const DEBUGGING: i32 = -2;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ListOffsetsRequest = call.request()?;
    let mut response = ListOffsetsResponse::default();
    let asker = Asker::of(request.replica_id.0);
    for topic in request.topics {
        let mut answered = ListOffsetsTopicResponse::default().with_name(topic.name.clone());
        for ask in &topic.partitions {
            let found = broker
                .partitions
                .find(&topic.name, ask.partition_index)
                .ok_or_else(|| missing(&broker.metadata.image(), &topic.name, ask.partition_index))
                .and_then(|partition| answer(broker, &partition, asker, ask))
                .map_err(|code| in_version(code, call.version()));
            answered.partitions.push(describe(call.version(), ask, found));
        }
        response.topics.push(answered);
    }
    call.answer(&response)
}

/// Who asks, which decides whom and up to where.
#[derive(Clone, Copy)]
struct Asker {
    from: ReadFrom,
    visibility: Visibility,
}

impl Asker {
    /// `read_committed` sees no less: there are no transactions.
    fn of(replica: i32) -> Self {
        match replica {
            // A tool that looks into any replica.
            DEBUGGING => Asker { from: ReadFrom::AnyReplica, visibility: Visibility::LogEnd },
            0.. => Asker { from: ReadFrom::Leader, visibility: Visibility::LogEnd },
            _ => Asker { from: ReadFrom::Leader, visibility: Visibility::HighWatermark },
        }
    }
}

/// No offset where the log has no such record.
fn answer(
    broker: &Broker,
    partition: &Partition,
    asker: Asker,
    ask: &ListOffsetsPartition,
) -> Result<Option<FoundOffset>, ResponseError> {
    let held = partition.held();
    let replica = held.replica.as_ref().ok_or(ResponseError::UnknownTopicOrPartition)?;
    let current = known_epoch(ask.current_leader_epoch);
    let bound = replica.offset_bound(held.facts(broker), asker.from, current, asker.visibility)?;
    let end = |offset: Offset, epoch: Option<LeaderEpoch>| FoundOffset {
        offset,
        timestamp: Timestamp::NONE,
        leader_epoch: epoch.unwrap_or(LeaderEpoch(-1)),
    };
    let found = match ask.timestamp {
        LATEST => return Ok(Some(end(bound.latest?, Some(bound.leader_epoch)))),
        EARLIEST | EARLIEST_LOCAL => {
            let (offset, epoch) = held.log.earliest();
            return Ok(Some(end(offset, epoch)));
        }
        LATEST_TIERED => return Ok(None),
        MAX_TIMESTAMP => held.log.max_timestamp(),
        at if at >= 0 => held.log.offset_for_timestamp(Timestamp(at)),
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    let found = found.map_err(|_: LogError| ResponseError::KafkaStorageError)?;
    within(bound, found)
}

/// What is not committed yet is not told; a new leader may not know whether it is.
fn within(
    bound: OffsetBound,
    found: Option<FoundOffset>,
) -> Result<Option<FoundOffset>, ResponseError> {
    match found {
        Some(found) if found.offset < bound.last_fetchable => Ok(Some(found)),
        _ => bound.latest.map(|_| None),
    }
}

/// OFFSET_NOT_AVAILABLE came with version 5 (KIP-207).
fn in_version(code: ResponseError, version: i16) -> ResponseError {
    match code {
        ResponseError::OffsetNotAvailable if version < 5 => ResponseError::LeaderNotAvailable,
        code => code,
    }
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
