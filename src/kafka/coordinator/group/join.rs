//! JoinGroup: how a client becomes a member, and how a member asks for the next generation.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use uuid::Uuid;

use super::{
    Effect, GroupCoordinator, GroupEvent, GroupResponse, GroupState, LeaveReason, Now, Request,
    RequestToken,
    effect::wire_id,
    group_state::{Group, JoinWait},
    member::{Member, millis},
    turn::Turn,
    writes::{Skipping, StaticRejoin, Write},
};
use crate::kafka::{
    coordinator::records::{GroupValue, Record},
    protocol::ResponseError,
    types::{GenerationId, GroupId, MemberId},
};

/// From this version on a new dynamic member must come back with the id it is given (KIP-394).
const REQUIRES_MEMBER_ID: i16 = 4;
/// From this version on a leader can be told that it need not assign.
const SKIPS_ASSIGNMENT: i16 = 9;
/// How long a new member waits in a rebalance before it is given up; it cannot send heartbeats yet
/// (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl GroupCoordinator {
    /// `new_member` is random and becomes the end of a member id if one is given out.
    pub fn handle_join_group(
        &mut self,
        now: Now,
        mut request: Request<JoinGroupRequest>,
        new_member: Uuid,
        effects: &mut Vec<Effect>,
    ) {
        let token = request.token;
        if let Some(error) = self.refusal(&request) {
            let response = GroupResponse::join_error(&request.body.member_id, error);
            return effects.push(Effect::Reply { request: token, response });
        }
        if request.caller.api_version == 0 {
            request.body.rebalance_timeout_ms = request.body.session_timeout_ms;
        }
        let group = GroupId::from(request.body.group_id.as_str());
        let is_new_group = !self.groups.contains_key(&group);
        if is_new_group {
            if !request.body.member_id.is_empty() {
                let error = ResponseError::UnknownMemberId;
                let response = GroupResponse::join_error(&request.body.member_id, error);
                return effects.push(Effect::Reply { request: token, response });
            }
            self.groups.insert(group.clone(), Group::new(group.clone(), now));
        }
        let mut turn =
            self.turn(group.as_str(), now, effects).expect("it is there or was just made");
        turn.join(request, new_member);
        if is_new_group {
            turn.write_new_group(now);
        }
    }

    /// What is wrong with a request before any group is looked at.
    fn refusal(&self, request: &Request<JoinGroupRequest>) -> Option<ResponseError> {
        let body = &request.body;
        if body.group_id.is_empty() {
            return Some(ResponseError::InvalidGroupId);
        }
        let session = millis(body.session_timeout_ms);
        if session < self.config.min_session_timeout || session > self.config.max_session_timeout {
            return Some(ResponseError::InvalidSessionTimeout);
        }
        let caller = &request.caller;
        let mut texts = vec![&*body.group_id.0, &body.member_id, &body.protocol_type];
        texts.extend([&*caller.client_id, &*caller.client_host]);
        texts.extend(body.group_instance_id.as_deref());
        texts.extend(body.protocols.iter().map(|protocol| &*protocol.name));
        (!texts.into_iter().all(fits_record)).then_some(ResponseError::InvalidRequest)
    }
}

/// Whether a text can stand in a record of `__consumer_offsets`. Kafka refuses longer ones when it reads the
/// request.
pub(super) fn fits_record(text: &str) -> bool {
    // Ids are made of names by adding a UUID.
    text.len() <= i16::MAX as usize - 40
}

