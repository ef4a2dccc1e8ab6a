//! Joining a group and rejoining it: give up what one has, JoinGroup, assign if leading, SyncGroup, take
//! over (`ConsumerCoordinator.onJoinPrepare` .. `onJoinComplete`, the eager protocol).
//!
//! All of it advances only inside the application's `poll`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
        join_group_request::JoinGroupRequestProtocol,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};

use super::{
    assignor::{Assignor, MemberSubscription},
    commits::CommitId,
    coordinator::read_response,
    core::{Core, Request},
    group::{Generation, JoinPhase, MemberIdFate, MemberState},
    positions::is_coordinator_gone,
    protocol,
    subscription::Mode,
};
use crate::{
    env::Instant,
    kafka::{
        client::{
            error::{ClientError, code_error},
            network::Answer,
            observer::{ClientEvent, CommitCause},
        },
        types::{GenerationId, MemberId, TopicName, TopicPartition},
    },
};

/// Java lets a JoinGroup wait so much longer than the rebalance may take (`JOIN_GROUP_TIMEOUT_LAPSE`).
const JOIN_TIMEOUT_LAPSE: std::time::Duration = std::time::Duration::from_secs(5);

/// What the application must be told before the rebalance goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Callback {
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Assigned(Vec<TopicPartition>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum JoinStep {
    /// A stable member, or not a member at all.
    Settled,
    /// Nothing to do until something arrives.
    Wait,
    Tell(Callback),
}

/// Whether giving up partitions is through.
enum Prepared {
    Yes,
    NotYet,
    Tell(Callback),
}

impl Core {
    /// Whether the assignment is out of date or a rebalance is under way.
    fn rejoin_needed_or_pending(&mut self) -> bool {
        let Mode::Topics(subscribed) = self.subscription.mode() else { return false };
        let Some(group) = &mut self.group else { return false };
        if let Some(snapshot) = &group.assignment_snapshot {
            let current = partition_counts(&group.group_topics, self.cluster.metadata());
            if *snapshot != current {
                group.request_rejoin_if_necessary("cached metadata has changed");
                return true;
            }
        }
        if group.joined_subscription.as_ref().is_some_and(|joined| joined != subscribed) {
            group.request_rejoin_if_necessary("subscription has changed");
            return true;
        }
        group.rejoin_needed || !matches!(group.join, JoinPhase::None)
    }

    /// Goes as far as it can without waiting (`joinGroupIfNeeded` with an expired timer).
    pub(crate) fn advance_join(&mut self, now: Instant) -> Result<JoinStep, ClientError> {
        while self.rejoin_needed_or_pending() {
            if self.ready_coordinator(now)?.is_none() {
                return Ok(JoinStep::Wait);
            }
            if self.group_mut().needs_join_prepare {
                match self.prepare_join(now) {
                    Prepared::NotYet => return Ok(JoinStep::Wait),
                    Prepared::Tell(callback) => return Ok(JoinStep::Tell(callback)),
                    Prepared::Yes => self.join_prepared(),
                }
            }
            match std::mem::replace(&mut self.group_mut().join, JoinPhase::None) {
                JoinPhase::None => {
                    if !self.send_join(now) {
                        return Ok(JoinStep::Wait);
                    }
                }
                JoinPhase::JoinAnswered(sent, answer) => self.handle_join(sent, answer, now),
                JoinPhase::Assigning { members, after_version } => {
                    if !self.try_assign(members, after_version, now) {
                        return Ok(JoinStep::Wait);
                    }
                }
                JoinPhase::Done(Ok(assignment)) => {
                    if let Some(callback) = self.complete_join(assignment, now)? {
                        return Ok(JoinStep::Tell(callback));
                    }
                }
                JoinPhase::Done(Err(error)) => self.join_failed(error, now)?,
                waiting @ (JoinPhase::JoinSent | JoinPhase::SyncSent) => {
                    self.group_mut().join = waiting;
                    return Ok(JoinStep::Wait);
                }
            }
        }
        Ok(JoinStep::Settled)
    }

    fn group_mut(&mut self) -> &mut super::group::Group {
        self.group.as_mut().expect("only members of groups join")
    }

    /// Commits what was consumed (with auto-commit) and names the partitions to give up. A commit that
    /// fails for a passing reason is repeated until `max.poll.interval.ms` are over.
    fn prepare_join(&mut self, now: Instant) -> Prepared {
        let limit = now + self.config.max_poll_interval;
        let ends = *self.group_mut().prepare_ends.get_or_insert(limit);
        if self.config.enable_auto_commit && self.commits.prepare.is_none() {
            if self.commits.prepare_retry_at > now {
                return Prepared::NotYet;
            }
            self.subscription.mark_pending_revocation();
            let offsets = self.subscription.all_consumed();
            let id = self.start_commit(offsets, CommitCause::Rebalance, now);
            self.commits.prepare = Some(id);
        }
        if let Some(id) = self.commits.prepare
            && !self.prepare_commit_ended(id, ends, now)
        {
            return Prepared::NotYet;
        }
        let partitions = self.subscription.assignment();
        let group = self.group_mut();
        let lost = group.generation.id == GenerationId(-1) || !group.generation.has_member_id();
        if partitions.is_empty() {
            Prepared::Yes
        } else if lost {
            self.events.emit(|| ClientEvent::Lost { partitions: partitions.clone() });
            Prepared::Tell(Callback::Lost(partitions))
        } else {
            Prepared::Tell(Callback::Revoked(partitions))
        }
    }

    fn prepare_commit_ended(&mut self, id: CommitId, ends: Instant, now: Instant) -> bool {
        if now >= ends {
            self.commits.prepare = None;
            return true;
        }
        match self.take_commit_result(id) {
            None => false,
            Some(Err(error)) if error.is_retriable() => {
                self.commits.prepare = None;
                self.commits.prepare_retry_at = now + self.retry.initial();
                false
            }
            Some(_) => {
                self.commits.prepare = None;
                // The preparation is not repeated for the rest of this rebalance.
                self.commits.prepare_retry_at = Instant::default();
                true
            }
        }
    }

    /// The application was told what it gives up, or had nothing.
    pub(crate) fn join_prepared(&mut self) {
        let partitions = self.subscription.assignment();
        let group = self.group_mut();
        group.needs_join_prepare = false;
        group.prepare_ends = None;
        group.is_leader = false;
        group.group_topics.clear();
        group.assignment_snapshot = None;
        let generation = group.generation.id;
        if !partitions.is_empty() {
            if generation != GenerationId(-1) {
                self.events.emit(|| ClientEvent::Revoked { generation, partitions });
            }
            self.subscription.set_assignment([]);
            self.fetcher.retain_assigned(&self.subscription);
        }
    }

    /// `false` if it must wait.
    fn send_join(&mut self, now: Instant) -> bool {
        if self.group_mut().join_retry_at > now {
            return false;
        }
        let Some(node) = self.coordinator(now).filter(|node| self.cluster.can_send(*node)) else {
            return false;
        };
        let Mode::Topics(topics) = self.subscription.mode().clone() else { return false };
        let timeout = self.cluster.request_timeout();
        let rebalance_timeout = self.config.max_poll_interval;
        let session_timeout = self.config.session_timeout;
        let group = self.group_mut();
        group.state = MemberState::PreparingRebalance;
        group.join = JoinPhase::JoinSent;
        group.joined_subscription = Some(topics.clone());
        let generation = group.generation.clone();
        let protocols = group.assignors.iter().map(|assignor| {
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str(assignor.name()))
                .with_metadata(protocol::encode_subscription(topics.iter(), generation.id))
        });
        let reason = group.rejoin_reason.clone();
        let request = JoinGroupRequest::default()
            .with_group_id(StrBytes::from_string(group.id.to_string()).into())
            .with_session_timeout_ms(millis(session_timeout))
            .with_rebalance_timeout_ms(millis(rebalance_timeout))
            .with_member_id(StrBytes::from_string(generation.member.to_string()))
            .with_group_instance_id(group.instance.clone().map(StrBytes::from_string))
            .with_protocol_type(StrBytes::from_static_str(protocol::PROTOCOL_TYPE))
            .with_protocols(protocols.collect())
            .with_reason(Some(StrBytes::from_string(reason.clone())));
        let deadline = now + timeout.max(rebalance_timeout + JOIN_TIMEOUT_LAPSE);
        self.events.emit(|| ClientEvent::Joining { reason });
        self.cluster.send_until(node, Request::Join(generation), deadline, |version| {
            if version < 8 { request.with_reason(None) } else { request }
        });
        true
    }

    pub(crate) fn keep_join_answer(&mut self, sent: Generation, answer: Answer) {
        if let Some(group) = &mut self.group
            && matches!(group.join, JoinPhase::JoinSent)
        {
            group.join = JoinPhase::JoinAnswered(sent, answer);
        }
    }

    fn handle_join(&mut self, sent: Generation, answer: Answer, now: Instant) {
        let result = match self.coordinator_answer::<JoinGroupResponse>(answer, now) {
            Err(error) => Err(error),
            Ok((response, _)) => match code_error(response.error_code) {
                None => Ok(response),
                Some(error) => {
                    self.join_refused(&sent, error, &response, now);
                    Err(ClientError::Broker(error))
                }
            },
        };
        let joined = match result {
            // Left meanwhile, by `max.poll.interval.ms` for example: join again.
            Ok(_) if self.group_mut().state != MemberState::PreparingRebalance => {
                Err(ClientError::Disconnect)
            }
            Ok(response) => self.joined(response, now),
            Err(error) => Err(error),
        };
        if let Err(error) = joined {
            self.group_mut().join = JoinPhase::Done(Err(error));
        }
    }

    fn join_refused(
        &mut self,
        sent: &Generation,
        error: ResponseError,
        response: &JoinGroupResponse,
        now: Instant,
    ) {
        let group = self.group_mut();
        match error {
            ResponseError::UnknownMemberId if group.generation == *sent => self.fenced(error),
            ResponseError::MemberIdRequired => {
                let member = MemberId::from(response.member_id.as_str());
                group.generation = Generation { member, ..Generation::none() };
                group.request_rejoin("need to re-join with the given member-id");
            }
            error if is_coordinator_gone(error) => self.mark_coordinator_unknown(now),
            _ => {}
        }
    }

    /// The group has a new generation with this member in it.
    fn joined(&mut self, response: JoinGroupResponse, now: Instant) -> Result<(), ClientError> {
        let named = response.protocol_name.as_ref().map(|name| name.as_str().to_owned());
        let group = self.group_mut();
        let assignor = group.assignors.iter().copied().find(|a| Some(a.name()) == named.as_deref());
        let Some(assignor) = assignor else {
            return Err(ClientError::Broker(ResponseError::InconsistentGroupProtocol));
        };
        group.state = MemberState::CompletingRebalance;
        group.heartbeat_enabled = true;
        group.heartbeat.reset_timeouts(now);
        group.generation = Generation {
            id: GenerationId(response.generation_id),
            member: MemberId::from(response.member_id.as_str()),
            protocol: Some(assignor),
        };
        self.task.wake_by_ref();
        if response.leader != response.member_id {
            self.send_sync(Vec::new(), now);
            return Ok(());
        }
        let mut members = Vec::with_capacity(response.members.len());
        for member in response.members {
            let topics =
                protocol::decode_subscription(member.metadata).map_err(ClientError::Protocol)?;
            members.push(MemberSubscription {
                member: MemberId::from(member.member_id.as_str()),
                instance: member.group_instance_id.map(|instance| instance.as_str().to_owned()),
                topics,
            });
        }
        let group = self.group_mut();
        group.is_leader = true;
        group.group_topics = members.iter().flat_map(|member| member.topics.clone()).collect();
        self.update_wanted_topics();
        // Metadata that is out of date is refreshed first (`ensureFreshMetadata`).
        let metadata = self.cluster.metadata();
        let after_version = metadata.update_is_requested().then(|| metadata.version());
        self.group_mut().join = JoinPhase::Assigning { members, after_version };
        Ok(())
    }

    /// The leader's assignment; `false` while metadata is awaited.
    fn try_assign(
        &mut self,
        members: Vec<MemberSubscription>,
        after_version: Option<u64>,
        now: Instant,
    ) -> bool {
        let metadata = self.cluster.metadata();
        if after_version.is_some_and(|version| metadata.version() <= version) {
            self.group_mut().join = JoinPhase::Assigning { members, after_version };
            return false;
        }
        let group = self.group.as_ref().expect("only members of groups join");
        let counts = partition_counts(&group.group_topics, metadata);
        let assignor = group.generation.protocol.unwrap_or(Assignor::Range);
        let assignment = assignor.assign(&members, &counts);
        let shares = assignment.iter().map(|(member, partitions)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(StrBytes::from_string(member.to_string()))
                .with_assignment(protocol::encode_assignment(partitions))
        });
        let shares = shares.collect();
        self.group_mut().assignment_snapshot = Some(counts);
        self.send_sync(shares, now);
        true
    }

    fn send_sync(&mut self, assignments: Vec<SyncGroupRequestAssignment>, now: Instant) {
        let Some(node) = self.coordinator(now).filter(|node| self.cluster.can_send(*node)) else {
            let gone = ClientError::Broker(ResponseError::CoordinatorNotAvailable);
            self.group_mut().join = JoinPhase::Done(Err(gone));
            return;
        };
        let group = self.group_mut();
        group.join = JoinPhase::SyncSent;
        let generation = group.generation.clone();
        let name = generation.protocol.map(|assignor| StrBytes::from_static_str(assignor.name()));
        let request = SyncGroupRequest::default()
            .with_group_id(StrBytes::from_string(group.id.to_string()).into())
            .with_generation_id(generation.id.0)
            .with_member_id(StrBytes::from_string(generation.member.to_string()))
            .with_group_instance_id(group.instance.clone().map(StrBytes::from_string))
            .with_protocol_type(Some(StrBytes::from_static_str(protocol::PROTOCOL_TYPE)))
            .with_protocol_name(name)
            .with_assignments(assignments);
        self.cluster.send(node, Request::Sync(generation), now, |version| {
            if version < 5 {
                request.with_protocol_type(None).with_protocol_name(None)
            } else {
                request
            }
        });
    }

    pub(crate) fn handle_sync(&mut self, sent: Generation, answer: Answer, now: Instant) {
        let read = read_response::<SyncGroupResponse>(answer);
        if matches!(read, Err(ClientError::Disconnect | ClientError::Timeout(_))) {
            self.mark_coordinator_unknown(now);
        }
        let result = read.and_then(|(response, _)| match code_error(response.error_code) {
            None => Ok(response.assignment),
            Some(error) => Err(ClientError::Broker(error)),
        });
        let group = self.group_mut();
        if !matches!(group.join, JoinPhase::SyncSent) {
            return;
        }
        let result = match result {
            Ok(_)
                if group.state != MemberState::CompletingRebalance
                    || group.generation.protocol.is_none() =>
            {
                Err(ClientError::Broker(ResponseError::IllegalGeneration))
            }
            Ok(assignment) => {
                group.state = MemberState::Stable;
                group.rejoin_needed = false;
                group.rejoin_reason.clear();
                Ok(assignment)
            }
            Err(error) => {
                if let ClientError::Broker(code) = error {
                    let unknown = ResponseError::UnknownMemberId;
                    let known = code == unknown || code == ResponseError::IllegalGeneration;
                    if known && group.generation == sent {
                        self.fenced(code);
                    } else if is_coordinator_gone(code) {
                        self.mark_coordinator_unknown(now);
                    }
                }
                Err(error)
            }
        };
        self.group_mut().join = JoinPhase::Done(result);
    }

    /// Takes over the assignment, unless the membership was lost between the answer and this poll.
    fn complete_join(
        &mut self,
        assignment: Bytes,
        now: Instant,
    ) -> Result<Option<Callback>, ClientError> {
        let group = self.group_mut();
        group.needs_join_prepare = true;
        if group.state != MemberState::Stable || group.generation.protocol.is_none() {
            group.reset_and_rejoin(
                "rebalance failed since the generation was modified before it was completed",
                MemberIdFate::Dropped,
            );
            return Ok(None);
        }
        let partitions = protocol::decode_assignment(assignment).map_err(ClientError::Protocol)?;
        if partitions.iter().any(|partition| !self.subscription.subscribed(&partition.topic)) {
            let reason = "received assignment does not match the current subscription";
            self.group_mut().request_rejoin(reason);
            return Ok(None);
        }
        self.commits.next_auto = now + self.config.auto_commit_interval;
        self.subscription.set_assignment(partitions.iter().cloned());
        self.positions_retry_at = now;
        self.update_wanted_topics();
        let group = self.group_mut();
        let (generation, member) = (group.generation.id, group.generation.member.clone());
        let (leader, assignor) = (group.is_leader, group.generation.protocol);
        let assignor = assignor.map_or("", Assignor::name).to_owned();
        self.events.emit(|| ClientEvent::Joined {
            generation,
            member,
            assignor,
            leader,
            assignment: partitions.clone(),
        });
        self.events.emit(|| ClientEvent::Assigned { generation, partitions: partitions.clone() });
        Ok(Some(Callback::Assigned(partitions)))
    }

    /// Goes on at once, later, or not at all.
    fn join_failed(&mut self, error: ClientError, now: Instant) -> Result<(), ClientError> {
        use ResponseError as E;
        let delay = self.retry.initial();
        let group = self.group_mut();
        group.join_retry_at = now;
        if error != ClientError::Broker(E::MemberIdRequired) {
            let reason = format!("rebalance failed due to {}", error.exception_name());
            group.request_rejoin(&reason);
        }
        match error {
            ClientError::Broker(
                E::UnknownMemberId
                | E::IllegalGeneration
                | E::RebalanceInProgress
                | E::MemberIdRequired,
            ) => Ok(()),
            error if error.is_retriable() => {
                group.join_retry_at = now + delay;
                Ok(())
            }
            error => Err(error),
        }
    }
}

fn partition_counts(
    topics: &BTreeSet<TopicName>,
    metadata: &crate::kafka::client::network::Metadata,
) -> BTreeMap<TopicName, i32> {
    let count = |topic: &TopicName| {
        let partitions = metadata.partitions(topic)?;
        Some((topic.clone(), i32::try_from(partitions.len()).unwrap_or(i32::MAX)))
    };
    topics.iter().filter_map(count).collect()
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
