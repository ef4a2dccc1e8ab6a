//! One group: its state, its generation and its members (`ClassicGroup`). Pure data and questions about
//! it; what happens when, is in `join`, `rebalance`, `sync` and `leave`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::{
    messages::{
        join_group_request::JoinGroupRequestProtocol, join_group_response::JoinGroupResponseMember,
    },
    protocol::StrBytes,
};

use super::{
    Now, Participant,
    effect::{text, wire_id},
    member::{Member, millis},
    subscription::{PROTOCOL_TYPE, subscribed_topics},
};
use crate::kafka::{
    coordinator::records::{GroupValue, MemberValue},
    protocol::ResponseError,
    types::{GenerationId, GroupId, MemberId, Timestamp, TopicName},
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupState {
    /// No members; maybe offsets, maybe clients that were told to come back with a member id.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    Stable,
}

impl fmt::Display for GroupState {
    /// Kafka's name for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        })
    }
}

/// What a group in `PreparingRebalance` waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JoinWait {
    /// Members it had may rejoin until the rebalance timeout; it ends early once all have.
    Rejoin,
    /// It was empty: for `delay`, and longer while new members come, but not beyond `remaining` after that.
    Initial { delay: Duration, remaining: Duration },
}

/// Invariants:
/// - without members the state is `Empty` or `PreparingRebalance`;
/// - there is a leader exactly if there are members, and it is one of them;
/// - `static_members` names exactly the members with an instance id;
/// - a member id is never both pending and a member.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    pub id: GroupId,
    pub state: GroupState,
    /// Not known of groups loaded from records of old versions.
    pub state_since: Option<Timestamp>,
    pub generation: GenerationId,
    /// `None` as long as no member ever joined.
    pub protocol_type: Option<StrBytes>,
    pub protocol: Option<StrBytes>,
    pub leader: Option<MemberId>,
    /// In the order of joining.
    pub members: IndexMap<MemberId, Member>,
    pub static_members: BTreeMap<StrBytes, MemberId>,
    /// Clients that were given a member id and have not come back with it (KIP-394).
    pub pending_joins: BTreeSet<MemberId>,
    /// Members of this generation that have not asked for their assignment.
    pub pending_syncs: BTreeSet<MemberId>,
    pub join_wait: JoinWait,
    /// A member came since the initial wait began or was extended. As in Kafka it outlives the rebalance
    /// that it was set in, and can extend the next initial one.
    pub new_member_added: bool,
    /// What a consumer group reads; `None` where that cannot be known.
    pub subscribed_topics: Option<BTreeSet<TopicName>>,
}

impl Group {
    pub fn new(id: GroupId, now: Now) -> Self {
        Group {
            id,
            state: GroupState::Empty,
            state_since: Some(now.timestamp()),
            generation: GenerationId(0),
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            join_wait: JoinWait::Rejoin,
            new_member_added: false,
            subscribed_topics: None,
        }
    }

    /// As the log remembers it: a generation with members counts as stable.
    pub fn from_value(id: GroupId, value: GroupValue) -> Self {
        let protocol_name = value.protocol.clone().unwrap_or_default();
        let mut group = Group {
            id,
            state: if value.members.is_empty() { GroupState::Empty } else { GroupState::Stable },
            state_since: value.state_since,
            generation: value.generation,
            protocol_type: Some(value.protocol_type).filter(|kind| !kind.is_empty()),
            protocol: value.protocol,
            leader: value.leader,
            members: IndexMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            join_wait: JoinWait::Rejoin,
            new_member_added: false,
            subscribed_topics: None,
        };
        for loaded in value.members {
            let rebalance_timeout_ms = match loaded.rebalance_timeout_ms {
                -1 => loaded.session_timeout_ms,
                known => known,
            };
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(protocol_name.clone())
                .with_metadata(loaded.subscription);
            group.add(Member {
                id: loaded.member,
                instance_id: loaded.instance_id,
                client_id: loaded.client_id.as_str().into(),
                client_host: loaded.client_host,
                rebalance_timeout_ms,
                session_timeout_ms: loaded.session_timeout_ms,
                protocols: vec![protocol],
                assignment: loaded.assignment,
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            });
        }
        if group.leader.as_ref().is_none_or(|leader| !group.members.contains_key(leader)) {
            group.leader = group.members.keys().next().cloned();
        }
        group.subscribed_topics = subscribed_topics(&group);
        group
    }

