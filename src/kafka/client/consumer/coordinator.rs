//! Finding the group's coordinator, and staying a member: heartbeats and leaving.

use kafka_protocol::{
    ResponseError,
    messages::{
        FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
        LeaveGroupRequest, leave_group_request::MemberIdentity,
    },
    protocol::{Decodable, StrBytes},
};

use super::{
    core::{Core, Request},
    group::{Generation, Group, Lookup, MemberIdFate, MemberState},
    positions::is_coordinator_gone,
};
use crate::{
    env::{Address, Instant},
    kafka::{
        client::{
            error::{ClientError, code_error},
            network::{Answer, Failure, FailureCause, NodeKey, Readiness, decode},
            observer::{ClientEvent, LeaveCause},
        },
        types::{BrokerId, GroupId},
    },
};

/// `key_type` of FindCoordinator for consumer groups.
const GROUP_KEY: i8 = 0;

impl Core {
    pub(crate) fn group_id(&self) -> Result<&GroupId, ClientError> {
        match &self.group {
            Some(group) => Ok(&group.id),
            None => Err(ClientError::Broker(ResponseError::InvalidGroupId)),
        }
    }

    /// The coordinator if it is known and not known to be unreachable.
    pub(crate) fn coordinator(&mut self, now: Instant) -> Option<NodeKey> {
        let broker = self.group.as_ref()?.coordinator?;
        let node = NodeKey::Coordinator(broker);
        if self.cluster.is_unavailable(node, now) {
            if let Some(group) = &mut self.group {
                group.coordinator = None;
            }
            return None;
        }
        Some(node)
    }

    /// The coordinator if a request can be sent to it now; otherwise works towards that. An error is one
    /// that looking again does not mend.
    pub(crate) fn ready_coordinator(
        &mut self,
        now: Instant,
    ) -> Result<Option<NodeKey>, ClientError> {
        let Some(node) = self.coordinator(now) else {
            self.look_up_coordinator(now);
            let group = self.group.as_mut();
            return match group.map(|group| &mut group.lookup) {
                Some(lookup @ Lookup::Failed(_)) => {
                    match std::mem::replace(lookup, Lookup::Idle(now)) {
                        Lookup::Failed(error) => Err(error),
                        _ => unreachable!("matched just above"),
                    }
                }
                _ => Ok(None),
            };
        };
        match self.cluster.ready(node, now) {
            Readiness::Ready if self.cluster.can_send(node) => Ok(Some(node)),
            Readiness::Ready | Readiness::Connecting => Ok(None),
            Readiness::BackingOff(_) => {
                self.mark_coordinator_unknown(now);
                Ok(None)
            }
        }
    }

    /// When another lookup may go out, if one waits for that.
    pub(crate) fn next_lookup(&self, now: Instant) -> Instant {
        match &self.group {
            Some(Group { coordinator: None, lookup: Lookup::Idle(at), .. }) if *at > now => *at,
            _ => Instant::FAR_FUTURE,
        }
    }

    fn look_up_coordinator(&mut self, now: Instant) {
        let Some(group) = &mut self.group else { return };
        if !matches!(group.lookup, Lookup::Idle(at) if at <= now) {
            return;
        }
        let Some(node) = self.cluster.any_ready_node(now) else { return };
        group.lookup = Lookup::InFlight;
        let key = StrBytes::from_string(group.id.to_string());
        self.cluster.send(node, Request::FindCoordinator, now, |version| {
            let request = FindCoordinatorRequest::default().with_key_type(GROUP_KEY);
            match version {
                0..=3 => request.with_key(key),
                _ => request.with_coordinator_keys(vec![key]),
            }
        });
    }

    pub(crate) fn handle_find_coordinator(&mut self, answer: Answer, now: Instant) {
        let found = read_response::<FindCoordinatorResponse>(answer)
            .and_then(|(response, version)| read_coordinator(&response, version));
        let Some(group) = &mut self.group else { return };
        match found {
            Ok((broker, address)) => {
                group.coordinator = Some(broker);
                // One that cannot be reached is not asked for again at once.
                group.lookup =
                    Lookup::Idle(now + self.retry.delay(group.lookup_failures, &mut self.rng));
                group.lookup_failures += 1;
                group.heartbeat.reset_session(now);
                let node = NodeKey::Coordinator(broker);
                self.cluster.set_node(node, &address, now);
                self.cluster.ready(node, now);
            }
            Err(error) if error.is_retriable() => {
                let delay = self.retry.delay(group.lookup_failures, &mut self.rng);
                group.lookup_failures += 1;
                group.lookup = Lookup::Idle(now + delay);
                self.cluster.metadata_mut().request_update();
                self.fail_waiting_commits(&error);
            }
            Err(error) => {
                group.lookup = Lookup::Failed(error.clone());
                self.fail_waiting_commits(&error);
            }
        }
    }

