//! CreateTopics, 2 to 7: on the controller, topics one after the other.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, CreateTopicsResponse,
        create_topics_request::CreatableTopic,
        create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
    },
    protocol::{StrBytes, VersionRange},
};

use super::describe_configs::source_code;
use crate::kafka::{
    broker::{
        controller::{Commitment, MAX_PARTITIONS, NewTopic, Refusal},
        dispatch::{Answer, Call},
        state::Broker,
    },
    config::{DescribedSetting, describe_topic},
    protocol::ResponseError,
    types::BrokerId,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 2, max: 7 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: CreateTopicsRequest = call.request()?;
    let commitment =
        if request.validate_only { Commitment::ValidateOnly } else { Commitment::Commit };
    let mut named = BTreeMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_insert(0) += 1;
    }
    let too_many = asked_for(broker, &request) > i64::from(MAX_PARTITIONS);
    let mut response = CreateTopicsResponse::default();
    for topic in &request.topics {
        let result = if too_many {
            let message = "Excessively large number of partitions per request.".into();
            Err((ResponseError::PolicyViolation, message))
        } else if named[&topic.name] > 1 {
            // Refused as a whole, and answered once, as by `ControllerApis`.
            if response.topics.iter().any(|answered| answered.name == topic.name) {
                continue;
            }
            let message = "Duplicate topic name.".into();
            Err((ResponseError::InvalidRequest, message))
        } else {
            create(broker, topic, commitment).await
        };
        response.topics.push(result.unwrap_or_else(|refusal| describe(topic, refusal)));
    }
    call.answer(&response)
}

/// Partitions of all topics together; impossible numbers are refused topic by topic.
fn asked_for(broker: &Broker, request: &CreateTopicsRequest) -> i64 {
    let partitions = |topic: &CreatableTopic| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
        -1 => i64::from(broker.config.config.num_partitions),
        partitions => i64::from(partitions.max(0)),
    };
    request.topics.iter().map(partitions).sum()
}

async fn create(
    broker: &Arc<Broker>,
    topic: &CreatableTopic,
    commitment: Commitment,
) -> Result<CreatableTopicResult, Refusal> {
    let assignment =
        |a: &kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment| {
            (a.partition_index, a.broker_ids.iter().map(|id| BrokerId(id.0)).collect())
        };
    let wanted = NewTopic {
        name: topic.name.as_str().into(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic.assignments.iter().map(assignment).collect(),
        config: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect(),
    };
    let created = broker.create_topic(&wanted, commitment).await?;
    Ok(CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(created.id)
        .with_error_message(None)
        .with_num_partitions(created.partitions)
        .with_replication_factor(created.replication_factor)
        .with_configs(Some(effective(broker, &wanted.config))))
}

/// All settings of the topic, with where each value comes from.
fn effective(broker: &Broker, given: &[(String, Option<String>)]) -> Vec<CreatableTopicConfigs> {
    let given = given.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    let entry = |setting: DescribedSetting| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.row.name))
            .with_config_source(source_code(setting.source()))
            .with_value(setting.value.map(StrBytes::from_string))
    };
    describe_topic(&given.collect(), &broker.config.config.settings).map(entry).collect()
}

fn describe(topic: &CreatableTopic, (code, message): Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
}