    /// The record of this generation, with each member's assignment as `assignment` gives it.
    pub fn to_value(&self, assignment: impl Fn(&Member) -> Bytes) -> GroupValue {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |member: &Member| MemberValue {
            member: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: text(&member.client_id),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: assignment(member),
        };
        GroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.state_since,
            members: self.members.values().map(member).collect(),
        }
    }

    pub fn transition(&mut self, state: GroupState, now: Now) {
        self.state = state;
        self.state_since = Some(now.timestamp());
    }

    /// The caller has seen to it that the member fits.
    pub fn add(&mut self, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending_joins.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Forgets a member or a pending one. The next leader is the one who joined first.
    pub fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending_joins.remove(id);
        self.pending_syncs.remove(id);
        let removed = self.members.shift_remove(id)?;
        if let Some(instance) = &removed.instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(removed)
    }

    /// The member of this instance goes on under another id, in its place and with its role.
    pub fn rename_static(&mut self, old: &MemberId, new: &MemberId) {
        let Some((index, _, mut member)) = self.members.shift_remove_full(old) else { return };
        member.id = new.clone();
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), new.clone());
        }
        if self.is_leader(old.as_str()) {
            self.leader = Some(new.clone());
        }
        self.members.shift_insert(index, new.clone(), member);
    }

    pub fn is_leader(&self, id: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.as_str() == id)
    }

    pub fn is_pending(&self, id: &str) -> bool {
        self.pending_joins.contains(id)
    }

    /// Who speaks must be a member and, if static, the one its instance belongs to.
    pub fn validate_member(
        &self,
        id: &str,
        instance: Option<&StrBytes>,
    ) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            match self.static_members.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(owner) if owner.as_str() != id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    pub fn awaiting_join(&self) -> usize {
        self.members.values().filter(|member| member.awaiting_join.is_some()).count()
    }

    pub fn has_all_members_joined(&self) -> bool {
        self.pending_joins.is_empty()
            && self.members.values().all(|member| member.awaiting_join.is_some())
    }

    /// The longest any member asks for; zero without members.
    pub fn rebalance_timeout(&self) -> Duration {
        millis(self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0))
    }

    pub fn can_rebalance(&self) -> bool {
        self.state != GroupState::PreparingRebalance
    }

    /// Whether one who speaks these protocols may join: one of them must be everybody's.
    pub fn supports(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.all_support(&protocol.name))
    }

    fn all_support(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.supports(protocol))
    }

    /// Each member votes for the first of its protocols that all know. A tie goes to what the first member
    /// prefers; in Kafka it goes by the order of a hash map.
    pub fn select_protocol(&self) -> Option<StrBytes> {
        let first = self.members.values().next()?;
        let mut votes: IndexMap<&StrBytes, usize> = first
            .protocols
            .iter()
            .filter(|protocol| self.all_support(&protocol.name))
            .map(|protocol| (&protocol.name, 0))
            .collect();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|known| &known.name);
            if let Some(count) =
                names.find(|name| votes.contains_key(name)).and_then(|name| votes.get_mut(name))
            {
                *count += 1;
            }
        }
        let mut winner: Option<(&StrBytes, usize)> = None;
        for (protocol, count) in votes {
            if winner.is_none_or(|(_, most)| count > most) {
                winner = Some((protocol, count));
            }
        }
        winner.map(|(protocol, _)| protocol.clone())
    }

    /// A leader that has not rejoined gives way to the first member that has. False if nobody has.
    pub fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = self.leader.as_ref().and_then(|leader| self.members.get(leader)) else {
            return false;
        };
        if leader.awaiting_join.is_some() {
            return true;
        }
        let joined = self.members.values().find(|member| member.awaiting_join.is_some());
        let joined = joined.map(|member| member.id.clone());
        let found = joined.is_some();
        self.leader = joined.or_else(|| self.leader.take());
        found
    }

    pub fn begin_next_generation(&mut self, now: Now) {
        self.generation = GenerationId(self.generation.0.wrapping_add(1).max(0));
        self.protocol = self.select_protocol();
        self.subscribed_topics = subscribed_topics(self);
        let next = match self.members.is_empty() {
            true => GroupState::Empty,
            false => GroupState::CompletingRebalance,
        };
        self.transition(next, now);
        self.pending_syncs.clear();
    }

    /// What the leader is told, to compute the assignment.
    pub fn members_for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |member: &Member| {
            JoinGroupResponseMember::default()
                .with_member_id(wire_id(Some(&member.id)))
                .with_group_instance_id(member.instance_id.clone())
                .with_metadata(member.metadata(protocol))
        };
        self.members.values().map(member).collect()
    }

    pub fn participants(&self) -> Vec<Participant> {
        self.members.values().map(Member::participant).collect()
    }

    pub fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some(PROTOCOL_TYPE)
    }

    /// A consumer group of unknown subscription counts as subscribed to everything.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer_group(),
        }
    }
}