    /// The coordinator is elsewhere, or does not answer. Requests to it that are in flight fail.
    pub(crate) fn mark_coordinator_unknown(&mut self, now: Instant) {
        let Some(group) = &mut self.group else { return };
        if let Some(broker) = group.coordinator.take() {
            self.cluster.disconnect(NodeKey::Coordinator(broker), now);
        }
    }

    /// Reads a coordinator's answer; a lost connection means that it must be looked for.
    pub(crate) fn coordinator_answer<M: Decodable>(
        &mut self,
        answer: Answer,
        now: Instant,
    ) -> Result<(M, i16), ClientError> {
        let read = read_response(answer);
        if matches!(read, Err(ClientError::Disconnect | ClientError::Timeout(_))) {
            self.mark_coordinator_unknown(now);
        } else if let Some(group) = &mut self.group {
            group.lookup_failures = 0;
            if let Lookup::Idle(at) = &mut group.lookup {
                *at = now.min(*at);
            }
        }
        read
    }

    /// What Kafka's heartbeat thread does. Returns when it has something to do again.
    pub(crate) fn heartbeat_turn(&mut self, now: Instant) -> Instant {
        self.send_waiting_commits(now);
        let Some(group) = &mut self.group else { return Instant::FAR_FUTURE };
        if !group.heartbeat_enabled {
            return Instant::FAR_FUTURE;
        }
        if group.has_not_joined() || group.failure.is_some() {
            group.heartbeat_enabled = false;
            return Instant::FAR_FUTURE;
        }
        let Some(node) = self.coordinator(now) else {
            self.look_up_coordinator(now);
            return self.next_lookup(now);
        };
        let Some(group) = &mut self.group else { return Instant::FAR_FUTURE };
        if group.heartbeat.session_ends <= now {
            self.mark_coordinator_unknown(now);
            self.look_up_coordinator(now);
            return self.next_lookup(now);
        }
        if group.heartbeat.poll_ends <= now {
            self.leave(LeaveCause::PollTimeout, now);
            return Instant::FAR_FUTURE;
        }
        let timeouts = group.heartbeat.session_ends.min(group.heartbeat.poll_ends);
        if group.heartbeat.next_at > now {
            return group.heartbeat.next_deadline();
        }
        if !self.sendable(node, now) {
            return timeouts;
        }
        self.send_heartbeat(node, now);
        self.group.as_ref().map_or(timeouts, |group| group.heartbeat.next_deadline())
    }

    fn send_heartbeat(&mut self, node: NodeKey, now: Instant) {
        let Some(group) = &mut self.group else { return };
        group.heartbeat.sent(now);
        let generation = group.generation.clone();
        let request = HeartbeatRequest::default()
            .with_group_id(StrBytes::from_string(group.id.to_string()).into())
            .with_generation_id(generation.id.0)
            .with_member_id(StrBytes::from_string(generation.member.to_string()))
            .with_group_instance_id(group.instance.clone().map(StrBytes::from_string));
        self.cluster.send(node, Request::Heartbeat(generation), now, |_| request);
    }

    pub(crate) fn handle_heartbeat(&mut self, sent: Generation, answer: Answer, now: Instant) {
        let error = match self.coordinator_answer::<HeartbeatResponse>(answer, now) {
            Ok((response, _)) => code_error(response.error_code).map(ClientError::Broker),
            Err(error) => Some(error),
        };
        let Some(group) = &mut self.group else { return };
        use ResponseError as E;
        match error {
            None => group.heartbeat.received(now),
            Some(ClientError::Broker(E::RebalanceInProgress)) => {
                if group.state == MemberState::Stable {
                    group.request_rejoin("group is already rebalancing");
                }
                group.heartbeat.received(now);
            }
            Some(ClientError::Broker(
                error @ (E::IllegalGeneration | E::UnknownMemberId | E::FencedInstanceId),
            )) => {
                if group.generation != sent {
                    return group.heartbeat.received(now);
                }
                if error == E::FencedInstanceId {
                    group.failure = Some(ClientError::Broker(error));
                }
                group.heartbeat.failed(now, &mut self.rng);
                self.fenced(error);
            }
            Some(error) => {
                group.heartbeat.failed(now, &mut self.rng);
                if matches!(error, ClientError::Broker(code) if is_coordinator_gone(code)) {
                    self.mark_coordinator_unknown(now);
                }
            }
        }
    }

