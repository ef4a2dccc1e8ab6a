//! Topics are made and deleted.

use std::collections::BTreeMap;

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        TopicName as WireTopicName, create_topics_request::CreatableTopic,
        create_topics_response::CreatableTopicResult, delete_topics_response::DeletableTopicResult,
    },
    protocol::StrBytes,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::{
    Choices, Controller, ControllerResponse, Effect, Refusal, Request, check_topic_name,
    check_topic_settings, names::check_collision, placement::place_replicas, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{ConfigResource, MetadataRecord, PartitionImage, directory},
        protocol::ResponseError,
        types::{BrokerId, TopicName},
    },
};

/// Partitions one request may ask for (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub const MAX_PARTITIONS: i32 = 10_000;

/// A topic's records, in Kafka's order: settings before partitions.
pub fn topic_records(
    name: &TopicName,
    id: Uuid,
    partitions: Vec<PartitionImage>,
    config: Vec<(String, Option<String>)>,
) -> Vec<MetadataRecord> {
    let topic = MetadataRecord::Topic { name: name.clone(), id };
    let settings = config.into_iter().map(|(setting, value)| MetadataRecord::Config {
        resource: ConfigResource::Topic(name.clone()),
        name: setting,
        value,
    });
    let partitions = (0..).zip(partitions);
    let partitions = partitions.map(|(partition, image)| MetadataRecord::Partition {
        topic_id: id,
        partition,
        image,
    });
    [topic].into_iter().chain(settings).chain(partitions).collect()
}

