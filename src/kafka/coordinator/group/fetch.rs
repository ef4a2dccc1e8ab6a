//! OffsetFetch: what a group has committed.

use kafka_protocol::messages::{
    offset_fetch_request::OffsetFetchRequestGroup,
    offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
    },
};

use super::{
    Effect, GroupCoordinator, OffsetsVisible, Request,
    effect::text,
    writes::{Answer, Bond, Deferred},
};
use crate::kafka::{coordinator::records::OffsetValue, types::TopicName};

/// `OffsetFetchResponse.INVALID_OFFSET`: nothing was committed.
const NO_OFFSET: i64 = -1;

impl GroupCoordinator {
    /// One group of a request; the shell groups older requests so and puts the answers together. A group
    /// that is not known has committed nothing, which is no error.
    pub fn handle_offset_fetch(
        &mut self,
        request: Request<OffsetFetchRequestGroup>,
        visible: OffsetsVisible,
        effects: &mut Vec<Effect>,
    ) {
        let answer = Answer::Fetch(request.body);
        match visible {
            OffsetsVisible::Committed => {
                let response = self.read(answer);
                effects.push(Effect::Reply { request: request.token, response });
            }
            OffsetsVisible::Stable => {
                let deferred = Deferred { request: request.token, answer, bond: Bond::Order };
                self.answer_in_order(deferred, effects);
            }
        }
    }

    pub(super) fn offsets_of(&self, request: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        let group = request.group_id.as_str();
        let topics = match &request.topics {
            Some(topics) => {
                let topic = |topic: &kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics| {
                    let partitions = topic.partition_indexes.iter().map(|&number| {
                        partition(number, self.offsets.get(group, &topic.name, number))
                    });
                    OffsetFetchResponseTopics::default()
                        .with_name(topic.name.clone())
                        .with_topic_id(topic.topic_id)
                        .with_partitions(partitions.collect())
                };
                topics.iter().map(topic).collect()
            }
            None => self.all_offsets_of(group),
        };
        OffsetFetchResponseGroup::default()
            .with_group_id(request.group_id.clone())
            .with_topics(topics)
    }

    fn all_offsets_of(&self, group: &str) -> Vec<OffsetFetchResponseTopics> {
        let topics = self.offsets.of_group(group).into_iter().flatten();
        topics
            .map(|(name, offsets)| {
                let partitions =
                    offsets.iter().map(|(&number, value)| partition(number, Some(value)));
                OffsetFetchResponseTopics::default()
                    .with_name(wire_topic(name))
                    .with_partitions(partitions.collect())
            })
            .collect()
    }
}

fn wire_topic(name: &TopicName) -> kafka_protocol::messages::TopicName {
    text(name.as_str()).into()
}

fn partition(number: i32, value: Option<&OffsetValue>) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(number);
    match value {
        Some(value) => response
            .with_committed_offset(value.offset.0)
            .with_committed_leader_epoch(value.leader_epoch.map_or(-1, |epoch| epoch.0))
            .with_metadata(Some(value.metadata.clone())),
        None => response
            .with_committed_offset(NO_OFFSET)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(text(""))),
    }
}
