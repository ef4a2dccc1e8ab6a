//! Membership in a group as one member sees it (`AbstractCoordinator`'s state).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    assignor::{Assignor, MemberSubscription},
    heartbeat::Heartbeat,
};
use crate::{
    env::Instant,
    kafka::{
        client::{error::ClientError, network::Answer},
        types::{BrokerId, GenerationId, GroupId, MemberId, TopicName},
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MemberState {
    Unjoined,
    /// JoinGroup is sent, or about to be.
    PreparingRebalance,
    /// JoinGroup is answered, SyncGroup is not.
    CompletingRebalance,
    Stable,
}

/// Which membership a request was sent under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Generation {
    pub(crate) id: GenerationId,
    /// Empty before the coordinator gave one.
    pub(crate) member: MemberId,
    pub(crate) protocol: Option<Assignor>,
}

impl Generation {
    pub(crate) fn none() -> Self {
        Generation { id: GenerationId(-1), member: MemberId::from(""), protocol: None }
    }

    pub(crate) fn has_member_id(&self) -> bool {
        !self.member.as_str().is_empty()
    }
}

/// How far a rebalance has come (Kafka's `joinFuture`).
pub(crate) enum JoinPhase {
    None,
    JoinSent,
    /// Kept until the application polls.
    JoinAnswered(Generation, Answer),
    /// This member leads and waits for metadata of all the group's topics, newer than this version.
    Assigning {
        members: Vec<MemberSubscription>,
        after_version: Option<u64>,
    },
    SyncSent,
    Done(Result<Bytes, ClientError>),
}

/// How finding the coordinator stands.
pub(crate) enum Lookup {
    /// May be sent from this instant on.
    Idle(Instant),
    InFlight,
    /// For the application: it will not get better by itself.
    Failed(ClientError),
}

pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) instance: Option<String>,
    pub(crate) assignors: Vec<Assignor>,
    pub(crate) state: MemberState,
    pub(crate) generation: Generation,
    pub(crate) rejoin_needed: bool,
    pub(crate) rejoin_reason: String,
    pub(crate) needs_join_prepare: bool,
    /// End of the time that giving up partitions may take.
    pub(crate) prepare_ends: Option<Instant>,
    pub(crate) join: JoinPhase,
    /// No JoinGroup before this instant.
    pub(crate) join_retry_at: Instant,
    pub(crate) coordinator: Option<BrokerId>,
    pub(crate) lookup: Lookup,
    pub(crate) lookup_failures: u32,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) heartbeat_enabled: bool,
    /// What stopped the heartbeats for good; the next poll tells.
    pub(crate) failure: Option<ClientError>,
    pub(crate) is_leader: bool,
    /// Topics of all members, if this one leads.
    pub(crate) group_topics: BTreeSet<TopicName>,
    /// Partition counts the last assignment was made from, if this one leads.
    pub(crate) assignment_snapshot: Option<BTreeMap<TopicName, i32>>,
    /// What the last JoinGroup subscribed to.
    pub(crate) joined_subscription: Option<BTreeSet<TopicName>>,
    pub(crate) leaving: bool,
}

impl Group {
    pub(crate) fn new(
        id: GroupId,
        instance: Option<String>,
        assignors: Vec<Assignor>,
        heartbeat: Heartbeat,
    ) -> Self {
        Group {
            id,
            instance,
            assignors,
            state: MemberState::Unjoined,
            generation: Generation::none(),
            rejoin_needed: true,
            rejoin_reason: String::new(),
            needs_join_prepare: true,
            prepare_ends: None,
            join: JoinPhase::None,
            join_retry_at: Instant::default(),
            coordinator: None,
            lookup: Lookup::Idle(Instant::default()),
            lookup_failures: 0,
            heartbeat,
            heartbeat_enabled: false,
            failure: None,
            is_leader: false,
            group_topics: BTreeSet::new(),
            assignment_snapshot: None,
            joined_subscription: None,
            leaving: false,
        }
    }

    pub(crate) fn has_not_joined(&self) -> bool {
        matches!(self.state, MemberState::Unjoined | MemberState::PreparingRebalance)
    }

    pub(crate) fn rebalance_in_progress(&self) -> bool {
        matches!(self.state, MemberState::PreparingRebalance | MemberState::CompletingRebalance)
    }

    pub(crate) fn generation_if_stable(&self) -> Option<&Generation> {
        (self.state == MemberState::Stable).then_some(&self.generation)
    }

    /// The membership ended; the next join asks for a new one. A member that only missed a generation
    /// keeps its id.
    pub(crate) fn reset_and_rejoin(&mut self, reason: &str, member: MemberIdFate) {
        self.state = MemberState::Unjoined;
        let kept = match member {
            MemberIdFate::Kept => self.generation.member.clone(),
            MemberIdFate::Dropped => MemberId::from(""),
        };
        self.generation = Generation { member: kept, ..Generation::none() };
        self.request_rejoin(reason);
        self.needs_join_prepare = true;
    }

    pub(crate) fn request_rejoin(&mut self, reason: &str) {
        self.rejoin_reason = reason.to_owned();
        self.rejoin_needed = true;
    }

    pub(crate) fn request_rejoin_if_necessary(&mut self, reason: &str) {
        if !self.rejoin_needed {
            self.request_rejoin(reason);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MemberIdFate {
    Kept,
    Dropped,
}