/// A topic's id: none of the ids that stand for something else, and none that begins with a dash as text.
fn draw_id(random: &mut impl Rng) -> Uuid {
    // The first six bits that base64url writes as `-`.
    const DASH: u8 = 62;
    loop {
        let mut bytes = [0; 16];
        random.fill_bytes(&mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        if id.as_bytes()[0] >> 2 != DASH && !directory::is_reserved(id) {
            return id;
        }
    }
}

impl Controller {
    /// The answer leaves the topics' settings out: they are the shell's to describe.
    pub fn handle_create_topics(
        &mut self,
        now: Instant,
        request: Request<CreateTopicsRequest>,
        choices: Choices,
        effects: &mut Vec<Effect>,
    ) {
        let mut random = choices.stream();
        let body = &request.body;
        let mut times: BTreeMap<&WireTopicName, usize> = BTreeMap::new();
        body.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
        let too_many = self.asked_for(body) > i64::from(MAX_PARTITIONS);
        let mut records = Vec::new();
        let mut response = CreateTopicsResponse::default();
        for topic in &body.topics {
            let created = if too_many {
                let message = "Excessively large number of partitions per request.".into();
                Err((ResponseError::PolicyViolation, message))
            } else if times[&topic.name] > 1 {
                // Refused as a whole, and answered once, as by `ControllerApis`.
                if response.topics.iter().any(|answered| answered.name == topic.name) {
                    continue;
                }
                Err((ResponseError::InvalidRequest, "Duplicate topic name.".into()))
            } else {
                self.create_topic(topic, &mut random)
            };
            response.topics.push(match created {
                Ok((made, result)) => {
                    records.extend(made);
                    result
                }
                Err((code, message)) => CreatableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(code.code())
                    .with_error_message(Some(wire::text(message)))
                    .with_num_partitions(-1)
                    .with_replication_factor(-1),
            });
        }
        if body.validate_only {
            records.clear();
        }
        let response = ControllerResponse::CreateTopics(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    /// Partitions of all topics together; impossible numbers are refused topic by topic.
    fn asked_for(&self, request: &CreateTopicsRequest) -> i64 {
        let partitions = |topic: &CreatableTopic| match topic.num_partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
            -1 => i64::from(self.config.broker.num_partitions),
            partitions => i64::from(partitions.max(0)),
        };
        request.topics.iter().map(partitions).sum()
    }

    fn create_topic(
        &self,
        topic: &CreatableTopic,
        random: &mut ChaCha8Rng,
    ) -> Result<(Vec<MetadataRecord>, CreatableTopicResult), Refusal> {
        check_topic_name(&topic.name)?;
        check_collision_or_presence(&topic.name, self)?;
        let given = topic.configs.iter();
        let given: Vec<_> = given
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect();
        check_topic_settings(&given, &self.config.broker.topic_defaults)?;
        let replicas = if topic.assignments.is_empty() {
            self.place_topic(topic, random)?
        } else {
            self.assigned(topic)?
        };
        let mut partitions = Vec::with_capacity(replicas.len());
        for (index, replicas) in replicas.into_iter().enumerate() {
            let refusal = || {
                if topic.assignments.is_empty() {
                    all_fenced(replicas.len())
                } else {
                    assignment_fenced(index)
                }
            };
            partitions.push(self.new_partition(&replicas).ok_or_else(refusal)?);
        }
        let count = i32::try_from(partitions.len()).expect("within MAX_PARTITIONS");
        let factor = partitions.first().map_or(0, |partition| partition.replicas.len());
        let factor = i16::try_from(factor).expect("given as one, or brokers that exist");
        let id = draw_id(random);
        let result = CreatableTopicResult::default()
            .with_name(topic.name.clone())
            .with_topic_id(id)
            .with_error_message(None)
            .with_num_partitions(count)
            .with_replication_factor(factor);
        let name = TopicName::from(topic.name.as_str());
        Ok((topic_records(&name, id, partitions, given), result))
    }

    fn place_topic(
        &self,
        topic: &CreatableTopic,
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        let factor = match topic.replication_factor {
            -1 => self.config.broker.default_replication_factor,
            factor => factor,
        };
        let Some(factor) = usize::try_from(factor).ok().filter(|factor| *factor > 0) else {
            let message =
                "Replication factor must be larger than 0, or -1 to use the default value.".into();
            return Err((ResponseError::InvalidReplicationFactor, message));
        };
        let count = match topic.num_partitions {
            -1 => self.config.broker.num_partitions,
            count => count,
        };
        let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
            let message = "Number of partitions was set to an invalid non-positive value.".into();
            return Err((ResponseError::InvalidPartitions, message));
        };
        let placed = place_replicas(&self.usable_brokers(), count, factor, random);
        placed.map_err(|(code, why)| {
            (code, format!("Unable to replicate the partition {factor} time(s): {why}"))
        })
    }

    /// The places that the request names.
    fn assigned(&self, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        let refuse = |message: &str| Err((ResponseError::InvalidRequest, message.into()));
        if topic.replication_factor != -1 {
            return refuse(
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            );
        }
        if topic.num_partitions != -1 {
            return refuse(
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            );
        }
        let mut assigned = BTreeMap::new();
        let mut factor = None;
        for assignment in &topic.assignments {
            let replicas = wire::brokers(&assignment.broker_ids);
            self.check_assignment(&replicas, factor)?;
            factor = Some(replicas.len());
            let index = assignment.partition_index;
            if assigned.insert(index, replicas).is_some() {
                let message =
                    format!("Found multiple manual partition assignments for partition {index}");
                return Err((ResponseError::InvalidReplicaAssignment, message));
            }
        }
        if !(0..).zip(assigned.keys()).all(|(expected, index)| expected == *index) {
            let message = "partitions should be a consecutive 0-based integer sequence".into();
            return Err((ResponseError::InvalidReplicaAssignment, message));
        }
        Ok(assigned.into_values().collect())
    }

    pub fn handle_delete_topics(
        &mut self,
        now: Instant,
        request: Request<DeleteTopicsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let mut asked: BTreeMap<Named, usize> = BTreeMap::new();
        for named in named(request.body) {
            *asked.entry(named).or_default() += 1;
        }
        let ids: Vec<_> = asked.keys().filter_map(|named| self.find(named).ok()).collect();
        let mut records = Vec::new();
        let mut responses = Vec::new();
        for (named, times) in asked {
            let found = self.find(&named);
            // Also a topic that is named once by its name and once by its id.
            let twice = |id: &Uuid| ids.iter().filter(|other| *other == id).count() > 1;
            let repeated = times > 1 || found.as_ref().is_ok_and(twice);
            let deleted = if repeated {
                Err((ResponseError::InvalidRequest, "Duplicate topic name or id.".into()))
            } else {
                found
            };
            if let Ok(id) = deleted {
                records.push(MetadataRecord::RemoveTopic { id });
            }
            responses.push(self.deleted(&named, deleted));
        }
        let response = DeleteTopicsResponse::default().with_responses(responses);
        let response = ControllerResponse::DeleteTopics(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn find(&self, named: &Named) -> Result<Uuid, Refusal> {
        let found = match named {
            Named::Name(name) => self.image.topic(name).ok_or((
                ResponseError::UnknownTopicOrPartition,
                "This server does not host this topic-partition.",
            )),
            Named::Id(id) => self
                .image
                .topic_by_id(*id)
                .ok_or((ResponseError::UnknownTopicId, "This server does not host this topic ID.")),
            Named::Wrongly(..) => Err((
                ResponseError::InvalidRequest,
                "A topic is named by its name or by its id, not by both or neither.",
            )),
        };
        found.map(|topic| topic.id).map_err(|(code, message)| (code, message.into()))
    }

    fn deleted(&self, named: &Named, deleted: Result<Uuid, Refusal>) -> DeletableTopicResult {
        let known = deleted.as_ref().ok().and_then(|id| self.image.topic_by_id(*id));
        let wire_name = |name: &str| Some(WireTopicName(StrBytes::from_string(name.to_owned())));
        let (name, id) = match (known, named) {
            (Some(topic), _) => (wire_name(topic.name.as_str()), topic.id),
            (None, Named::Name(name)) => (Some(name.clone()), Uuid::nil()),
            (None, Named::Id(id)) => (None, *id),
            (None, Named::Wrongly(name, id)) => (name.clone(), *id),
        };
        let result = DeletableTopicResult::default().with_name(name).with_topic_id(id);
        match deleted {
            Ok(_) => result,
            Err((code, message)) => {
                result.with_error_code(code.code()).with_error_message(Some(wire::text(message)))
            }
        }
    }
}

/// How a request names a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Named {
    Name(WireTopicName),
    Id(Uuid),
    /// Both, or neither.
    Wrongly(Option<WireTopicName>, Uuid),
}

fn named(request: DeleteTopicsRequest) -> impl Iterator<Item = Named> {
    let names = request.topic_names.into_iter().map(Named::Name);
    let states = request.topics.into_iter().map(|state| match (state.name, state.topic_id) {
        (Some(name), id) if id.is_nil() => Named::Name(name),
        (None, id) if !id.is_nil() => Named::Id(id),
        (name, id) => Named::Wrongly(name, id),
    });
    names.chain(states)
}

fn check_collision_or_presence(name: &str, controller: &Controller) -> Result<(), Refusal> {
    if controller.image.topic(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err((ResponseError::TopicAlreadyExists, message));
    }
    check_collision(name, &controller.image)
}

pub(super) fn all_fenced(factor: usize) -> Refusal {
    let message = format!(
        "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or in controlled \
         shutdown."
    );
    (ResponseError::InvalidReplicationFactor, message)
}

pub(super) fn assignment_fenced(index: usize) -> Refusal {
    let message = format!(
        "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
         controlled shutdown."
    );
    (ResponseError::InvalidReplicaAssignment, message)
}
