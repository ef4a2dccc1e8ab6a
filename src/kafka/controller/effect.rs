//! What goes into the controller and what comes out of it.

use kafka_protocol::messages::{
    AllocateProducerIdsResponse, AlterConfigsResponse, AlterPartitionReassignmentsResponse,
    AlterPartitionResponse, AssignReplicasToDirsResponse, BrokerHeartbeatResponse,
    BrokerRegistrationResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteTopicsResponse, ElectLeadersResponse, IncrementalAlterConfigsResponse,
    ListPartitionReassignmentsResponse, UnregisterBrokerResponse,
    alter_configs_response::AlterConfigsResourceResponse,
    create_partitions_response::CreatePartitionsTopicResult,
    create_topics_response::CreatableTopicResult, delete_topics_response::DeletableTopicResult,
    incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResourceResponse,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::kafka::{metadata::MetadataRecord, protocol::ResponseError, types::Offset};

/// Names a request until its [`Effect::Reply`]. Drawn by the shell, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestToken(pub u64);

/// One request: exactly one [`Effect::Reply`] with its token follows, at once or later.
#[derive(Clone, Debug)]
pub struct Request<R> {
    pub token: RequestToken,
    pub body: R,
}

/// What a decision's random choices (places of replicas, ids of topics) are made of: a number that the
/// shell drew for this one decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choices(pub u64);

impl Choices {
    pub(super) fn stream(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }
}

/// A refusal: the code and what a person needs to know.
pub type Refusal = (ResponseError, String);

/// For the shell to do, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Append to the metadata log as one batch, whose first record gets the offset `base`. If the log
    /// ends elsewhere or this node does not lead any more, resign.
    Append {
        base: Offset,
        records: Vec<MetadataRecord>,
    },
    Reply {
        request: RequestToken,
        response: ControllerResponse,
    },
}

/// An answer to anything, made of each kind, and each kind of it.
macro_rules! answers {
    ($($kind:ident($answer:ty),)+) => {
        /// Answers as the wire has them.
        #[derive(Clone, PartialEq, Debug)]
        pub enum ControllerResponse {
            $($kind($answer),)+
        }

        $(impl From<$answer> for ControllerResponse {
            fn from(answer: $answer) -> Self {
                ControllerResponse::$kind(answer)
            }
        }

        impl TryFrom<ControllerResponse> for $answer {
            type Error = ControllerResponse;

            fn try_from(response: ControllerResponse) -> Result<Self, ControllerResponse> {
                match response {
                    ControllerResponse::$kind(answer) => Ok(answer),
                    other => Err(other),
                }
            }
        })+
    };
}

answers! {
    Registration(BrokerRegistrationResponse),
    Heartbeat(BrokerHeartbeatResponse),
    Unregistration(UnregisterBrokerResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    CreatePartitions(CreatePartitionsResponse),
    AlterPartition(AlterPartitionResponse),
    AssignReplicas(AssignReplicasToDirsResponse),
    ElectLeaders(ElectLeadersResponse),
    Reassign(AlterPartitionReassignmentsResponse),
    Reassignments(ListPartitionReassignmentsResponse),
    AlterConfigs(AlterConfigsResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    ProducerIds(AllocateProducerIdsResponse),
}

impl ControllerResponse {
    /// The same answer after this node ceased to be the controller. Answers that have no place for an
    /// error of the whole have it in each part.
    pub fn not_controller(self) -> Self {
        use ControllerResponse as R;
        let code = ResponseError::NotController.code();
        match self {
            R::Registration(_) => {
                let response = BrokerRegistrationResponse::default().with_error_code(code);
                R::Registration(response.with_broker_epoch(-1))
            }
            R::Heartbeat(_) => {
                R::Heartbeat(BrokerHeartbeatResponse::default().with_error_code(code))
            }
            R::Unregistration(_) => {
                R::Unregistration(UnregisterBrokerResponse::default().with_error_code(code))
            }
            R::CreateTopics(response) => {
                let failed = response.topics.into_iter().map(|topic| {
                    let failed = CreatableTopicResult::default().with_name(topic.name);
                    failed.with_error_code(code)
                });
                R::CreateTopics(CreateTopicsResponse::default().with_topics(failed.collect()))
            }
            R::DeleteTopics(response) => {
                let failed = response.responses.into_iter().map(|topic| {
                    let failed = DeletableTopicResult::default().with_name(topic.name);
                    failed.with_topic_id(topic.topic_id).with_error_code(code)
                });
                R::DeleteTopics(DeleteTopicsResponse::default().with_responses(failed.collect()))
            }
            R::CreatePartitions(response) => {
                let failed = response.results.into_iter().map(|topic| {
                    let failed = CreatePartitionsTopicResult::default().with_name(topic.name);
                    failed.with_error_code(code)
                });
                let response = CreatePartitionsResponse::default();
                R::CreatePartitions(response.with_results(failed.collect()))
            }
            R::AlterPartition(_) => {
                R::AlterPartition(AlterPartitionResponse::default().with_error_code(code))
            }
            R::AssignReplicas(_) => {
                R::AssignReplicas(AssignReplicasToDirsResponse::default().with_error_code(code))
            }
            R::ElectLeaders(_) => {
                R::ElectLeaders(ElectLeadersResponse::default().with_error_code(code))
            }
            R::Reassign(_) => {
                let response = AlterPartitionReassignmentsResponse::default();
                R::Reassign(response.with_error_code(code))
            }
            R::Reassignments(_) => {
                let response = ListPartitionReassignmentsResponse::default();
                R::Reassignments(response.with_error_code(code))
            }
            R::AlterConfigs(_) | R::IncrementalAlterConfigs(_) => self.configs_not_altered(code),
            R::ProducerIds(_) => {
                R::ProducerIds(AllocateProducerIdsResponse::default().with_error_code(code))
            }
        }
    }

    fn configs_not_altered(self, code: i16) -> Self {
        use ControllerResponse as R;
        match self {
            R::AlterConfigs(response) => {
                let failed = response.responses.into_iter().map(|resource| {
                    AlterConfigsResourceResponse::default()
                        .with_resource_type(resource.resource_type)
                        .with_resource_name(resource.resource_name)
                        .with_error_code(code)
                });
                R::AlterConfigs(AlterConfigsResponse::default().with_responses(failed.collect()))
            }
            R::IncrementalAlterConfigs(response) => {
                let failed = response.responses.into_iter().map(|resource| {
                    IncrementalResourceResponse::default()
                        .with_resource_type(resource.resource_type)
                        .with_resource_name(resource.resource_name)
                        .with_error_code(code)
                });
                let response = IncrementalAlterConfigsResponse::default();
                R::IncrementalAlterConfigs(response.with_responses(failed.collect()))
            }
            other => other,
        }
    }
}
