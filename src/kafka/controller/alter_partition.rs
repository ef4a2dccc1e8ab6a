//! AlterPartition: a leader wants another ISR (KIP-497), and must prove that it knows what it changes.
//!
//! Refusals tell the leader what to do: NOT_CONTROLLER and FENCED_LEADER_EPOCH that one of the two lives in
//! the past, INVALID_UPDATE_VERSION that a change came between, INELIGIBLE_REPLICA that a broker cannot be in
//! sync now (KIP-841: fenced or stopping; KIP-903: of another incarnation).

use std::collections::BTreeSet;

use kafka_protocol::messages::{
    AlterPartitionRequest, AlterPartitionResponse, BrokerId as WireBrokerId,
    alter_partition_request::{PartitionData, TopicData},
    alter_partition_response::{PartitionData as PartitionAnswer, TopicData as TopicAnswer},
};

use super::{
    AlterPartitionBrokerEpoch, Controller, ControllerResponse, Effect, Request,
    isr_updates::change_record, partition_change::Election, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{LeaderRecoveryState, MetadataRecord, PartitionImage, TopicImage},
        protocol::ResponseError,
        types::{BrokerEpoch, BrokerId},
    },
};

/// The ISR that a leader wants, with the incarnation of each member that it saw in sync.
struct WantedIsr {
    members: Vec<(BrokerId, BrokerEpoch)>,
    recovery: LeaderRecoveryState,
}

impl WantedIsr {
    /// `None` if the recovery state is none. Version 2 of the request names no epochs.
    fn of(data: &PartitionData) -> Option<Self> {
        let plain = data.new_isr.iter().map(|id| (wire::broker(*id), BrokerEpoch::NONE));
        let with_epochs = data
            .new_isr_with_epochs
            .iter()
            .map(|state| (wire::broker(state.broker_id), BrokerEpoch(state.broker_epoch)));
        let recovery = LeaderRecoveryState::from_code(data.leader_recovery_state)?;
        Some(WantedIsr { members: plain.chain(with_epochs).collect(), recovery })
    }

    fn ids(&self) -> Vec<BrokerId> {
        self.members.iter().map(|(id, _)| *id).collect()
    }
}

impl Controller {
    pub fn handle_alter_partition(
        &mut self,
        now: Instant,
        request: Request<AlterPartitionRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let body = &request.body;
        let leader = wire::broker(body.broker_id);
        let response = AlterPartitionResponse::default();
        let mut records = Vec::new();
        let response = match self.check_broker_epoch(leader, BrokerEpoch(body.broker_epoch)) {
            Err((code, _)) => response.with_error_code(code.code()),
            Ok(_) => {
                let alter = |topic: &TopicData| self.alter_topic(leader, topic, &mut records);
                response.with_topics(body.topics.iter().map(alter).collect())
            }
        };
        let response = ControllerResponse::AlterPartition(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn alter_topic(
        &self,
        leader: BrokerId,
        asked: &TopicData,
        records: &mut Vec<MetadataRecord>,
    ) -> TopicAnswer {
        let topic = self.image.topic_by_id(asked.topic_id);
        let alter = |data: &PartitionData| {
            let altered = match topic {
                None => Err(ResponseError::UnknownTopicId),
                Some(topic) => self.alter_partition(leader, topic, data, records),
            };
            let answer = PartitionAnswer::default().with_partition_index(data.partition_index);
            match altered {
                Err(code) => answer.with_error_code(code.code()),
                Ok(partition) => answer
                    .with_leader_id(WireBrokerId(partition.leader.0))
                    .with_leader_epoch(partition.leader_epoch.0)
                    .with_isr(wire::wire_brokers(&partition.isr))
                    .with_leader_recovery_state(partition.recovery.code())
                    .with_partition_epoch(partition.partition_epoch.0),
            }
        };
        let partitions = asked.partitions.iter().map(alter).collect();
        TopicAnswer::default().with_topic_id(asked.topic_id).with_partitions(partitions)
    }

    fn alter_partition(
        &self,
        leader: BrokerId,
        topic: &TopicImage,
        data: &PartitionData,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<PartitionImage, ResponseError> {
        let index = data.partition_index;
        let partition =
            topic.partitions.get(&index).ok_or(ResponseError::UnknownTopicOrPartition)?;
        check_epochs(leader, partition, data)?;
        let wanted = WantedIsr::of(data).ok_or(ResponseError::InvalidRequest)?;
        check_isr(partition, &wanted)?;
        if wanted.members.iter().any(|(id, epoch)| !self.may_be_in_sync(*id, *epoch)) {
            return Err(ResponseError::IneligibleReplica);
        }
        let mut change = self.change(topic, partition);
        if self.is_unclean_allowed(topic) {
            change.election = Election::Unclean;
        }
        change.isr = wanted.ids();
        change.recovery = wanted.recovery;
        let mut altered = PartitionImage::clone(partition);
        if let Some(record) = change_record(topic, index, change) {
            if let MetadataRecord::PartitionChange { change, .. } = &record {
                altered.change(change);
            }
            records.push(record);
        }
        // Only the end of a reassignment moves the leader: the change stands, and the leader has to learn of it.
        if altered.leader == leader { Ok(altered) } else { Err(ResponseError::NewLeaderElected) }
    }

    fn may_be_in_sync(&self, id: BrokerId, epoch: BrokerEpoch) -> bool {
        let is_present =
            |present: BrokerEpoch| match self.config.policies.alter_partition_broker_epoch {
                AlterPartitionBrokerEpoch::Off => true,
                AlterPartitionBrokerEpoch::Kip903 => epoch == BrokerEpoch::NONE || epoch == present,
            };
        self.image.broker(id).is_some_and(|broker| broker.is_active() && is_present(broker.epoch))
    }
}

/// Whether the leader leads, and knows the latest of the partition.
fn check_epochs(
    leader: BrokerId,
    partition: &PartitionImage,
    data: &PartitionData,
) -> Result<(), ResponseError> {
    let (leader_epoch, partition_epoch) = (partition.leader_epoch.0, partition.partition_epoch.0);
    if data.leader_epoch > leader_epoch || data.partition_epoch > partition_epoch {
        // It knows more than this controller: there must be a newer one.
        Err(ResponseError::NotController)
    } else if data.leader_epoch < leader_epoch {
        Err(ResponseError::FencedLeaderEpoch)
    } else if partition.leader != leader {
        Err(ResponseError::InvalidRequest)
    } else if data.partition_epoch < partition_epoch {
        Err(ResponseError::InvalidUpdateVersion)
    } else {
        Ok(())
    }
}

/// Whether an ISR makes sense for the partition.
fn check_isr(partition: &PartitionImage, wanted: &WantedIsr) -> Result<(), ResponseError> {
    let isr = wanted.ids();
    let different: BTreeSet<_> = isr.iter().collect();
    let is_recovering = wanted.recovery == LeaderRecoveryState::Recovering;
    let makes_sense = different.len() == isr.len()
        && isr.iter().all(|id| partition.replicas.contains(id))
        && isr.contains(&partition.leader)
        && !(is_recovering && isr.len() > 1)
        && !(is_recovering && partition.recovery == LeaderRecoveryState::Recovered);
    if makes_sense { Ok(()) } else { Err(ResponseError::InvalidRequest) }
}
