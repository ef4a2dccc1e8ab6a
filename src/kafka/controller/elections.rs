//! ElectLeaders: leadership back to the preferred replica, or to any that is there.

use kafka_protocol::messages::{
    ElectLeadersRequest, ElectLeadersResponse,
    elect_leaders_response::{PartitionResult, ReplicaElectionResult},
};

use super::{
    Controller, ControllerResponse, Effect, Refusal, Request, isr_updates::change_record,
    partition_change::Election, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{MetadataRecord, TopicImage},
        protocol::ResponseError,
    },
};

/// `ElectionType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    Preferred,
    Unclean,
}

impl Controller {
    pub fn handle_elect_leaders(
        &mut self,
        now: Instant,
        request: Request<ElectLeadersRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let wanted = match request.body.election_type {
            0 => Some(Wanted::Preferred),
            1 => Some(Wanted::Unclean),
            _ => None,
        };
        let mut records = Vec::new();
        let response = match wanted {
            None => ElectLeadersResponse::default()
                .with_error_code(ResponseError::InvalidRequest.code()),
            Some(wanted) => {
                let results = self.elect_leaders(wanted, &request.body, &mut records);
                ElectLeadersResponse::default().with_replica_election_results(results)
            }
        };
        let response = ControllerResponse::ElectLeaders(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn elect_leaders(
        &self,
        wanted: Wanted,
        request: &ElectLeadersRequest,
        records: &mut Vec<MetadataRecord>,
    ) -> Vec<ReplicaElectionResult> {
        let mut elect = |topic: &str, index: i32| {
            let result = self.elect(topic, index, wanted);
            let partition = PartitionResult::default().with_partition_id(index);
            match result {
                Ok(record) => {
                    records.push(record);
                    partition.with_error_message(None)
                }
                Err((code, message)) => partition
                    .with_error_code(code.code())
                    .with_error_message(Some(wire::text(message))),
            }
        };
        let not_needed = ResponseError::ElectionNotNeeded.code();
        let results = |topic: &str, results: Vec<PartitionResult>| {
            ReplicaElectionResult::default()
                .with_topic(wire::wire_topic(topic))
                .with_partition_result(results)
        };
        match &request.topic_partitions {
            Some(topics) => topics
                .iter()
                .map(|asked| {
                    let each = asked.partitions.iter().map(|index| elect(&asked.topic, *index));
                    results(&asked.topic, each.collect())
                })
                .collect(),
            // All of them; those that need no election are not told.
            None => self
                .image
                .topics()
                .map(|topic| {
                    let name = topic.name.as_str();
                    let each = topic.partitions.keys().map(|index| elect(name, *index));
                    let told = each.filter(|result| result.error_code != not_needed);
                    results(name, told.collect())
                })
                .collect(),
        }
    }

    pub(super) fn elect(
        &self,
        name: &str,
        index: i32,
        wanted: Wanted,
    ) -> Result<MetadataRecord, Refusal> {
        let unknown = |what| Err((ResponseError::UnknownTopicOrPartition, what));
        let Some(topic) = self.image.topic(name) else {
            return unknown(format!("No such topic as {name}"));
        };
        let Some(partition) = topic.partitions.get(&index) else {
            return unknown(format!("No such partition as {name}-{index}"));
        };
        let (is_there, election, unavailable) = match wanted {
            Wanted::Preferred => (
                partition.has_preferred_leader(),
                Election::Preferred,
                (
                    ResponseError::PreferredLeaderNotAvailable,
                    "The preferred leader was not available.",
                ),
            ),
            Wanted::Unclean => (
                partition.has_leader(),
                Election::Unclean,
                (
                    ResponseError::EligibleLeadersNotAvailable,
                    "Eligible topic partition leaders are not available.",
                ),
            ),
        };
        if is_there {
            let message = "Leader election not needed for topic partition.".into();
            return Err((ResponseError::ElectionNotNeeded, message));
        }
        let (code, message) = unavailable;
        self.election_record(topic, index, election).ok_or_else(|| (code, message.into()))
    }

    /// `None` if it changes nothing.
    pub(super) fn election_record(
        &self,
        topic: &TopicImage,
        index: i32,
        election: Election,
    ) -> Option<MetadataRecord> {
        let mut change = self.change(topic, topic.partitions.get(&index)?);
        change.election = election;
        change_record(topic, index, change)
    }
}