    /// The coordinator does not know this membership any more.
    pub(crate) fn fenced(&mut self, error: ResponseError) {
        let Some(group) = &mut self.group else { return };
        let (generation, member) = (group.generation.id, group.generation.member.clone());
        self.events.emit(|| ClientEvent::Left {
            generation,
            member,
            cause: LeaveCause::Fenced(error),
        });
        let fate = match error {
            ResponseError::IllegalGeneration => MemberIdFate::Kept,
            _ => MemberIdFate::Dropped,
        };
        group.reset_and_rejoin(&format!("encountered {error:?}"), fate);
    }

    /// Leaves the group if a member; static members stay until their session ends (`maybeLeaveGroup`).
    pub(crate) fn leave(&mut self, cause: LeaveCause, now: Instant) {
        let coordinator = self.coordinator(now);
        let Some(group) = &self.group else { return };
        let generation = group.generation.clone();
        let member = group.state != MemberState::Unjoined && generation.has_member_id();
        let (id, dynamic) = (group.id.to_string(), group.instance.is_none());
        if let Some(node) = coordinator
            && member
            && dynamic
            && self.sendable(node, now)
        {
            let reason = leave_reason(&cause);
            let member_id = StrBytes::from_string(generation.member.to_string());
            self.cluster.send(node, Request::Leave, now, |version| {
                let request =
                    LeaveGroupRequest::default().with_group_id(StrBytes::from_string(id).into());
                if version < 3 {
                    return request.with_member_id(member_id);
                }
                let reason = (version >= 5).then(|| StrBytes::from_static_str(reason));
                let identity =
                    MemberIdentity::default().with_member_id(member_id).with_reason(reason);
                request.with_members(vec![identity])
            });
            if let Some(group) = &mut self.group {
                group.leaving = true;
            }
        }
        if member {
            let (generation, member) = (generation.id, generation.member);
            self.events.emit(|| ClientEvent::Left { generation, member, cause });
        }
        if let Some(group) = &mut self.group {
            group
                .reset_and_rejoin("consumer pro-actively leaving the group", MemberIdFate::Dropped);
        }
    }

    pub(crate) fn handle_leave(&mut self) {
        if let Some(group) = &mut self.group {
            group.leaving = false;
        }
    }
}

fn leave_reason(cause: &LeaveCause) -> &'static str {
    match cause {
        LeaveCause::Closed => "the consumer is being closed",
        LeaveCause::Unsubscribed => "the consumer unsubscribed from all topics",
        LeaveCause::PollTimeout => "consumer poll timeout has expired.",
        LeaveCause::Fenced(_) => "fenced",
    }
}

/// An answer's message and version, or what stands for it.
pub(crate) fn read_response<M: Decodable>(answer: Answer) -> Result<(M, i16), ClientError> {
    match answer {
        Answer::Response { version, body } => {
            decode(body, version).map(|message| (message, version)).map_err(ClientError::Protocol)
        }
        Answer::Failed(Failure { cause: FailureCause::UnsupportedVersion, .. }) => {
            Err(ClientError::Broker(ResponseError::UnsupportedVersion))
        }
        Answer::Failed(Failure { cause: FailureCause::TimedOut, .. }) => {
            Err(ClientError::Timeout("request.timeout.ms has passed".into()))
        }
        Answer::Failed(_) | Answer::NoneExpected => Err(ClientError::Disconnect),
    }
}

fn read_coordinator(
    response: &FindCoordinatorResponse,
    version: i16,
) -> Result<(BrokerId, Address), ClientError> {
    let (code, node, host, port) = if version < 4 {
        (response.error_code, response.node_id, &response.host, response.port)
    } else {
        let first = response.coordinators.first();
        let found = first.ok_or_else(|| ClientError::Protocol("no coordinator in it".into()))?;
        (found.error_code, found.node_id, &found.host, found.port)
    };
    match code_error(code) {
        Some(error) => Err(ClientError::Broker(error)),
        None => {
            let port = u16::try_from(port).unwrap_or_default();
            Ok((BrokerId(node.0), Address::new(host.as_str(), port)))
        }
    }
}
