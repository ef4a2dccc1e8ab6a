//! AssignReplicasToDirs: a broker tells in which log directories its replicas really are (KIP-858).
//!
//! The controller lets only those lead whose directory it knows to be online. A broker that lost its disk comes back
//! with another directory, and may lead what it has replicated again once the controller has read of that here.

use kafka_protocol::messages::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
    assign_replicas_to_dirs_request::{
        DirectoryData as DirectoryAsked, PartitionData as PartitionAsked, TopicData as TopicAsked,
    },
    assign_replicas_to_dirs_response::{DirectoryData, PartitionData, TopicData},
};
use uuid::Uuid;

use super::{
    Controller, ControllerResponse, Effect, Request,
    isr_updates::{Upheaval, change_record},
    state::Decision,
    wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{BrokerRegistration, MetadataRecord},
        protocol::ResponseError,
        types::{BrokerEpoch, BrokerId},
    },
};

/// What one request comes to.
#[derive(Default)]
struct Assigned {
    records: Vec<MetadataRecord>,
    /// Replicas in directories that the broker does not have, or not any more.
    offline: Vec<(Uuid, i32)>,
}

impl Controller {
    /// `ReplicationControlManager.handleAssignReplicasToDirs`.
    pub fn handle_assign_replicas_to_dirs(
        &mut self,
        now: Instant,
        request: Request<AssignReplicasToDirsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let body = &request.body;
        let id = wire::broker(body.broker_id);
        let response = AssignReplicasToDirsResponse::default();
        let mut assigned = Assigned::default();
        let response = match self.check_broker_epoch(id, BrokerEpoch(body.broker_epoch)) {
            Err((code, _)) => response.with_error_code(code.code()),
            Ok(broker) => {
                let each = body.directories.iter();
                let each = each.map(|asked| self.assign_to(broker, asked, &mut assigned));
                response.with_directories(each.collect())
            }
        };
        let Assigned { mut records, offline } = assigned;
        for (topic, index) in offline {
            let topic = self.image.topic_by_id(topic).expect("it has the partition");
            records.extend(self.isr_update(Upheaval::Gone(id), topic, index));
        }
        let response = ControllerResponse::AssignReplicas(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn assign_to(
        &self,
        broker: &BrokerRegistration,
        asked: &DirectoryAsked,
        assigned: &mut Assigned,
    ) -> DirectoryData {
        let directory = asked.id;
        let is_online = broker.has_online_directory(directory);
        let mut assign = |topic: &TopicAsked, partition: &PartitionAsked| {
            let (topic, index) = (topic.topic_id, partition.partition_index);
            let record = self.assignment(broker.id, directory, topic, index);
            let answer = PartitionData::default().with_partition_index(index);
            match record {
                Err(code) => answer.with_error_code(code.code()),
                Ok(record) => {
                    assigned.records.extend(record);
                    assigned.offline.extend((!is_online).then_some((topic, index)));
                    answer
                }
            }
        };
        let topics = asked.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| assign(topic, partition));
            TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
        });
        DirectoryData::default().with_id(directory).with_topics(topics.collect())
    }

    /// What has to be written, if anything changes. Nobody is elected by it who could not be before: of directories
    /// this decision goes by those that were.
    fn assignment(
        &self,
        broker: BrokerId,
        directory: Uuid,
        topic: Uuid,
        index: i32,
    ) -> Result<Option<MetadataRecord>, ResponseError> {
        let topic = self.image.topic_by_id(topic).ok_or(ResponseError::UnknownTopicId)?;
        let partition =
            topic.partitions.get(&index).ok_or(ResponseError::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&broker) {
            return Err(ResponseError::NotLeaderOrFollower);
        }
        let mut change = self.change(topic, partition);
        change.directory = Some((broker, directory));
        Ok(change_record(topic, index, change))
    }
}
