//! New partitions: of a new topic, or by CreatePartitions.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse,
    create_partitions_request::CreatePartitionsTopic,
    create_partitions_response::CreatePartitionsTopicResult,
};
use rand_chacha::ChaCha8Rng;

use super::{
    Choices, Controller, ControllerResponse, Effect, MAX_PARTITIONS, Refusal, Request,
    placement::{Usable, place_replicas},
    state::Decision,
    topics::{all_fenced, assignment_fenced},
    wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{MetadataRecord, PartitionImage},
        protocol::ResponseError,
        types::BrokerId,
    },
};

impl Controller {
    pub fn handle_create_partitions(
        &mut self,
        now: Instant,
        request: Request<CreatePartitionsRequest>,
        choices: Choices,
        effects: &mut Vec<Effect>,
    ) {
        let mut random = choices.stream();
        let mut asked: BTreeMap<_, Vec<&CreatePartitionsTopic>> = BTreeMap::new();
        for topic in &request.body.topics {
            asked.entry(&topic.name).or_default().push(topic);
        }
        let mut records = Vec::new();
        let mut results = Vec::new();
        for (name, topics) in asked {
            let result = match topics[..] {
                [topic] => self.create_partitions(topic, &mut random),
                _ => Err((ResponseError::InvalidRequest, "Duplicate topic name.".into())),
            };
            let answered = CreatePartitionsTopicResult::default().with_name(name.clone());
            results.push(match result {
                Ok(made) => {
                    records.extend(made);
                    answered.with_error_message(None)
                }
                Err((code, message)) => answered
                    .with_error_code(code.code())
                    .with_error_message(Some(wire::text(message))),
            });
        }
        if request.body.validate_only {
            records.clear();
        }
        let response = CreatePartitionsResponse::default().with_results(results);
        let response = ControllerResponse::CreatePartitions(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn create_partitions(
        &self,
        asked: &CreatePartitionsTopic,
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let Some(topic) = self.image.topic(&asked.name) else {
            let message = "This server does not host this topic-partition.".into();
            return Err((ResponseError::UnknownTopicOrPartition, message));
        };
        let present = i32::try_from(topic.partitions.len()).expect("partitions are numbered so");
        let added = check_count(&asked.name, present, asked.count)?;
        let factor = topic.partitions.values().next().map_or(1, |first| first.replicas.len());
        let replicas = match &asked.assignments {
            None => place_replicas(&self.usable_brokers(), added, factor, random)?,
            Some(chosen) if chosen.len() != added => {
                let message = format!(
                    "Attempted to add {added} additional partition(s), but only {} assignment(s) were \
                     specified.",
                    chosen.len()
                );
                return Err((ResponseError::InvalidReplicaAssignment, message));
            }
            Some(chosen) => {
                let chosen = chosen.iter().map(|one| wire::brokers(&one.broker_ids));
                let chosen: Vec<_> = chosen.collect();
                chosen
                    .iter()
                    .try_for_each(|replicas| self.check_assignment(replicas, Some(factor)))?;
                chosen
            }
        };
        let make = |(partition, replicas): (i32, Vec<BrokerId>)| {
            let refusal = || match &asked.assignments {
                None => all_fenced(factor),
                Some(_) => assignment_fenced(partition.cast_unsigned() as usize),
            };
            let image = self.new_partition(&replicas).ok_or_else(refusal)?;
            Ok(MetadataRecord::Partition { topic_id: topic.id, partition, image })
        };
        (present..).zip(replicas).map(make).collect()
    }

    /// `None` if none of the replicas can lead.
    pub(super) fn new_partition(&self, replicas: &[BrokerId]) -> Option<PartitionImage> {
        let isr: Vec<_> = replicas.iter().copied().filter(|id| self.is_active(*id)).collect();
        let directories = replicas.iter().map(|id| self.default_directory(*id)).collect();
        let leader = *isr.first()?;
        Some(PartitionImage { isr, leader, directories, ..PartitionImage::new(replicas.to_vec()) })
    }

    /// `ReplicationControlManager.validateManualPartitionAssignment`.
    pub(super) fn check_assignment(
        &self,
        replicas: &[BrokerId],
        factor: Option<usize>,
    ) -> Result<(), Refusal> {
        let mut seen = BTreeSet::new();
        let mut sorted = replicas.to_vec();
        sorted.sort();
        let twice = sorted.iter().find(|id| !seen.insert(**id));
        let unknown = sorted.iter().find(|id| self.image.broker(**id).is_none());
        let start = "The manual partition assignment includes";
        let problem = if replicas.is_empty() {
            format!("{start} an empty replica list.")
        } else if let Some(id) = unknown {
            format!("{start} broker {id}, but no such broker is registered.")
        } else if let Some(id) = twice {
            format!("{start} the broker {id} more than once.")
        } else if let Some(factor) = factor.filter(|factor| *factor != replicas.len()) {
            format!(
                "{start} a partition with {} replica(s), but this is not consistent with previous partitions, \
                 which have {factor} replica(s).",
                replicas.len()
            )
        } else {
            return Ok(());
        };
        Err((ResponseError::InvalidReplicaAssignment, problem))
    }

    pub(super) fn usable_brokers(&self) -> Vec<Usable> {
        let usable = self.heartbeats.usable().map(|(id, fenced)| {
            let rack = self.image.broker(id).and_then(|broker| broker.rack.clone());
            Usable { id, rack, fenced }
        });
        usable.collect()
    }
}

/// How many partitions there will be more.
fn check_count(topic: &str, present: i32, wanted: i32) -> Result<usize, Refusal> {
    let problem = if wanted == present {
        format!("Topic already has {present} partition(s).")
    } else if wanted < present {
        format!(
            "The topic {topic} currently has {present} partition(s); {wanted} would not be an increase."
        )
    } else if wanted > MAX_PARTITIONS {
        format!("Number of partitions must be from 1 to {MAX_PARTITIONS}.")
    } else {
        return Ok(usize::try_from(wanted - present).expect("more than there are"));
    };
    Err((ResponseError::InvalidPartitions, problem))
}
