//! DescribeProducers, 0: who has written to a partition lately, as far as idempotence needs to know.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        DescribeProducersRequest, DescribeProducersResponse, ProducerId as WireProducerId,
        describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
    },
    protocol::{StrBytes, VersionRange},
};

use super::produce::held;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::{Refusal, check_topic_name},
    log::ActiveProducer,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeProducersRequest = call.request()?;
    let mut response = DescribeProducersResponse::default();
    for topic in request.topics {
        let mut answered = TopicResponse::default().with_name(topic.name.clone());
        for index in topic.partition_indexes {
            let partition = PartitionResponse::default().with_partition_index(index);
            answered.partitions.push(match producers(broker, &topic.name, index) {
                Ok(producers) => partition.with_active_producers(producers),
                Err((code, message)) => partition
                    .with_error_code(code.code())
                    .with_error_message(Some(StrBytes::from_string(message))),
            });
        }
        response.topics.push(answered);
    }
    call.answer(&response)
}

fn producers(broker: &Broker, topic: &str, index: i32) -> Result<Vec<ProducerState>, Refusal> {
    check_topic_name(topic)?;
    let partition =
        held(broker, topic, index).map_err(|code| (code, format!("{topic}-{index}: {code}")))?;
    if !partition.is_leader() {
        let code = crate::kafka::protocol::ResponseError::NotLeaderOrFollower;
        return Err((code, format!("{topic}-{index}: {code}")));
    }
    let log = partition.log();
    Ok(log.active_producers().map(describe).collect())
}

fn describe(producer: ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(WireProducerId(producer.id.0))
        .with_producer_epoch(i32::from(producer.epoch.0))
        .with_last_sequence(producer.last_sequence.0)
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.transaction_start.map_or(-1, |offset| offset.0))
}
