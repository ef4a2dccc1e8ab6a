//! What happens to groups, as plain data for whoever watches: every event is a state change.

use std::{fmt, sync::Arc};

use crate::kafka::{
    protocol::ResponseError,
    types::{GenerationId, GroupId, MemberId, Offset, TopicPartition},
};

/// A member under both of its names: the coordinator's and its client's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Participant {
    pub member: MemberId,
    pub client: Arc<str>,
}

/// Why a member is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// It said so; in its own words, if it gave any.
    Left(Option<Arc<str>>),
    /// No heartbeat came for its session timeout.
    SessionTimeout,
    /// It did not rejoin within the rebalance timeout.
    RebalanceTimeout,
    /// It joined and then did not ask for its assignment within the rebalance timeout.
    SyncTimeout,
    /// The group is full.
    GroupFull,
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeaveReason::Left(None) => "it left the group",
            LeaveReason::Left(Some(said)) => return write!(f, "it left the group: {said}"),
            LeaveReason::SessionTimeout => "no heartbeat within session.timeout.ms",
            LeaveReason::RebalanceTimeout => "it did not rejoin within the rebalance timeout",
            LeaveReason::SyncTimeout => "it did not sync within the rebalance timeout",
            LeaveReason::GroupFull => "the group is larger than group.max.size",
        })
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum GroupEvent {
    MemberJoined {
        group: GroupId,
        who: Participant,
    },
    MemberLeft {
        group: GroupId,
        who: Participant,
        reason: LeaveReason,
    },
    /// A static member came back under a new member id; the old one is fenced.
    MemberReplaced {
        group: GroupId,
        old: MemberId,
        who: Participant,
    },
    RebalanceStarted {
        group: GroupId,
        generation: GenerationId,
        reason: String,
    },
    /// A generation began; nobody has partitions in it yet. Without members the group is empty.
    GenerationStarted {
        group: GroupId,
        generation: GenerationId,
        protocol: Option<Arc<str>>,
        leader: Option<MemberId>,
        members: Vec<Participant>,
    },
    /// The assignment of a generation is durable and told to its members. Partitions are known for
    /// protocol type `consumer` alone.
    AssignmentSet {
        group: GroupId,
        generation: GenerationId,
        members: Vec<Participant>,
        owners: Vec<(TopicPartition, Participant)>,
    },
    /// A coordinator has read the group from its log: what an earlier one had begun is forgotten.
    Loaded {
        group: GroupId,
        generation: GenerationId,
        members: Vec<Participant>,
    },
    OffsetsCommitted {
        group: GroupId,
        /// `None` for a commit from outside of the group.
        generation: Option<GenerationId>,
        who: Participant,
        offsets: Vec<(TopicPartition, Offset)>,
    },
    CommitRejected {
        group: GroupId,
        generation: Option<GenerationId>,
        who: Participant,
        error: ResponseError,
    },
    /// Offsets were taken away: deleted, expired, or their topic is gone.
    OffsetsRemoved {
        group: GroupId,
        partitions: Vec<TopicPartition>,
    },
}
