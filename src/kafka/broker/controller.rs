//! The controller's decisions: which topics may be made, where their partitions go, which producer ids
//! are given out.
//!
//! Departure: brokers do not register, so partitions go to all that are configured.

use std::{collections::BTreeMap, sync::Arc};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::{node::draw_id, state::Broker};
use crate::{
    env::Env,
    kafka::{
        controller::{check_topic_settings, topic_records},
        log::AppendError,
        metadata::{METADATA_TOPIC, MetadataRecord, PartitionImage, place},
        protocol::ResponseError,
        types::{BrokerEpoch, BrokerId, ProducerId, TopicName},
    },
};

pub(super) use crate::kafka::controller::{
    MAX_PARTITIONS, PRODUCER_ID_BLOCK, Refusal, check_topic_name as check_name,
};

/// What makes one change at a time.
pub(super) struct Controller {
    turn: Mutex<ChaCha8Rng>,
}

/// A topic somebody wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NewTopic {
    pub name: TopicName,
    /// -1 for the default.
    pub partitions: i32,
    /// -1 for the default.
    pub replication_factor: i16,
    /// Explicit placement by partition; then the two numbers above are -1.
    pub assignments: BTreeMap<i32, Vec<BrokerId>>,
    pub config: Vec<(String, Option<String>)>,
}

/// A topic that was made, or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Created {
    pub id: Uuid,
    pub partitions: i32,
    pub replication_factor: i16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Commitment {
    /// Make it so.
    Commit,
    /// Only say whether it could be.
    ValidateOnly,
}

impl Controller {
    pub fn new(env: &Env) -> Self {
        Controller { turn: Mutex::new(env.rng.stream("controller")) }
    }
}

impl Broker {
    /// Writes the topics the cluster begins with into an empty metadata log.
    pub async fn write_initial_topics(self: &Arc<Self>) -> Result<(), AppendError> {
        let controller = self.controller.as_ref().expect("called on the controller");
        let mut rng = controller.turn.lock().await;
        if self.metadata.applied().0 > 0 {
            return Ok(());
        }
        let mut records = Vec::new();
        for topic in &self.config.topics {
            let id = draw_id(&mut *rng);
            let config =
                topic.config.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
            let replicas = topic.partitions.clone();
            records.extend(self::records(&topic.name, id, replicas, config.collect()));
        }
        if records.is_empty() { Ok(()) } else { self.commit_metadata(&records).await }
    }

    /// Makes a topic, on the controller.
    pub async fn create_topic(
        self: &Arc<Self>,
        topic: &NewTopic,
        commitment: Commitment,
    ) -> Result<Created, Refusal> {
        let mut rng = self.take_turn().await?;
        let replicas = self.placement(topic, &mut rng)?;
        check_topic_settings(&topic.config, &self.config.config.topic_defaults)?;
        let id = draw_id(&mut *rng);
        let partitions = i32::try_from(replicas.len()).expect("within MAX_PARTITIONS");
        let factor = replicas.first().map_or(0, Vec::len);
        let replication_factor = i16::try_from(factor).expect("within the number of brokers");
        let created = Created { id, partitions, replication_factor };
        if commitment == Commitment::Commit {
            let records = records(&topic.name, id, replicas, topic.config.clone());
            self.commit(&records).await?;
        }
        Ok(created)
    }

