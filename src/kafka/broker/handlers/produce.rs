//! Produce, 3 to 11: appends each partition's batch and answers as `acks` asks.
//!
//! With one replica the leader alone is the in-sync set, so `acks=all` waits for nothing more than
//! `acks=1`. With `acks=0` there is no answer, and an error closes the connection, as in Kafka, so that the
//! client at least looks for a new leader. Transactional batches are refused: transactions are not served.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        ProduceRequest, ProduceResponse,
        produce_request::PartitionProduceData,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{StrBytes, VersionRange},
};

use super::codes;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call, Close},
        partitions::Partition,
        state::Broker,
    },
    coordinator::OFFSETS_TOPIC,
    log::AppendOrigin,
    metadata::METADATA_TOPIC,
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 3, max: 11 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ProduceRequest = call.request()?;
    let acks_known = matches!(request.acks, -1..=1);
    let mut response = ProduceResponse::default();
    let mut failed = false;
    for topic in request.topic_data {
        let mut answered = TopicProduceResponse::default().with_name(topic.name.clone());
        for data in topic.partition_data {
            let result = if !acks_known {
                refusal(data.index, ResponseError::InvalidRequiredAcks, None)
            } else if request.transactional_id.is_some() {
                refusal(data.index, ResponseError::TransactionalIdAuthorizationFailed, None)
            } else {
                append(broker, &topic.name, data).await
            };
            failed |= result.error_code != 0;
            answered.partition_responses.push(result);
        }
        response.responses.push(answered);
    }
    if request.acks == 0 {
        return if failed { Err(Close::Unacknowledged) } else { Ok(None) };
    }
    call.answer(&response)
}

fn refusal(index: i32, code: ResponseError, message: Option<String>) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code.code())
        .with_base_offset(-1)
        .with_error_message(message.map(StrBytes::from_string))
}

async fn append(
    broker: &Arc<Broker>,
    topic: &str,
    data: PartitionProduceData,
) -> PartitionProduceResponse {
    let index = data.index;
    // Clients have no business in the logs the brokers keep for themselves.
    if matches!(topic, OFFSETS_TOPIC | METADATA_TOPIC) {
        let message = format!("Cannot append to internal topic {topic}");
        return refusal(index, ResponseError::InvalidTopicException, Some(message));
    }
    let Some(partition) = broker.partitions.find(topic, index) else {
        return refusal(index, missing(broker, topic, index), None);
    };
    let records = data.records.unwrap_or_default();
    match partition.append(broker, &records, AppendOrigin::Client).await {
        Ok(info) => PartitionProduceResponse::default()
            .with_index(index)
            .with_base_offset(info.first_offset.0)
            .with_log_append_time_ms(info.log_append_time.0)
            .with_log_start_offset(info.log_start.0),
        // Its topic was deleted while the request was on its way.
        Err(_) if partition.is_retired() => {
            refusal(index, ResponseError::UnknownTopicOrPartition, None)
        }
        Err(error) => refusal(index, codes::of_append(&error), Some(error.to_string())),
    }
}

/// What a partition is that this broker does not hold: led by another, or not there at all.
pub(super) fn missing(broker: &Broker, topic: &str, partition: i32) -> ResponseError {
    let image = broker.metadata.image();
    let known = image.topic(topic).is_some_and(|topic| topic.partitions.contains_key(&partition));
    if known { ResponseError::NotLeaderOrFollower } else { ResponseError::UnknownTopicOrPartition }
}

/// A partition that this broker holds for clients. The log of metadata is the broker's own: to clients it is
/// no topic.
pub(super) fn held(
    broker: &Broker,
    topic: &str,
    partition: i32,
) -> Result<Arc<Partition>, ResponseError> {
    let found = broker.partitions.find(topic, partition).filter(|_| topic != METADATA_TOPIC);
    found.ok_or_else(|| missing(broker, topic, partition))
}
