//! How a generation ends and the next begins: the wait for members, the election, the reset.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::{
    GroupEvent, GroupResponse, GroupState, LeaveReason,
    effect::wire_id,
    group_state::JoinWait,
    turn::{Due, Turn},
    writes::Write,
};
use crate::kafka::{coordinator::records::Record, protocol::ResponseError, types::MemberId};

impl Turn<'_> {
    pub fn rebalance_or_complete_join(&mut self, reason: impl FnOnce() -> String) {
        if self.group.can_rebalance() {
            self.prepare_rebalance(reason());
        } else {
            self.maybe_complete_join();
        }
    }

    /// Goes on once all members have joined. An initial rebalance waits its time out instead.
    pub fn maybe_complete_join(&mut self) {
        if self.group.state == GroupState::PreparingRebalance
            && self.group.join_wait == JoinWait::Rejoin
            && self.group.has_all_members_joined()
        {
            self.complete_join();
        }
    }

    pub fn prepare_rebalance(&mut self, reason: String) {
        if self.group.state == GroupState::CompletingRebalance {
            self.reset_assignment(ResponseError::RebalanceInProgress);
        }
        self.cancel_sync_wait();
        let was_empty = self.group.state == GroupState::Empty;
        self.group.transition(GroupState::PreparingRebalance, self.now);
        self.observe(GroupEvent::RebalanceStarted {
            group: self.group.id.clone(),
            generation: self.group.generation,
            reason,
        });
        if was_empty {
            let delay = self.config.initial_rebalance_delay;
            let remaining = self.group.rebalance_timeout().saturating_sub(delay);
            self.wait_for_joins(JoinWait::Initial { delay, remaining }, delay);
        } else if self.group.has_all_members_joined() {
            self.group.join_wait = JoinWait::Rejoin;
            self.complete_join();
        } else {
            self.wait_for_joins(JoinWait::Rejoin, self.group.rebalance_timeout());
        }
    }

    fn wait_for_joins(&mut self, wait: JoinWait, at_most: Duration) {
        self.group.join_wait = wait;
        self.deadlines.set(Due::Join(self.group.id.clone()), self.now.instant + at_most);
    }

    /// The wait for joining members is over, unless it is an initial one that is extended.
    pub fn join_wait_ended(&mut self) {
        if self.group.state != GroupState::PreparingRebalance {
            return;
        }
        match self.group.join_wait {
            JoinWait::Initial { delay, remaining }
                if self.group.new_member_added && !remaining.is_zero() =>
            {
                self.group.new_member_added = false;
                let next = self.config.initial_rebalance_delay.min(remaining);
                let remaining = remaining.saturating_sub(delay);
                self.wait_for_joins(JoinWait::Initial { delay: next, remaining }, next);
            }
            _ => self.complete_join(),
        }
    }

    /// Begins the next generation with those who joined. Static members stay even if they did not.
    pub fn complete_join(&mut self) {
        self.deadlines.cancel(&Due::Join(self.group.id.clone()));
        let members = self.group.members.values();
        let absent = members.filter(|member| member.awaiting_join.is_none() && !member.is_static());
        let absent: Vec<MemberId> = absent.map(|member| member.id.clone()).collect();
        for member in absent {
            self.remove_member(member.as_str(), LeaveReason::RebalanceTimeout);
        }
        if !self.group.elect_joined_leader() && !self.group.members.is_empty() {
            // Only static members are left and none is here: wait on, until sessions end.
            self.wait_for_joins(JoinWait::Rejoin, self.group.rebalance_timeout());
            return;
        }
        self.group.begin_next_generation(self.now);
        self.observe(GroupEvent::GenerationStarted {
            group: self.group.id.clone(),
            generation: self.group.generation,
            protocol: self.group.protocol.as_deref().map(Into::into),
            leader: self.group.leader.clone(),
            members: self.group.participants(),
        });
        if self.group.state == GroupState::Empty {
            let value = self.group.to_value(|member| member.assignment.clone());
            let group = self.group.id.clone();
            let record = Record::group(&group, Some(&value));
            self.append(Write::EmptyGeneration { group }, vec![record]);
        } else {
            self.tell_generation();
        }
    }

    fn tell_generation(&mut self) {
        let ids: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for id in &ids {
            let response = self.join_response(id);
            let member = self.group.members.get_mut(id).expect("nobody left since");
            member.is_new = false;
            if let Some(request) = member.awaiting_join.take() {
                self.reply(request, GroupResponse::Join(response));
            }
            self.renew_session(id.as_str());
        }
        self.group.pending_syncs.extend(ids);
        let timeout = self.group.rebalance_timeout();
        self.deadlines.set(Due::Sync(self.group.id.clone()), self.now.instant + timeout);
    }

    /// The current generation as `member` is told of it; its leader learns of all members.
    pub fn join_response(&self, member: &MemberId) -> JoinGroupResponse {
        let leads = self.group.is_leader(member.as_str());
        JoinGroupResponse::default()
            .with_member_id(wire_id(Some(member)))
            .with_generation_id(self.group.generation.0)
            .with_protocol_name(self.group.protocol.clone())
            .with_protocol_type(self.group.protocol_type.clone())
            .with_leader(wire_id(self.group.leader.as_ref()))
            .with_members(if leads { self.group.members_for_leader() } else { Vec::new() })
    }

    /// Members that joined and did not ask for their assignment in time are out.
    pub fn sync_wait_ended(&mut self) {
        let group = &self.group;
        let waits = matches!(group.state, GroupState::CompletingRebalance | GroupState::Stable);
        if !waits || group.pending_syncs.is_empty() {
            return;
        }
        // As in Kafka this may name a static member's former id, and then there is nobody to remove.
        let missing: Vec<MemberId> = self.group.pending_syncs.iter().cloned().collect();
        for member in &missing {
            self.remove_member(member.as_str(), LeaveReason::SyncTimeout);
        }
        self.prepare_rebalance(format!("no SyncGroup in time from {}", list(&missing)));
    }

    pub fn cancel_sync_wait(&mut self) {
        self.group.pending_syncs.clear();
        self.deadlines.cancel(&Due::Sync(self.group.id.clone()));
    }

    /// Takes back all assignments and tells those who wait for one.
    pub fn reset_assignment(&mut self, error: ResponseError) {
        for member in self.group.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.answer_syncs(Some(error));
    }

    /// Answers every SyncGroup that waits. Those members' sessions begin anew, since one that ended while
    /// its member waited was let pass.
    pub fn answer_syncs(&mut self, error: Option<ResponseError>) {
        let (kind, name) = match error {
            None => (self.group.protocol_type.clone(), self.group.protocol.clone()),
            Some(_) => (None, None),
        };
        let code = error.map_or(0, |error| error.code());
        let mut answered = Vec::new();
        for member in self.group.members.values_mut() {
            if let Some(request) = member.awaiting_sync.take() {
                let response = SyncGroupResponse::default()
                    .with_protocol_type(kind.clone())
                    .with_protocol_name(name.clone())
                    .with_assignment(member.assignment.clone())
                    .with_error_code(code);
                answered.push((member.id.clone(), request, response));
            }
        }
        for (member, request, response) in answered {
            self.reply(request, GroupResponse::Sync(response));
            self.renew_session(member.as_str());
        }
    }

    /// A session ended: of a pending member, or of one that does not wait for the coordinator itself.
    pub fn session_ended(&mut self, id: &MemberId) {
        if self.group.is_pending(id.as_str()) {
            self.remove_pending(id.as_str());
            self.complete_join_if_all_joined();
        } else if self.group.members.get(id).is_some_and(|member| !member.has_satisfied_heartbeat())
        {
            self.remove_member(id.as_str(), LeaveReason::SessionTimeout);
            match self.group.state {
                GroupState::Stable | GroupState::CompletingRebalance => {
                    self.prepare_rebalance(format!("the session of {id} ended"));
                }
                _ => self.complete_join_if_all_joined(),
            }
        }
    }

    /// Unlike [`Self::maybe_complete_join`] this ends an initial wait early too, as Kafka does here.
    fn complete_join_if_all_joined(&mut self) {
        if self.group.state == GroupState::PreparingRebalance && self.group.has_all_members_joined()
        {
            self.complete_join();
        }
    }

    /// The group was never written: it is as if it had not been. Its members are told and join anew.
    pub fn unmake(&mut self, error: ResponseError) {
        let members: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for id in members {
            let Some(member) = self.group.remove(id.as_str()) else { continue };
            self.deadlines.cancel(&self.session_key(&id));
            if let Some(request) = member.awaiting_join {
                self.reply(request, GroupResponse::join_error("", error));
            }
        }
        let pending: Vec<MemberId> = self.group.pending_joins.iter().cloned().collect();
        for id in pending {
            self.remove_pending(id.as_str());
        }
        self.deadlines.cancel(&Due::Join(self.group.id.clone()));
    }
}

fn list(members: &[MemberId]) -> String {
    let names: Vec<&str> = members.iter().map(MemberId::as_str).collect();
    names.join(", ")
}