    /// Waits for the controller's other changes to be done.
    pub(super) async fn take_turn(&self) -> Result<MutexGuard<'_, ChaCha8Rng>, Refusal> {
        match &self.controller {
            Some(controller) => Ok(controller.turn.lock().await),
            None => Err((ResponseError::NotController, "this broker is not the controller".into())),
        }
    }

    pub(super) async fn commit(
        self: &Arc<Self>,
        records: &[MetadataRecord],
    ) -> Result<(), Refusal> {
        self.commit_metadata(records).await.map_err(|error| {
            (ResponseError::UnknownServerError, format!("failed to write metadata: {error}"))
        })
    }

    fn placement(
        &self,
        topic: &NewTopic,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        check_name(topic.name.as_str())?;
        if topic.name.as_str() == METADATA_TOPIC {
            let message = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
            return Err((ResponseError::InvalidRequest, message));
        }
        if self.metadata.image().topic(topic.name.as_str()).is_some() {
            let message = format!("Topic '{}' already exists.", topic.name);
            return Err((ResponseError::TopicAlreadyExists, message));
        }
        if !topic.assignments.is_empty() {
            return self.explicit_placement(topic);
        }
        let config = &self.config.config;
        let partitions = match topic.partitions {
            -1 => config.num_partitions,
            partitions => partitions,
        };
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            let message = format!("Number of partitions must be from 1 to {MAX_PARTITIONS}.");
            return Err((ResponseError::InvalidPartitions, message));
        }
        let factor = match topic.replication_factor {
            -1 => config.default_replication_factor,
            factor => factor,
        };
        let refuse = |message| Err((ResponseError::InvalidReplicationFactor, message));
        let brokers: Vec<_> = self.config.brokers.iter().map(|broker| broker.id).collect();
        let count = brokers.len();
        let factor = match usize::try_from(factor) {
            Ok(factor @ 1..) if factor <= count => factor,
            Ok(factor @ 1..) => {
                return refuse(format!(
                    "Unable to replicate the partition {factor} time(s): The target replication factor \
                     of {factor} cannot be reached because only {count} broker(s) are registered."
                ));
            }
            _ => return refuse("Replication factor must be larger than 0.".into()),
        };
        let start = rng.next_u32() as usize % brokers.len();
        Ok(place(&brokers, partitions, factor, start))
    }

    fn explicit_placement(&self, topic: &NewTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        let refuse = |message: String| Err((ResponseError::InvalidReplicaAssignment, message));
        if topic.partitions != -1 || topic.replication_factor != -1 {
            let message = "A manual assignment comes without a number of partitions or replicas.";
            return Err((ResponseError::InvalidRequest, message.into()));
        }
        for (expected, (partition, replicas)) in (0..).zip(&topic.assignments) {
            if *partition != expected {
                return refuse(
                    "partitions should be a consecutive 0-based integer sequence".into(),
                );
            }
            check_replicas(self, replicas)?;
        }
        Ok(topic.assignments.values().cloned().collect())
    }

    /// Gives a broker the next block of producer ids: its first id.
    pub async fn allocate_producer_ids(
        self: &Arc<Self>,
        broker: BrokerId,
    ) -> Result<ProducerId, ResponseError> {
        let controller = self.controller.as_ref().ok_or(ResponseError::NotController)?;
        let _turn = controller.turn.lock().await;
        let first = self.metadata.image().next_producer_id();
        let next = ProducerId(first.0 + PRODUCER_ID_BLOCK);
        let record = MetadataRecord::ProducerIds { broker, epoch: BrokerEpoch::NONE, next };
        let committed = self.commit_metadata(&[record]).await;
        committed.map(|()| first).map_err(|_| ResponseError::UnknownServerError)
    }
}

fn records(
    name: &TopicName,
    id: Uuid,
    replicas: Vec<Vec<BrokerId>>,
    config: Vec<(String, Option<String>)>,
) -> Vec<MetadataRecord> {
    topic_records(name, id, replicas.into_iter().map(PartitionImage::new).collect(), config)
}

/// Whether a partition can have these replicas.
pub(super) fn check_replicas(broker: &Broker, replicas: &[BrokerId]) -> Result<(), Refusal> {
    let unknown = replicas.iter().find(|id| broker.config.endpoint(**id).is_none());
    let different: std::collections::BTreeSet<_> = replicas.iter().collect();
    let problem = match unknown {
        Some(id) => format!("there is no broker {id}"),
        None if replicas.is_empty() => "a partition has at least one replica".into(),
        None if different.len() < replicas.len() => "a broker is named twice".into(),
        None => return Ok(()),
    };
    Err((ResponseError::InvalidReplicaAssignment, problem))
}
