//! Other brokers for a partition's replicas: AlterPartitionReassignments, ListPartitionReassignments, and
//! when a reassignment is complete.
//!
//! A reassignment adds the new replicas first, behind which the old ones stay; once all new ones are in
//! sync, the change of the ISR that says so also takes the old ones away.

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    alter_partition_reassignments_request::ReassignablePartition,
    alter_partition_reassignments_response::{
        ReassignablePartitionResponse, ReassignableTopicResponse,
    },
    list_partition_reassignments_response::{
        OngoingPartitionReassignment, OngoingTopicReassignment,
    },
};

use super::{
    Controller, ControllerResponse, Effect, Refusal, Request, isr_updates::change_record,
    partition_change::Election, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{MetadataRecord, PartitionImage, TopicImage},
        protocol::ResponseError,
        types::BrokerId,
    },
};

/// Replicas and ISR once a reassignment is done; `None` while it is not, or if there is none
/// (`PartitionReassignmentReplicas.maybeCompleteReassignment`).
pub(super) fn completed(
    replicas: &[BrokerId],
    removing: &[BrokerId],
    adding: &[BrokerId],
    isr: &[BrokerId],
) -> Option<(Vec<BrokerId>, Vec<BrokerId>)> {
    if removing.is_empty() && adding.is_empty() {
        return None;
    }
    let left = |ids: &[BrokerId]| -> Vec<BrokerId> {
        ids.iter().copied().filter(|id| !removing.contains(id)).collect()
    };
    let (replicas, isr) = (left(replicas), left(isr));
    let is_done = (removing.is_empty() || !(replicas.is_empty() || isr.is_empty()))
        && replicas.iter().all(|id| isr.contains(id));
    is_done.then_some((replicas, isr))
}

/// Those of `these` that are not among `others`, in order of their ids.
fn without(these: &[BrokerId], others: &[BrokerId]) -> Vec<BrokerId> {
    let mut rest: Vec<_> = these.iter().copied().filter(|id| !others.contains(id)).collect();
    rest.sort();
    rest
}