impl Turn<'_> {
    fn join(&mut self, request: Request<JoinGroupRequest>, new_member: Uuid) {
        let token = request.token;
        let member = request.body.member_id.clone();
        if !self.has_room_for(&member) {
            self.remove_member(&member, LeaveReason::GroupFull);
            self.remove_pending(&member);
            let response = GroupResponse::join_error("", ResponseError::GroupMaxSizeReached);
            self.reply(token, response);
        } else if !self.group.supports(&request.body.protocol_type, &request.body.protocols) {
            let error = ResponseError::InconsistentGroupProtocol;
            self.reply(token, GroupResponse::join_error(&member, error));
        } else if member.is_empty() {
            self.join_unknown(request, new_member);
        } else {
            self.join_known(request);
        }
    }

    /// While members join, those who wait are counted, so that the last to rejoin are those kept out.
    fn has_room_for(&self, member: &str) -> bool {
        let known = self.group.members.get(member);
        match self.group.state {
            GroupState::Empty => true,
            GroupState::PreparingRebalance => {
                known.is_some_and(|member| member.awaiting_join.is_some())
                    || self.group.awaiting_join() < self.config.max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                known.is_some() || self.group.members.len() < self.config.max_size
            }
        }
    }

    fn join_unknown(&mut self, request: Request<JoinGroupRequest>, new_member: Uuid) {
        let body = &request.body;
        let name = body.group_instance_id.as_deref().unwrap_or(&request.caller.client_id);
        let id = MemberId::from(format!("{name}-{new_member}"));
        if let Some(instance) = &body.group_instance_id {
            match self.group.static_members.get(instance).cloned() {
                Some(old) => self.replace_static(request, old, id),
                None => self.add_member(request, id),
            }
        } else if request.caller.api_version >= REQUIRES_MEMBER_ID {
            let end = self.now.instant + millis(body.session_timeout_ms);
            self.deadlines.set(self.session_key(&id), end);
            let error = ResponseError::MemberIdRequired;
            self.reply(request.token, GroupResponse::join_error(id.as_str(), error));
            self.group.pending_joins.insert(id);
        } else {
            self.add_member(request, id);
        }
    }

    fn join_known(&mut self, request: Request<JoinGroupRequest>) {
        let token = request.token;
        let body = &request.body;
        let id = MemberId::from(body.member_id.as_str());
        if self.group.is_pending(id.as_str()) {
            // A pending member is never static: Kafka fails on this with an internal error.
            if body.group_instance_id.is_some() {
                let error = ResponseError::UnknownServerError;
                return self.reply(token, GroupResponse::join_error(id.as_str(), error));
            }
            return self.add_member(request, id);
        }
        if let Err(error) =
            self.group.validate_member(&body.member_id, body.group_instance_id.as_ref())
        {
            return self.reply(token, GroupResponse::join_error(&body.member_id, error));
        }
        let Some(member) = self.group.members.get(&id) else { return };
        let same = member.protocols == body.protocols;
        let leads = self.group.is_leader(id.as_str());
        match self.group.state {
            GroupState::PreparingRebalance => {
                self.update_member(request, &id, |id| format!("{id} joined again"));
            }
            // It may have missed the answer to its first JoinGroup.
            GroupState::CompletingRebalance if same => self.tell_current(token, &id),
            GroupState::Stable if same && !leads => self.tell_current(token, &id),
            // The leader may have seen changes that are not in its metadata, such as new partitions.
            GroupState::Stable if leads => {
                self.update_member(request, &id, |id| format!("the leader {id} joined again"));
            }
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.update_member(request, &id, |id| format!("{id} changed its subscription"));
            }
            GroupState::Empty => {
                let error = ResponseError::UnknownMemberId;
                self.reply(token, GroupResponse::join_error(id.as_str(), error));
            }
        }
    }

    fn tell_current(&mut self, token: RequestToken, id: &MemberId) {
        let response = self.join_response(id);
        self.reply(token, GroupResponse::Join(response));
    }

    fn add_member(&mut self, request: Request<JoinGroupRequest>, id: MemberId) {
        let (caller, body) = (request.caller, request.body);
        if self.group.members.is_empty() {
            self.group.protocol_type = Some(body.protocol_type);
        }
        if self.group.state == GroupState::PreparingRebalance
            && matches!(self.group.join_wait, JoinWait::Initial { .. })
        {
            self.group.new_member_added = true;
        }
        let member = Member {
            id: id.clone(),
            instance_id: body.group_instance_id,
            client_id: caller.client_id.as_str().into(),
            client_host: caller.client_host,
            rebalance_timeout_ms: body.rebalance_timeout_ms,
            session_timeout_ms: body.session_timeout_ms,
            protocols: body.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(request.token),
            awaiting_sync: None,
            is_new: true,
        };
        let who = member.participant();
        self.observe(GroupEvent::MemberJoined { group: self.group.id.clone(), who });
        self.deadlines.set(self.session_key(&id), self.now.instant + NEW_MEMBER_JOIN_TIMEOUT);
        self.group.add(member);
        self.rebalance_or_complete_join(|| format!("{id} joined"));
    }

    fn update_member(
        &mut self,
        request: Request<JoinGroupRequest>,
        id: &MemberId,
        reason: impl FnOnce(&MemberId) -> String,
    ) {
        let said = request.body.reason.clone().filter(|said| !said.is_empty());
        self.update(id, &request.body);
        self.await_join(id.as_str(), request.token);
        self.rebalance_or_complete_join(|| match said {
            Some(said) => format!("{}: {said}", reason(id)),
            None => reason(id),
        });
    }

    fn update(&mut self, id: &MemberId, body: &JoinGroupRequest) {
        if let Some(member) = self.group.members.get_mut(id) {
            member.protocols = body.protocols.clone();
            member.rebalance_timeout_ms = body.rebalance_timeout_ms;
            member.session_timeout_ms = body.session_timeout_ms;
        }
    }

    /// A static member came back without its member id, as after a restart (KIP-345): it gets a new one
    /// and the old one is fenced. In a stable group its assignment stays, without a rebalance.
    fn replace_static(&mut self, request: Request<JoinGroupRequest>, old: MemberId, new: MemberId) {
        let leader_before = self.group.leader.clone();
        let before = self.rename(&old, &new);
        let skipping = match request.caller.api_version >= SKIPS_ASSIGNMENT {
            true => Skipping::Known,
            false => Skipping::Unknown,
        };
        let rejoin = StaticRejoin {
            group: self.group.id.clone(),
            generation: self.group.generation,
            request: request.token,
            old,
            new: new.clone(),
            leader_before,
            protocols_before: before.protocols,
            rebalance_timeout_ms_before: before.rebalance_timeout_ms,
            session_timeout_ms_before: before.session_timeout_ms,
            skipping,
        };
        self.renew_session(new.as_str());
        self.update(&new, &request.body);
        self.await_join(new.as_str(), request.token);
        match self.group.state {
            GroupState::Stable if self.group.protocol == self.group.select_protocol() => {
                let value = self.group.to_value(|member| member.assignment.clone());
                let record = Record::group(&self.group.id, Some(&value));
                self.append(Write::StaticRejoin(Box::new(rejoin)), vec![record]);
            }
            GroupState::Stable => {
                self.prepare_rebalance(format!("{new} came back with other protocols"));
            }
            // The old id may be on its way to the leader, which would assign to nobody.
            GroupState::CompletingRebalance => {
                self.prepare_rebalance(format!("{new} came back during the assignment"));
            }
            GroupState::PreparingRebalance | GroupState::Empty => self.maybe_complete_join(),
        }
    }

    /// Moves a static member to its new id and answers what the old one waits for. Returns the member as
    /// it was.
    fn rename(&mut self, old: &MemberId, new: &MemberId) -> Member {
        let member = self.group.members.get_mut(old).expect("static members are members");
        let (join, sync) = (member.awaiting_join.take(), member.awaiting_sync.take());
        // In Kafka the new member's object is not new either.
        member.is_new = false;
        let before = member.clone();
        let error = ResponseError::FencedInstanceId;
        if let Some(request) = join {
            self.reply(request, GroupResponse::join_error(old.as_str(), error));
        }
        if let Some(request) = sync {
            self.reply(request, GroupResponse::sync_error(error));
        }
        self.deadlines.cancel(&self.session_key(old));
        self.group.rename_static(old, new);
        self.observe(GroupEvent::MemberReplaced {
            group: self.group.id.clone(),
            old: old.clone(),
            who: self.group.members[new].participant(),
        });
        before
    }

    /// The new id of a static member is durable. If a rebalance began since, the member waits for it.
    pub fn static_rejoin_written(&mut self, rejoin: StaticRejoin) {
        if self.group.state != GroupState::Stable || self.group.generation != rejoin.generation {
            return;
        }
        let Some(member) = self.group.members.get_mut(&rejoin.new) else { return };
        let Some(request) = member.awaiting_join.take() else { return };
        let mut response = self.join_response(&rejoin.new);
        match rejoin.skipping {
            Skipping::Known => {
                response.skip_assignment = self.group.is_leader(rejoin.new.as_str());
            }
            // It must not think that it leads, or it would assign; so it hears of the leader's old id.
            Skipping::Unknown => {
                response.members = Vec::new();
                response.leader = wire_id(rejoin.leader_before.as_ref());
            }
        }
        self.reply(request, GroupResponse::Join(response));
        self.renew_session(rejoin.new.as_str());
    }

    /// The new id is lost: the member is again what it was.
    pub fn static_rejoin_failed(&mut self, rejoin: StaticRejoin, error: ResponseError) {
        let Some(member) = self.group.members.get_mut(&rejoin.new) else { return };
        if member.awaiting_join != Some(rejoin.request) {
            return;
        }
        member.awaiting_join = None;
        member.protocols = rejoin.protocols_before;
        member.rebalance_timeout_ms = rejoin.rebalance_timeout_ms_before;
        member.session_timeout_ms = rejoin.session_timeout_ms_before;
        let response = JoinGroupResponse::default()
            .with_generation_id(self.group.generation.0)
            .with_error_code(error.code());
        self.reply(rejoin.request, GroupResponse::Join(response));
        self.rename(&rejoin.new, &rejoin.old);
        self.renew_session(rejoin.old.as_str());
    }

    /// Makes the log remember a group that has no generation yet.
    fn write_new_group(&mut self, now: Now) {
        let group = self.group.id.clone();
        let value = GroupValue {
            protocol_type: Default::default(),
            generation: GenerationId(0),
            protocol: None,
            leader: None,
            state_since: Some(now.timestamp()),
            members: Vec::new(),
        };
        let record = Record::group(&group, Some(&value));
        self.append(Write::NewGroup { group }, vec![record]);
    }
}
