//! OffsetCommit, 2 to 9: a group's offsets, for the partitions that exist.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        OffsetCommitRequest, OffsetCommitResponse,
        offset_commit_request::OffsetCommitRequestTopic,
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    },
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    coordinator::group::{GroupResponse, Request},
    metadata::Image,
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 2, max: 9 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut body: OffsetCommitRequest = call.request_to_keep()?;
    let unknown = take_unknown(&broker.metadata.image(), &mut body.topics);
    let mut response = if body.topics.is_empty() && !unknown.is_empty() {
        OffsetCommitResponse::default()
    } else {
        let (group, caller, asked) = (body.group_id.clone(), call.caller(), body.topics.clone());
        let answer = broker.groups.ask(broker, &group, |coordinator, now, token, effects| {
            let request = Request { token, caller, body };
            coordinator.handle_offset_commit(now, request, effects);
        });
        match answer.await {
            Some(GroupResponse::OffsetCommit(response)) => response,
            _ => refuse(asked, ResponseError::NotCoordinator),
        }
    };
    response.topics.extend(refuse(unknown, ResponseError::UnknownTopicOrPartition).topics);
    call.answer(&response)
}

/// Takes out what does not exist.
fn take_unknown(
    image: &Image,
    topics: &mut Vec<OffsetCommitRequestTopic>,
) -> Vec<OffsetCommitRequestTopic> {
    let mut unknown = Vec::new();
    for topic in topics.iter_mut() {
        let known = image.topic(&topic.name);
        let exists = |index: &i32| known.is_some_and(|topic| topic.partitions.contains_key(index));
        let missing: Vec<_> = topic
            .partitions
            .extract_if(.., |partition| !exists(&partition.partition_index))
            .collect();
        if !missing.is_empty() {
            unknown.push(
                OffsetCommitRequestTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(missing),
            );
        }
    }
    topics.retain(|topic| !topic.partitions.is_empty());
    unknown
}

/// The same error for every partition.
fn refuse(topics: Vec<OffsetCommitRequestTopic>, code: ResponseError) -> OffsetCommitResponse {
    let partition = |index| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.code())
    };
    let topic = |topic: OffsetCommitRequestTopic| {
        let partitions = topic.partitions.iter().map(|p| partition(p.partition_index));
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    };
    OffsetCommitResponse::default().with_topics(topics.into_iter().map(topic).collect())
}
