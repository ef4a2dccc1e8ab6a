//! OffsetDelete, 0: a group forgets offsets of topics that its members do not read.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        OffsetDeleteRequest, OffsetDeleteResponse,
        offset_delete_request::OffsetDeleteRequestTopic,
        offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut body: OffsetDeleteRequest = call.request()?;
    let unknown = take_unknown(&broker.metadata.image(), &mut body.topics);
    let (group, caller) = (body.group_id.clone(), call.caller());
    let answer = broker.groups.ask(broker, &group, |coordinator, now, token, effects| {
        let request = Request { token, caller, body };
        coordinator.handle_offset_delete(now, request, effects);
    });
    let mut response = match answer.await {
        Some(GroupResponse::OffsetDelete(response)) => response,
        _ => OffsetDeleteResponse::default().with_error_code(ResponseError::NotCoordinator.code()),
    };
    // An error of the whole request leaves no room for those of partitions.
    if response.error_code == 0 {
        for topic in unknown {
            merge(&mut response, topic);
        }
    }
    call.answer(&response)
}

/// Takes out what does not exist.
fn take_unknown(
    image: &Image,
    topics: &mut Vec<OffsetDeleteRequestTopic>,
) -> Vec<OffsetDeleteResponseTopic> {
    let code = ResponseError::UnknownTopicOrPartition.code();
    let mut unknown = Vec::new();
    for topic in topics.iter_mut() {
        let known = image.topic(&topic.name);
        let missing = topic.partitions.extract_if(.., |partition| {
            !known.is_some_and(|topic| topic.partitions.contains_key(&partition.partition_index))
        });
        let refuse = |index| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code)
        };
        let refused: Vec<_> = missing.map(|partition| refuse(partition.partition_index)).collect();
        if !refused.is_empty() {
            let answered = OffsetDeleteResponseTopic::default().with_name(topic.name.clone());
            unknown.push(answered.with_partitions(refused));
        }
    }
    topics.retain(|topic| !topic.partitions.is_empty());
    unknown
}

fn merge(response: &mut OffsetDeleteResponse, topic: OffsetDeleteResponseTopic) {
    match response.topics.iter_mut().find(|known| known.name == topic.name) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => response.topics.push(topic),
    }
}
