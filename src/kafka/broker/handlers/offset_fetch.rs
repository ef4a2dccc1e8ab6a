//! OffsetFetch, 1 to 9: what groups have committed; several groups at once from version 8 on.
//!
//! A group that is not known has committed nothing, which is no error: offset -1.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        OffsetFetchRequest, OffsetFetchResponse,
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    coordinator::group::{GroupResponse, OffsetsVisible, Request},
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 1, max: 9 };
/// From here on a request asks for many groups.
const BATCHED_SINCE: i16 = 8;
/// From here on an error concerns the group and not each of its partitions.
const GROUP_ERROR_SINCE: i16 = 2;

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: OffsetFetchRequest = call.request()?;
    let visible =
        if request.require_stable { OffsetsVisible::Stable } else { OffsetsVisible::Committed };
    let mut response = OffsetFetchResponse::default();
    if call.version() >= BATCHED_SINCE {
        for group in request.groups {
            response.groups.push(fetch(broker, call, group, visible).await);
        }
        return call.answer(&response);
    }
    let topic = |topic: OffsetFetchRequestTopic| {
        OffsetFetchRequestTopics::default()
            .with_name(topic.name)
            .with_partition_indexes(topic.partition_indexes)
    };
    let asked = request.topics.map(|topics| topics.into_iter().map(topic).collect::<Vec<_>>());
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(request.group_id)
        .with_topics(asked.clone());
    let fetched = fetch(broker, call, group, visible).await;
    response.error_code = fetched.error_code;
    response.topics = fetched.topics.into_iter().map(single).collect();
    if fetched.error_code != 0 && call.version() < GROUP_ERROR_SINCE {
        response.topics =
            asked.unwrap_or_default().iter().map(|t| failed(t, fetched.error_code)).collect();
    }
    call.answer(&response)
}

async fn fetch(
    broker: &Arc<Broker>,
    call: &Call<'_>,
    body: OffsetFetchRequestGroup,
    visible: OffsetsVisible,
) -> OffsetFetchResponseGroup {
    let (group, caller) = (body.group_id.clone(), call.caller());
    let answer = broker.groups.ask(broker, &group, |coordinator, _, token, effects| {
        let request = Request { token, caller, body };
        coordinator.handle_offset_fetch(request, visible, effects);
    });
    match answer.await {
        Some(GroupResponse::OffsetFetch(response)) => response,
        _ => OffsetFetchResponseGroup::default()
            .with_group_id(group)
            .with_error_code(ResponseError::NotCoordinator.code()),
    }
}

/// A topic as versions before 8 lay it out.
fn single(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(topic.partitions.into_iter().map(partition).collect())
}

fn failed(topic: &OffsetFetchRequestTopics, code: i16) -> OffsetFetchResponseTopic {
    let partition = |index: &i32| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_error_code(code)
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic.name.clone())
        .with_partitions(topic.partition_indexes.iter().map(partition).collect())
}
