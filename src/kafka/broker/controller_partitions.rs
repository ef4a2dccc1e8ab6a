//! The controller's changes of ISRs, as the leaders of partitions ask for them (AlterPartition).
//!
//! It elects nobody: a partition is led by its first replica, also while that is away.

use std::{collections::BTreeSet, sync::Arc};

use kafka_protocol::messages::{
    AlterPartitionRequest, AlterPartitionResponse, BrokerId as WireBrokerId,
    alter_partition_request::PartitionData,
    alter_partition_response::{PartitionData as PartitionAnswer, TopicData as TopicAnswer},
};

use super::state::Broker;
use crate::kafka::{
    metadata::{MetadataRecord, PartitionChange, PartitionImage, TopicImage},
    protocol::ResponseError,
    types::BrokerId,
};

impl Broker {
    /// Answers once the changes are in the metadata.
    pub async fn alter_partitions(
        self: &Arc<Self>,
        request: &AlterPartitionRequest,
    ) -> AlterPartitionResponse {
        let refuse =
            |code: ResponseError| AlterPartitionResponse::default().with_error_code(code.code());
        let Ok(_turn) = self.take_turn().await else {
            return refuse(ResponseError::NotController);
        };
        let image = self.metadata.image();
        let leader = BrokerId(request.broker_id.0);
        let mut records = Vec::new();
        let mut topics = Vec::new();
        for asked in &request.topics {
            let topic = image.topic_by_id(asked.topic_id);
            let mut answered = TopicAnswer::default().with_topic_id(asked.topic_id);
            for data in &asked.partitions {
                let altered = match topic {
                    None => Err(ResponseError::UnknownTopicId),
                    Some(topic) => alter(leader, topic, data, &mut records),
                };
                answered.partitions.push(describe(data.partition_index, altered));
            }
            topics.push(answered);
        }
        if !records.is_empty() && self.commit(&records).await.is_err() {
            return refuse(ResponseError::UnknownServerError);
        }
        AlterPartitionResponse::default().with_topics(topics)
    }
}

fn describe(index: i32, altered: Result<PartitionImage, ResponseError>) -> PartitionAnswer {
    let answer = PartitionAnswer::default().with_partition_index(index);
    match altered {
        Err(code) => answer.with_error_code(code.code()),
        Ok(partition) => answer
            .with_leader_id(WireBrokerId(partition.leader.0))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_isr(partition.isr.iter().map(|id| WireBrokerId(id.0)).collect())
            .with_leader_recovery_state(partition.recovery.code())
            .with_partition_epoch(partition.partition_epoch.0),
    }
}

fn alter(
    leader: BrokerId,
    topic: &TopicImage,
    data: &PartitionData,
    records: &mut Vec<MetadataRecord>,
) -> Result<PartitionImage, ResponseError> {
    let index = data.partition_index;
    let partition = topic.partitions.get(&index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let isr: Vec<_> =
        data.new_isr_with_epochs.iter().map(|state| BrokerId(state.broker_id.0)).collect();
    check(leader, partition, data, &isr)?;
    let mut altered = PartitionImage::clone(partition);
    if isr != altered.isr {
        let change = PartitionChange { isr: Some(isr), ..PartitionChange::default() };
        altered.change(&change);
        records.push(MetadataRecord::PartitionChange {
            topic_id: topic.id,
            partition: index,
            change,
        });
    }
    Ok(altered)
}

fn check(
    leader: BrokerId,
    partition: &PartitionImage,
    data: &PartitionData,
    isr: &[BrokerId],
) -> Result<(), ResponseError> {
    let different: BTreeSet<_> = isr.iter().collect();
    let makes_sense = different.len() == isr.len()
        && isr.iter().all(|id| partition.replicas.contains(id))
        && isr.contains(&leader);
    let (leader_epoch, partition_epoch) = (partition.leader_epoch.0, partition.partition_epoch.0);
    if data.leader_epoch > leader_epoch || data.partition_epoch > partition_epoch {
        Err(ResponseError::NotController)
    } else if data.leader_epoch < leader_epoch {
        Err(ResponseError::FencedLeaderEpoch)
    } else if data.partition_epoch < partition_epoch {
        Err(ResponseError::InvalidUpdateVersion)
    } else if partition.leader != leader || !makes_sense {
        Err(ResponseError::InvalidRequest)
    } else {
        Ok(())
    }
}
