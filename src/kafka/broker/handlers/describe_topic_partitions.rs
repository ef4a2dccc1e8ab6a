//! DescribeTopicPartitions, 0: topics and partitions page by page.
//!
//! A request names topics, or none for all of them. The answer holds as many partitions as the request
//! and `max.request.partition.size.limit` allow, and a cursor that says where the next request goes on.

use std::{collections::BTreeSet, sync::Arc};

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        TopicName as WireTopicName,
        describe_topic_partitions_request::TopicRequest,
        describe_topic_partitions_response::{
            Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
        },
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        operations,
        state::Broker,
    },
    controller::check_topic_name,
    coordinator::OFFSETS_TOPIC,
    metadata::{Image, PartitionImage, TopicImage},
    protocol::ResponseError,
    types::BrokerId,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

/// What a request wants, sorted out.
struct Wanted {
    /// From the cursor's topic on, by name.
    topics: BTreeSet<String>,
    /// The cursor: its topic and the first partition of it.
    from: Option<(String, usize)>,
    /// All topics are wanted, so one that is gone meanwhile is no error.
    all: bool,
}

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeTopicPartitionsRequest = call.request()?;
    let image = broker.metadata.image();
    let Some(wanted) = sort_out(&image, &request) else {
        // `DescribeTopicPartitionsRequest.getErrorResponse`: there is no place for an error but the topics.
        let refuse = |topic: &TopicRequest| failed(&topic.name, ResponseError::InvalidRequest);
        let topics = request.topics.iter().map(refuse).collect();
        return call.answer(&DescribeTopicPartitionsResponse::default().with_topics(topics));
    };
    let asked = usize::try_from(request.response_partition_limit).unwrap_or_default();
    let limit = asked.min(broker.config.config.max_request_partitions).max(1);
    call.answer(&page(broker, &image, &wanted, limit))
}

/// `None` for a cursor that cannot be.
fn sort_out(image: &Image, request: &DescribeTopicPartitionsRequest) -> Option<Wanted> {
    let all = request.topics.is_empty();
    let from = match &request.cursor {
        None => None,
        Some(cursor) => {
            let start = usize::try_from(cursor.partition_index).ok()?;
            Some((cursor.topic_name.to_string(), start))
        }
    };
    let names: BTreeSet<String> = if all {
        image.topics().map(|topic| topic.name.to_string()).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    let topics = match &from {
        None => names,
        Some((first, _)) if !all && !names.contains(first) => return None,
        Some((first, _)) => names.into_iter().filter(|name| name >= first).collect(),
    };
    Some(Wanted { topics, from, all })
}

fn page(
    broker: &Broker,
    image: &Image,
    wanted: &Wanted,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut room = limit;
    for name in &wanted.topics {
        if room == 0 {
            return response.with_next_cursor(Some(cursor(name, 0)));
        }
        let start = match &wanted.from {
            Some((topic, start)) if topic == name => *start,
            _ => 0,
        };
        match image.topic(name) {
            Some(topic) => {
                let end = topic.partitions.len().min(start.saturating_add(room));
                let described = describe(broker, topic, start, end);
                room -= described.partitions.len();
                response.topics.push(described);
                if end < topic.partitions.len() {
                    return response.with_next_cursor(Some(cursor(name, end)));
                }
            }
            None if wanted.all => {}
            None => {
                let legal = check_topic_name(name).is_ok();
                let code = if legal {
                    ResponseError::UnknownTopicOrPartition
                } else {
                    ResponseError::InvalidTopicException
                };
                let topic = failed(&wire(name), code);
                response.topics.push(topic.with_topic_authorized_operations(operations::ON_TOPIC));
            }
        }
    }
    response
}

fn wire(name: &str) -> WireTopicName {
    WireTopicName(StrBytes::from_string(name.to_owned()))
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    let index = i32::try_from(partition).expect("partitions are numbered by i32");
    Cursor::default().with_topic_name(wire(topic)).with_partition_index(index)
}

fn failed(name: &WireTopicName, code: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name.clone()))
        .with_error_code(code.code())
        .with_is_internal(name.as_str() == OFFSETS_TOPIC)
}

fn describe(
    broker: &Broker,
    topic: &TopicImage,
    start: usize,
    end: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let count = end.saturating_sub(start);
    let partitions = topic.partitions.iter().skip(start).take(count);
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(wire(topic.name.as_str())))
        .with_topic_id(topic.id)
        .with_is_internal(topic.name.as_str() == OFFSETS_TOPIC)
        .with_partitions(
            partitions.map(|partition| describe_partition(broker, partition)).collect(),
        )
        .with_topic_authorized_operations(operations::ON_TOPIC)
}

fn describe_partition(
    broker: &Broker,
    (index, image): (&i32, &Arc<PartitionImage>),
) -> DescribeTopicPartitionsResponsePartition {
    let wire = |ids: &[BrokerId]| ids.iter().map(|id| WireBrokerId(id.0)).collect::<Vec<_>>();
    let leader = broker.told_leader(image).unwrap_or(BrokerId::NONE);
    DescribeTopicPartitionsResponsePartition::default()
        .with_offline_replicas(wire(&broker.offline_replicas(image)))
        .with_partition_index(*index)
        .with_leader_id(WireBrokerId(leader.0))
        .with_leader_epoch(image.leader_epoch.0)
        .with_replica_nodes(wire(&image.replicas))
        .with_isr_nodes(wire(&image.isr))
        .with_eligible_leader_replicas(Some(wire(&image.eligible)))
        .with_last_known_elr(Some(wire(&image.last_known_eligible)))
}
