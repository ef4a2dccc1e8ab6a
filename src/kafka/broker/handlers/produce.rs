//! Produce, 3 to 11: appends each partition's batch and answers as `acks` asks.
//!
//! `acks=all` waits until the high watermark has passed the batches; where the leader alone is in sync it has
//! by then. With `acks=0` there is no answer, and an error closes the connection, as in Kafka, so that the
//! client at least looks for a new leader. Transactional batches are refused: transactions are not served.

use std::{sync::Arc, time::Duration};

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, ProduceRequest, ProduceResponse,
        produce_request::PartitionProduceData,
        produce_response::{
            LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
        },
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        BrokerEndpoint,
        current_leader::CurrentLeaders,
        dispatch::{Answer, Call, Close},
        partitions::{Partition, WriteError, Written},
        purgatory::wait_on,
        state::Broker,
    },
    coordinator::OFFSETS_TOPIC,
    log::AppendOrigin,
    metadata::{Image, METADATA_TOPIC},
    protocol::ResponseError,
    replica::{AcksState, RequiredAcks},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 3, max: 11 };

/// From here on an answer tells the present leader (KIP-951).
const LEADERS_SINCE: i16 = 10;

/// A batch that has to be on more brokers than this one.
struct Replicating {
    partition: Arc<Partition>,
    written: Written,
    /// Its topic's place in the response, and its own there.
    place: (usize, usize),
}

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ProduceRequest = call.request()?;
    let acks_known = matches!(request.acks, -1..=1);
    let acks = if request.acks == -1 { RequiredAcks::All } else { RequiredAcks::Leader };
    let mut response = ProduceResponse::default();
    let mut replicating = Vec::new();
    for topic in request.topic_data {
        let mut answered = TopicProduceResponse::default().with_name(topic.name.clone());
        for data in topic.partition_data {
            let place = (response.responses.len(), answered.partition_responses.len());
            let result = if !acks_known {
                refusal(data.index, ResponseError::InvalidRequiredAcks, None)
            } else if request.transactional_id.is_some() {
                refusal(data.index, ResponseError::TransactionalIdAuthorizationFailed, None)
            } else {
                append(broker, &topic.name, data, acks, place, &mut replicating).await
            };
            answered.partition_responses.push(result);
        }
        response.responses.push(answered);
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or_default());
    if acks == RequiredAcks::All {
        await_replicas(broker, timeout, replicating, &mut response).await;
    }
    let mut results = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let failed = results.any(|result| result.error_code != 0);
    if request.acks == 0 {
        return if failed { Err(Close::Unacknowledged) } else { Ok(None) };
    }
    if failed && call.version() >= LEADERS_SINCE {
        tell_leaders(broker, &mut response);
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
    acks: RequiredAcks,
    place: (usize, usize),
    replicating: &mut Vec<Replicating>,
) -> PartitionProduceResponse {
    let index = data.index;
    // Clients have no business in the logs the brokers keep for themselves.
    if matches!(topic, OFFSETS_TOPIC | METADATA_TOPIC) {
        let message = format!("Cannot append to internal topic {topic}");
        return refusal(index, ResponseError::InvalidTopicException, Some(message));
    }
    let Some(partition) = broker.partitions.find(topic, index) else {
        return refusal(index, missing(&broker.metadata.image(), topic, index), None);
    };
    let records = data.records.unwrap_or_default();
    match partition.append(broker, &records, AppendOrigin::Client, acks).await {
        Ok(written) => {
            if acks == RequiredAcks::All {
                replicating.push(Replicating { partition, written, place });
            }
            let info = written.info;
            PartitionProduceResponse::default()
                .with_index(index)
                .with_base_offset(info.first_offset.0)
                .with_log_append_time_ms(info.log_append_time.0)
                .with_log_start_offset(info.log_start.0)
        }
        // Its topic was deleted while the request was on its way.
        Err(_) if partition.is_retired() => {
            refusal(index, ResponseError::UnknownTopicOrPartition, None)
        }
        Err(WriteError::Refused(code)) => refusal(index, code, None),
        Err(error) => refusal(index, error.code(), Some(error.to_string())),
    }
}

/// `DelayedProduce`: waits until all in sync have the batches.
async fn await_replicas(
    broker: &Arc<Broker>,
    timeout: Duration,
    mut replicating: Vec<Replicating>,
    response: &mut ProduceResponse,
) {
    let mut fail = |(topic, partition): (usize, usize), code| {
        let result = &mut response.responses[topic].partition_responses[partition];
        *result = refusal(result.index, code, None);
    };
    let mut look = |replicating: &mut Vec<Replicating>| {
        replicating.retain(|one| match one.partition.check_acks(&one.written) {
            Ok(AcksState::Waiting) => true,
            Ok(AcksState::Satisfied) => false,
            Ok(AcksState::TooFewReplicas) => {
                fail(one.place, ResponseError::NotEnoughReplicasAfterAppend);
                false
            }
            Err(code) => {
                fail(one.place, code);
                false
            }
        });
        replicating.is_empty()
    };
    if look(&mut replicating) {
        return;
    }
    let partitions: Vec<_> = replicating.iter().map(|one| Arc::clone(&one.partition)).collect();
    wait_on(broker, timeout, &partitions, || look(&mut replicating)).await;
    for one in replicating {
        fail(one.place, ResponseError::RequestTimedOut);
    }
}

fn tell_leaders(broker: &Broker, response: &mut ProduceResponse) {
    let mut leaders = CurrentLeaders::new(broker);
    for topic in &mut response.responses {
        for data in &mut topic.partition_responses {
            if data.error_code == ResponseError::NotLeaderOrFollower.code()
                && let Some((leader, epoch)) = leaders.tell(&topic.name, data.index)
            {
                data.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(WireBrokerId(leader.0))
                    .with_leader_epoch(epoch.0);
            }
        }
    }
    let endpoint = |broker: BrokerEndpoint| {
        NodeEndpoint::default()
            .with_node_id(WireBrokerId(broker.id.0))
            .with_host(StrBytes::from_string(broker.advertised.host))
            .with_port(i32::from(broker.advertised.port))
            .with_rack(broker.rack.map(StrBytes::from_string))
    };
    response.node_endpoints = leaders.endpoints().map(endpoint).collect();
}

/// What a partition is that this broker does not hold: led by another, or not there at all.
pub(super) fn missing(image: &Image, topic: &str, partition: i32) -> ResponseError {
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
    found.ok_or_else(|| missing(&broker.metadata.image(), topic, partition))
}
