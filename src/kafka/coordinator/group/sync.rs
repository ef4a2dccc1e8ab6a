//! SyncGroup: the leader brings the assignment of a generation, every member takes its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::{
    messages::{SyncGroupRequest, SyncGroupResponse},
    protocol::StrBytes,
};

use super::{
    Effect, GroupCoordinator, GroupEvent, GroupResponse, GroupState, Now, Participant, Request,
    subscription::assigned_partitions,
    turn::{Due, Turn},
    writes::Write,
};
use crate::kafka::{
    coordinator::records::Record,
    protocol::ResponseError,
    types::{GenerationId, MemberId, TopicPartition},
};

impl GroupCoordinator {
    pub fn handle_sync_group(
        &mut self,
        now: Now,
        request: Request<SyncGroupRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let token = request.token;
        let error = if request.body.group_id.is_empty() {
            ResponseError::InvalidGroupId
        } else {
            match self.turn(&request.body.group_id, now, effects) {
                Some(mut turn) if turn.group.state != GroupState::Empty => {
                    return turn.sync(request);
                }
                _ => ResponseError::UnknownMemberId,
            }
        };
        effects.push(Effect::Reply { request: token, response: GroupResponse::sync_error(error) });
    }
}

impl Turn<'_> {
    fn sync(&mut self, request: Request<SyncGroupRequest>) {
        let token = request.token;
        if let Err(error) = self.validate_sync(&request.body) {
            return self.reply(token, GroupResponse::sync_error(error));
        }
        let member = &request.body.member_id;
        match self.group.state {
            GroupState::Empty | GroupState::PreparingRebalance => {
                let response = GroupResponse::sync_error(ResponseError::RebalanceInProgress);
                self.reply(token, response);
            }
            GroupState::CompletingRebalance => {
                self.await_sync(member, token);
                self.has_synced(member);
                if self.group.is_leader(member) {
                    self.write_assignment(request.body);
                }
            }
            GroupState::Stable => {
                self.has_synced(member);
                let assignment = self.group.members[member.as_str()].assignment.clone();
                let response = SyncGroupResponse::default()
                    .with_protocol_type(self.group.protocol_type.clone())
                    .with_protocol_name(self.group.protocol.clone())
                    .with_assignment(assignment);
                self.reply(token, GroupResponse::Sync(response));
            }
        }
    }

    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ResponseError> {
        let instance = request.group_instance_id.as_ref();
        self.group.validate_member(&request.member_id, instance)?;
        if request.generation_id != self.group.generation.0 {
            return Err(ResponseError::IllegalGeneration);
        }
        // Old clients name neither.
        let differs = |asked: &Option<StrBytes>, own: &Option<StrBytes>| {
            asked.as_ref().zip(own.as_ref()).is_some_and(|(asked, own)| asked != own)
        };
        if differs(&request.protocol_type, &self.group.protocol_type)
            || differs(&request.protocol_name, &self.group.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// This member need not be waited for any more.
    fn has_synced(&mut self, member: &str) {
        self.group.pending_syncs.remove(member);
        if self.group.pending_syncs.is_empty() {
            self.deadlines.cancel(&Due::Sync(self.group.id.clone()));
        }
    }

    fn write_assignment(&mut self, request: SyncGroupRequest) {
        let mut given: BTreeMap<StrBytes, Bytes> = BTreeMap::new();
        for assigned in request.assignments {
            given.insert(assigned.member_id, assigned.assignment);
        }
        // Whom the leader forgot gets an empty assignment; whom it invented gets none.
        let members = self.group.members.keys().cloned();
        let assignment: BTreeMap<MemberId, Bytes> = members
            .map(|member| {
                let own = given.remove(member.as_str().as_bytes()).unwrap_or_default();
                (member, own)
            })
            .collect();
        let value = self.group.to_value(|member| assignment[&member.id].clone());
        let group = self.group.id.clone();
        let record = Record::group(&group, Some(&value));
        let generation = self.group.generation;
        self.append(Write::Assignment { group, generation, assignment }, vec![record]);
    }

    /// The leader's assignment is durable, or lost. Members may have come or gone since: then a rebalance
    /// is on and it does not matter.
    pub fn assignment_written(
        &mut self,
        generation: GenerationId,
        mut assignment: BTreeMap<MemberId, Bytes>,
        result: Result<(), ResponseError>,
    ) {
        if self.group.state != GroupState::CompletingRebalance
            || self.group.generation != generation
        {
            return;
        }
        if let Err(error) = result {
            self.reset_assignment(error);
            return self.prepare_rebalance(format!("the assignment could not be stored: {error}"));
        }
        for member in self.group.members.values_mut() {
            member.assignment = assignment.remove(&member.id).unwrap_or_default();
        }
        self.group.transition(GroupState::Stable, self.now);
        let owners = if self.group.is_consumer_group() { self.owners() } else { Vec::new() };
        self.observe(GroupEvent::AssignmentSet {
            group: self.group.id.clone(),
            generation,
            members: self.group.participants(),
            owners,
        });
        self.answer_syncs(None);
    }

    fn owners(&self) -> Vec<(TopicPartition, Participant)> {
        let members = self.group.members.values();
        members
            .flat_map(|member| {
                let partitions = assigned_partitions(&member.assignment).into_iter();
                partitions.map(|partition| (partition, member.participant()))
            })
            .collect()
    }
}