impl Controller {
    pub fn handle_alter_reassignments(
        &mut self,
        now: Instant,
        request: Request<AlterPartitionReassignmentsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let body = &request.body;
        let mut records = Vec::new();
        let mut responses = Vec::new();
        for asked in &body.topics {
            let mut partitions = Vec::new();
            for target in &asked.partitions {
                let answer = ReassignablePartitionResponse::default()
                    .with_partition_index(target.partition_index);
                let may_resize = body.allow_replication_factor_change;
                let sizes = if may_resize { Sizes::Any } else { Sizes::Same };
                partitions.push(match self.reassign(&asked.name, target, sizes) {
                    Ok(record) => {
                        records.extend(record);
                        answer.with_error_message(None)
                    }
                    Err((code, message)) => answer
                        .with_error_code(code.code())
                        .with_error_message(Some(wire::text(message))),
                });
            }
            let topic = ReassignableTopicResponse::default().with_name(asked.name.clone());
            responses.push(topic.with_partitions(partitions));
        }
        let response = ControllerResponse::Reassign(
            AlterPartitionReassignmentsResponse::default()
                .with_allow_replication_factor_change(body.allow_replication_factor_change)
                .with_error_message(None)
                .with_responses(responses),
        );
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn reassign(
        &self,
        name: &str,
        target: &ReassignablePartition,
        sizes: Sizes,
    ) -> Result<Option<MetadataRecord>, Refusal> {
        let unknown = |what| Err((ResponseError::UnknownTopicOrPartition, what));
        let index = target.partition_index;
        let Some(topic) = self.image.topic(name) else {
            return unknown(format!("Unable to find a topic named {name}."));
        };
        let Some(partition) = topic.partitions.get(&index) else {
            return unknown(format!("Unable to find partition {name}:{index}."));
        };
        match &target.replicas {
            None => self.cancel_reassignment(topic, index, partition),
            Some(replicas) => {
                let replicas = wire::brokers(replicas);
                self.check_assignment(&replicas, None)?;
                if sizes == Sizes::Same {
                    check_size(partition, &replicas)?;
                }
                Ok(self.begin_reassignment(topic, index, partition, &replicas))
            }
        }
    }

    /// Back to the replicas that there were (`PartitionReassignmentRevert`).
    fn cancel_reassignment(
        &self,
        topic: &TopicImage,
        index: i32,
        partition: &PartitionImage,
    ) -> Result<Option<MetadataRecord>, Refusal> {
        if !partition.is_reassigning() {
            let message = "No partition reassignment is in progress.".into();
            return Err((ResponseError::NoReassignmentInProgress, message));
        }
        let original = |ids: &[BrokerId]| -> Vec<BrokerId> {
            ids.iter().copied().filter(|id| !partition.adding.contains(id)).collect()
        };
        let (replicas, mut isr) = (original(&partition.replicas), original(&partition.isr));
        let is_unclean_allowed = self.is_unclean_allowed(topic);
        if isr.is_empty() {
            // Only new replicas are in sync: to go back is to lose what the old ones have not.
            let Some(first) = replicas.first() else {
                let message = "Invalid replica assignment: addingReplicas contains all replicas.";
                return Err((ResponseError::InvalidReplicaAssignment, message.into()));
            };
            if !is_unclean_allowed {
                let message = format!(
                    "Unable to revert partition assignment for {}:{index} because it would require an unclean \
                     leader election.",
                    topic.name
                );
                return Err((ResponseError::InvalidReplicaAssignment, message));
            }
            isr.push(*first);
        }
        let mut change = self.change(topic, partition);
        if is_unclean_allowed {
            change.election = Election::Unclean;
        }
        (change.isr, change.replicas) = (isr, replicas);
        change.removing.clear();
        change.adding.clear();
        Ok(change_record(topic, index, change))
    }

    fn begin_reassignment(
        &self,
        topic: &TopicImage,
        index: i32,
        partition: &PartitionImage,
        target: &[BrokerId],
    ) -> Option<MetadataRecord> {
        let removing = without(&partition.replicas, target);
        let adding = without(target, &partition.replicas);
        let mut change = self.change(topic, partition);
        change.replicas = target.iter().chain(&removing).copied().collect();
        // As in Kafka, what an earlier reassignment adds or removes stays where this one says nothing.
        if !removing.is_empty() {
            change.removing = removing;
        }
        if !adding.is_empty() {
            change.adding = adding;
        }
        change_record(topic, index, change)
    }

    pub fn handle_list_reassignments(
        &mut self,
        now: Instant,
        request: Request<ListPartitionReassignmentsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let ongoing = |topic: &TopicImage, asked: Option<&[i32]>| {
            let is_asked = |index: &i32| asked.is_none_or(|asked| asked.contains(index));
            let partitions = topic
                .partitions
                .iter()
                .filter(|(index, partition)| is_asked(index) && partition.is_reassigning());
            let partitions: Vec<_> =
                partitions.map(|(index, partition)| describe(*index, partition)).collect();
            let ongoing = OngoingTopicReassignment::default()
                .with_name(wire::wire_topic(topic.name.as_str()));
            (!partitions.is_empty()).then(|| ongoing.with_partitions(partitions))
        };
        let topics: Vec<_> = match &request.body.topics {
            None => self.image.topics().filter_map(|topic| ongoing(topic, None)).collect(),
            Some(asked) => {
                let one = |asked: &kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics| {
                    ongoing(self.image.topic(&asked.name)?, Some(&asked.partition_indexes))
                };
                asked.iter().filter_map(one).collect()
            }
        };
        let response = ListPartitionReassignmentsResponse::default().with_error_message(None);
        let response = ControllerResponse::Reassignments(response.with_topics(topics));
        self.decide(now, request.token, Decision { records: Vec::new(), response }, effects);
    }
}

/// How many replicas a reassignment may ask for (KIP-860).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sizes {
    Any,
    /// As many as there are.
    Same,
}

fn check_size(partition: &PartitionImage, target: &[BrokerId]) -> Result<(), Refusal> {
    let present = without(&partition.replicas, &partition.removing).len();
    if present == target.len() {
        return Ok(());
    }
    let message = format!("The replication factor is changed from {present} to {}", target.len());
    Err((ResponseError::InvalidReplicationFactor, message))
}

fn describe(index: i32, partition: &PartitionImage) -> OngoingPartitionReassignment {
    OngoingPartitionReassignment::default()
        .with_partition_index(index)
        .with_replicas(wire::wire_brokers(&partition.replicas))
        .with_adding_replicas(wire::wire_brokers(&partition.adding))
        .with_removing_replicas(wire::wire_brokers(&partition.removing))
}
