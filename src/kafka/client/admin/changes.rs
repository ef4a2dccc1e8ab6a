//! What an operator asks of a cluster that runs: more partitions, other settings, other replicas, elections.
//!
//! Each call goes to the controller and gives a result for each thing it names. A passing error of the call
//! makes it be repeated, as long as `default.api.timeout.ms` allows.

use std::collections::BTreeMap;

use kafka_protocol::{
    ResponseError,
    messages::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
        CreatePartitionsRequest, CreatePartitionsResponse, ElectLeadersRequest,
        ElectLeadersResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        create_partitions_request::CreatePartitionsTopic,
        elect_leaders_request::TopicPartitions,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    },
    protocol::StrBytes,
};

use super::client::{Admin, Target, TopicResults, topic_results};
use crate::kafka::{
    client::error::{ClientError, code_error},
    types::{BrokerId, TopicName, TopicPartition},
};

/// Whom an election chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElectionType {
    /// The first replica of the assignment, if it is in sync.
    Preferred,
    /// The first live replica, where none in sync is alive.
    Unclean,
}

impl ElectionType {
    /// `ElectionType.value`.
    fn code(self) -> i8 {
        match self {
            ElectionType::Preferred => 0,
            ElectionType::Unclean => 1,
        }
    }
}

pub type PartitionResults = BTreeMap<TopicPartition, Result<(), ClientError>>;

/// `ConfigResource.Type.TOPIC` and `AlterConfigOp.OpType.SET`.
const TOPIC: i8 = 2;
const SET: i8 = 0;

impl Admin {
    /// Makes topics have so many partitions in all.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub async fn create_partitions(
        &self,
        counts: &BTreeMap<TopicName, i32>,
    ) -> Result<TopicResults, ClientError> {
        let topic = |(topic, count): (&TopicName, &i32)| {
            CreatePartitionsTopic::default()
                .with_name(text(topic).into())
                .with_count(*count)
                .with_assignments(None)
        };
        let wanted: Vec<_> = counts.iter().map(topic).collect();
        let build = || {
            CreatePartitionsRequest::default()
                .with_timeout_ms(self.timeout_ms())
                .with_topics(wanted.clone())
        };
        let accept = |response: CreatePartitionsResponse| {
            topic_results(response.results.iter().map(|one| (one.name.as_str(), one.error_code)))
        };
        self.call(Target::Controller, build, accept).await
    }

    /// Sets these settings of a topic; the others stay as they are.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub async fn alter_topic_config(
        &self,
        topic: &TopicName,
        settings: &BTreeMap<String, String>,
    ) -> Result<(), ClientError> {
        let setting = |(name, value): (&String, &String)| {
            AlterableConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_config_operation(SET)
                .with_value(Some(StrBytes::from_string(value.clone())))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(settings.iter().map(setting).collect());
        let build =
            || IncrementalAlterConfigsRequest::default().with_resources(vec![resource.clone()]);
        let accept = |response: IncrementalAlterConfigsResponse| {
            let error = response.responses.iter().find_map(|one| code_error(one.error_code));
            error.map_or(Ok(()), |error| Err(ClientError::Broker(error)))
        };
        self.call(Target::Controller, build, accept).await
    }

    /// Moves partitions to these brokers; `None` takes a move back that is under way.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub async fn alter_partition_reassignments(
        &self,
        moves: &BTreeMap<TopicPartition, Option<Vec<BrokerId>>>,
    ) -> Result<PartitionResults, ClientError> {
        let mut topics: BTreeMap<&TopicName, Vec<ReassignablePartition>> = BTreeMap::new();
        for (partition, replicas) in moves {
            let id = |id: &BrokerId| kafka_protocol::messages::BrokerId(id.0);
            let replicas = replicas.as_ref().map(|replicas| replicas.iter().map(id).collect());
            topics.entry(&partition.topic).or_default().push(
                ReassignablePartition::default()
                    .with_partition_index(partition.partition)
                    .with_replicas(replicas),
            );
        }
        let topic = |(topic, partitions): (&TopicName, Vec<ReassignablePartition>)| {
            ReassignableTopic::default().with_name(text(topic).into()).with_partitions(partitions)
        };
        let wanted: Vec<_> = topics.into_iter().map(topic).collect();
        let build = || {
            AlterPartitionReassignmentsRequest::default()
                .with_timeout_ms(self.timeout_ms())
                .with_topics(wanted.clone())
        };
        let accept = |response: AlterPartitionReassignmentsResponse| {
            whole(response.error_code)?;
            let each = response.responses.iter().flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|one| (topic.name.as_str(), one.partition_index, one.error_code))
            });
            partition_results(each)
        };
        self.call(Target::Controller, build, accept).await
    }

    /// Has leaders of these partitions elected, or of all. `Broker(ElectionNotNeeded)` is the result of
    /// one whose leader is the right one already.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub async fn elect_leaders(
        &self,
        election: ElectionType,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<PartitionResults, ClientError> {
        let wanted = partitions.map(|partitions| {
            let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
            for one in partitions {
                topics.entry(&one.topic).or_default().push(one.partition);
            }
            let topic = |(topic, partitions): (&TopicName, Vec<i32>)| {
                TopicPartitions::default()
                    .with_topic(text(topic).into())
                    .with_partitions(partitions)
            };
            topics.into_iter().map(topic).collect::<Vec<_>>()
        });
        let build = || {
            ElectLeadersRequest::default()
                .with_election_type(election.code())
                .with_timeout_ms(self.timeout_ms())
                .with_topic_partitions(wanted.clone())
        };
        let accept = |response: ElectLeadersResponse| {
            whole(response.error_code)?;
            let each = response.replica_election_results.iter().flat_map(|topic| {
                topic
                    .partition_result
                    .iter()
                    .map(|one| (topic.topic.as_str(), one.partition_id, one.error_code))
            });
            partition_results(each)
        };
        self.call(Target::Controller, build, accept).await
    }
}

fn text(topic: &TopicName) -> StrBytes {
    StrBytes::from_string(topic.to_string())
}

/// An error of the request as a whole.
fn whole(code: i16) -> Result<(), ClientError> {
    code_error(code).map_or(Ok(()), |error| Err(ClientError::Broker(error)))
}

/// Errors are the partition's own, passing ones too, as in Kafka's client: whether the preferred replica will
/// be there the next time is not for the client to wait for.
fn partition_results<'a>(
    codes: impl Iterator<Item = (&'a str, i32, i16)>,
) -> Result<PartitionResults, ClientError> {
    let mut results = PartitionResults::new();
    for (topic, partition, code) in codes {
        let result = match code_error(code) {
            None => Ok(()),
            Some(ResponseError::NotController) => {
                return Err(ClientError::Broker(ResponseError::NotController));
            }
            Some(error) => Err(ClientError::Broker(error)),
        };
        results.insert(TopicPartition::new(topic, partition), result);
    }
    Ok(results)
}
