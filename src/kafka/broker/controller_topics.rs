//! The controller's changes of topics that are there: deletion, more partitions.

use std::sync::Arc;

use rand::Rng;
use uuid::Uuid;

use super::{
    controller::{Commitment, MAX_PARTITIONS, Refusal, check_replicas},
    state::Broker,
};
use crate::kafka::{
    metadata::{MetadataRecord, PartitionImage, place},
    protocol::ResponseError,
    types::BrokerId,
};

impl Broker {
    /// Deletes a topic, on the controller; its name.
    pub async fn delete_topic(self: &Arc<Self>, id: Uuid) -> Result<(), Refusal> {
        let _turn = self.take_turn().await?;
        if self.metadata.image().topic_by_id(id).is_none() {
            let message = "This server does not host this topic ID.".into();
            return Err((ResponseError::UnknownTopicId, message));
        }
        self.commit(&[MetadataRecord::RemoveTopic { id }]).await
    }

    /// Adds partitions to a topic up to `count`, on the controller. `assignments` has the replicas of each
    /// new one, if the caller wants to choose them.
    pub async fn create_partitions(
        self: &Arc<Self>,
        topic: &str,
        count: i32,
        assignments: Option<Vec<Vec<BrokerId>>>,
        commitment: Commitment,
    ) -> Result<(), Refusal> {
        let mut turn = self.take_turn().await?;
        let image = self.metadata.image();
        let Some(topic) = image.topic(topic) else {
            let message = "This server does not host this topic-partition.".into();
            return Err((ResponseError::UnknownTopicOrPartition, message));
        };
        let present = i32::try_from(topic.partitions.len()).expect("within MAX_PARTITIONS");
        if let Some(problem) = refuse_count(topic.name.as_str(), present, count) {
            return Err((ResponseError::InvalidPartitions, problem));
        }
        let added = usize::try_from(count - present).expect("more than there are");
        let replicas = match assignments {
            Some(chosen) if chosen.len() != added => {
                let message = format!(
                    "{added} partitions would be added, but {} assignments were given.",
                    chosen.len()
                );
                return Err((ResponseError::InvalidReplicaAssignment, message));
            }
            Some(chosen) => {
                chosen.iter().try_for_each(|replicas| check_replicas(self, replicas))?;
                chosen
            }
            None => {
                let brokers: Vec<_> = self.config.brokers.iter().map(|broker| broker.id).collect();
                let start = turn.next_u32() as usize % brokers.len();
                let factor =
                    topic.partitions.values().next().map_or(1, |first| first.replicas.len());
                place(&brokers, count - present, factor, start)
            }
        };
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        let new = (present..).zip(replicas).map(|(partition, replicas)| {
            let image = PartitionImage::new(replicas);
            MetadataRecord::Partition { topic_id: topic.id, partition, image }
        });
        self.commit(&new.collect::<Vec<_>>()).await
    }
}

fn refuse_count(topic: &str, present: i32, wanted: i32) -> Option<String> {
    if wanted == present {
        Some(format!("Topic already has {present} partition(s)."))
    } else if wanted < present {
        Some(format!(
            "The topic {topic} currently has {present} partition(s); {wanted} would not be an increase."
        ))
    } else if wanted > MAX_PARTITIONS {
        Some(format!("Number of partitions must be from 1 to {MAX_PARTITIONS}."))
    } else {
        None
    }
}
