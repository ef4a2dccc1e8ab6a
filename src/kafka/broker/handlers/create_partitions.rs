//! CreatePartitions, 0 to 3: more partitions for topics that are there.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse,
        create_partitions_request::CreatePartitionsTopic,
        create_partitions_response::CreatePartitionsTopicResult,
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        controller::{Commitment, Refusal},
        dispatch::{Answer, Call},
        state::Broker,
    },
    protocol::ResponseError,
    types::BrokerId,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 3 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: CreatePartitionsRequest = call.request()?;
    let commitment =
        if request.validate_only { Commitment::ValidateOnly } else { Commitment::Commit };
    let mut asked: BTreeMap<_, Vec<&CreatePartitionsTopic>> = BTreeMap::new();
    for topic in &request.topics {
        asked.entry(&topic.name).or_default().push(topic);
    }
    let mut response = CreatePartitionsResponse::default();
    for (name, topics) in asked {
        let result = match topics[..] {
            [topic] => create(broker, topic, commitment).await,
            _ => Err((ResponseError::InvalidRequest, "Duplicate topic name.".into())),
        };
        let answered = CreatePartitionsTopicResult::default().with_name(name.clone());
        response.results.push(match result {
            Ok(()) => answered.with_error_message(None),
            Err((code, message)) => answered
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(message))),
        });
    }
    call.answer(&response)
}

async fn create(
    broker: &Arc<Broker>,
    topic: &CreatePartitionsTopic,
    commitment: Commitment,
) -> Result<(), Refusal> {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        let ids = |ids: &Vec<kafka_protocol::messages::BrokerId>| {
            ids.iter().map(|id| BrokerId(id.0)).collect()
        };
        assignments.iter().map(|assignment| ids(&assignment.broker_ids)).collect()
    });
    broker.create_partitions(&topic.name, topic.count, assignments, commitment).await
}
