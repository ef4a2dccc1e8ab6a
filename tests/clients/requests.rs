//! Requests as clients send them, read by the broker's decoders: what comes out must be all that went in.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{self, ApiKey, ProduceRequest},
    protocol::{Encodable, Request},
};
use retrial::kafka::protocol::{
    batch::{Batch, Batches},
    message::{RequestHead, decode_request},
};

/// A request's name in the fixtures: its API and version.
pub(super) fn name(frame: &Bytes) -> (String, i16) {
    let head = RequestHead::take(&mut frame.clone()).unwrap();
    let api = ApiKey::try_from(head.api_key).map(|key| format!("{key:?}"));
    (api.unwrap_or_else(|()| head.api_key.to_string()), head.version)
}

/// Reads head and body, and writes the body again: the same bytes, or something was not understood.
pub(super) fn check(frame: &Bytes) -> Result<(), String> {
    let mut body = frame.clone();
    let head = RequestHead::take(&mut body).map_err(|error| error.to_string())?;
    let version = head.version;
    let again = match ApiKey::try_from(head.api_key) {
        Ok(ApiKey::Produce) => again::<messages::ProduceRequest>(&body, version),
        Ok(ApiKey::Fetch) => again::<messages::FetchRequest>(&body, version),
        Ok(ApiKey::ListOffsets) => again::<messages::ListOffsetsRequest>(&body, version),
        Ok(ApiKey::Metadata) => again::<messages::MetadataRequest>(&body, version),
        Ok(ApiKey::OffsetCommit) => again::<messages::OffsetCommitRequest>(&body, version),
        Ok(ApiKey::OffsetFetch) => again::<messages::OffsetFetchRequest>(&body, version),
        Ok(ApiKey::FindCoordinator) => again::<messages::FindCoordinatorRequest>(&body, version),
        Ok(ApiKey::JoinGroup) => again::<messages::JoinGroupRequest>(&body, version),
        Ok(ApiKey::Heartbeat) => again::<messages::HeartbeatRequest>(&body, version),
        Ok(ApiKey::LeaveGroup) => again::<messages::LeaveGroupRequest>(&body, version),
        Ok(ApiKey::SyncGroup) => again::<messages::SyncGroupRequest>(&body, version),
        Ok(ApiKey::DescribeGroups) => again::<messages::DescribeGroupsRequest>(&body, version),
        Ok(ApiKey::ListGroups) => again::<messages::ListGroupsRequest>(&body, version),
        Ok(ApiKey::ApiVersions) => again::<messages::ApiVersionsRequest>(&body, version),
        Ok(ApiKey::CreateTopics) => again::<messages::CreateTopicsRequest>(&body, version),
        Ok(ApiKey::DeleteTopics) => again::<messages::DeleteTopicsRequest>(&body, version),
        Ok(ApiKey::DeleteRecords) => again::<messages::DeleteRecordsRequest>(&body, version),
        Ok(ApiKey::InitProducerId) => again::<messages::InitProducerIdRequest>(&body, version),
        Ok(ApiKey::OffsetForLeaderEpoch) => {
            again::<messages::OffsetForLeaderEpochRequest>(&body, version)
        }
        Ok(ApiKey::DescribeConfigs) => again::<messages::DescribeConfigsRequest>(&body, version),
        Ok(ApiKey::AlterConfigs) => again::<messages::AlterConfigsRequest>(&body, version),
        Ok(ApiKey::DescribeLogDirs) => again::<messages::DescribeLogDirsRequest>(&body, version),
        Ok(ApiKey::CreatePartitions) => again::<messages::CreatePartitionsRequest>(&body, version),
        Ok(ApiKey::DeleteGroups) => again::<messages::DeleteGroupsRequest>(&body, version),
        Ok(ApiKey::IncrementalAlterConfigs) => {
            again::<messages::IncrementalAlterConfigsRequest>(&body, version)
        }
        Ok(ApiKey::OffsetDelete) => again::<messages::OffsetDeleteRequest>(&body, version),
        Ok(ApiKey::DescribeCluster) => again::<messages::DescribeClusterRequest>(&body, version),
        Ok(ApiKey::DescribeProducers) => {
            again::<messages::DescribeProducersRequest>(&body, version)
        }
        Ok(ApiKey::ListConfigResources) => {
            again::<messages::ListConfigResourcesRequest>(&body, version)
        }
        Ok(ApiKey::DescribeTopicPartitions) => {
            again::<messages::DescribeTopicPartitionsRequest>(&body, version)
        }
        other => return Err(format!("{other:?} (key {}) has no line in this table", head.api_key)),
    };
    let (api, version) = name(frame);
    let again = again.map_err(|error| format!("{api} {version}: {error}"))?;
    // librdkafka asks for all topics with an array's old length of four bytes, of which a compact array's
    // takes the first. What is left over at the end Kafka does not look at either.
    let rest = body.strip_prefix(&again[..]).map(<[u8]>::len);
    if rest == Some(0) || rest == Some(3) && api == "Metadata" && body[0] == 0 {
        Ok(())
    } else {
        Err(format!("{api} {version} came as {body:02x?}, was read as {again:02x?}"))
    }
}

fn again<R: Request>(body: &Bytes, version: i16) -> Result<Bytes, String> {
    let request = decode_request::<R>(body.clone(), version).map_err(|error| error.to_string())?;
    let mut bytes = BytesMut::new();
    Encodable::encode(&request, &mut bytes, version).map_err(|error| error.to_string())?;
    Ok(bytes.freeze())
}

/// The batches that a request brings; none if it is no Produce request.
pub(super) fn batches(frame: &Bytes) -> Vec<Batch> {
    let mut body = frame.clone();
    let head = RequestHead::take(&mut body).unwrap();
    if head.api_key != ApiKey::Produce as i16 {
        return Vec::new();
    }
    let request: ProduceRequest = decode_request(body, head.version).unwrap();
    let partitions = request.topic_data.into_iter().flat_map(|topic| topic.partition_data);
    let records = partitions.filter_map(|partition| partition.records);
    records.flat_map(|records| Batches::new(records).map(Result::unwrap)).collect()
}
