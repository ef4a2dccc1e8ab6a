//! Appends under way: what each will change once it is committed, and who waits for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{
    join_group_request::JoinGroupRequestProtocol, offset_fetch_request::OffsetFetchRequestGroup,
};

use super::{AppendToken, GroupResponse, Participant, RequestToken};
use crate::kafka::{
    coordinator::records::OffsetValue,
    types::{GenerationId, GroupId, MemberId, TopicPartition},
};

/// What an append is for.
#[derive(Debug)]
pub(super) enum Write {
    /// A group was made; without this it is unmade.
    NewGroup {
        group: GroupId,
    },
    /// A group lost its last member. Losing this record does no harm: its members are gone all the same.
    EmptyGeneration {
        group: GroupId,
    },
    Assignment {
        group: GroupId,
        generation: GenerationId,
        assignment: BTreeMap<MemberId, Bytes>,
    },
    StaticRejoin(Box<StaticRejoin>),
    Commit(Commit),
    Tombstones {
        groups: Vec<GroupId>,
        offsets: Vec<(GroupId, TopicPartition)>,
    },
}

/// A static member came back under a new id while the group was stable.
#[derive(Debug)]
pub(super) struct StaticRejoin {
    pub group: GroupId,
    pub generation: GenerationId,
    pub request: RequestToken,
    pub old: MemberId,
    pub new: MemberId,
    pub leader_before: Option<MemberId>,
    pub protocols_before: Vec<JoinGroupRequestProtocol>,
    pub rebalance_timeout_ms_before: i32,
    pub session_timeout_ms_before: i32,
    pub skipping: Skipping,
}

/// Whether a client can be told that it leads and need not assign (JoinGroup 9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Skipping {
    Known,
    Unknown,
}

#[derive(Debug)]
pub(super) struct Commit {
    pub group: GroupId,
    pub generation: Option<GenerationId>,
    pub who: Participant,
    pub offsets: Vec<(TopicPartition, OffsetValue)>,
}

impl Write {
    fn concerns(&self, group: &str) -> bool {
        match self {
            Write::NewGroup { group: own }
            | Write::EmptyGeneration { group: own }
            | Write::Assignment { group: own, .. } => own.as_str() == group,
            Write::StaticRejoin(rejoin) => rejoin.group.as_str() == group,
            Write::Commit(commit) => commit.group.as_str() == group,
            Write::Tombstones { groups, offsets } => {
                groups.iter().any(|own| own.as_str() == group)
                    || offsets.iter().any(|(own, _)| own.as_str() == group)
            }
        }
    }
}

/// Why a reply waits for an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bond {
    /// It promises what the append writes, and fails with it.
    Promise,
    /// It only must not overtake it: clients see the coordinator's answers in the order of its log.
    Order,
}

#[derive(Debug)]
pub(super) enum Answer {
    Ready(GroupResponse),
    /// Read when the time has come.
    Fetch(OffsetFetchRequestGroup),
}

#[derive(Debug)]
pub(super) struct Deferred {
    pub request: RequestToken,
    pub answer: Answer,
    pub bond: Bond,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub write: Write,
    pub replies: Vec<Deferred>,
}

#[derive(Debug, Default)]
pub(super) struct Writes {
    pending: BTreeMap<AppendToken, Pending>,
    next: u64,
}

impl Writes {
    pub fn begin(&mut self, write: Write) -> AppendToken {
        let token = AppendToken(self.next);
        self.next += 1;
        self.pending.insert(token, Pending { write, replies: Vec::new() });
        token
    }

    /// The token the next append will have.
    pub fn next_token(&self) -> AppendToken {
        AppendToken(self.next)
    }

    pub fn take(&mut self, token: AppendToken) -> Option<Pending> {
        self.pending.remove(&token)
    }

    pub fn get_mut(&mut self, token: AppendToken) -> Option<&mut Pending> {
        self.pending.get_mut(&token)
    }

    pub fn last_mut(&mut self) -> Option<&mut Pending> {
        self.pending.last_entry().map(|entry| entry.into_mut())
    }

    /// The latest one before `token`.
    pub fn before_mut(&mut self, token: AppendToken) -> Option<&mut Pending> {
        self.pending.range_mut(..token).next_back().map(|(_, pending)| pending)
    }

    pub fn concern(&self, group: &str) -> bool {
        self.pending.values().any(|pending| pending.write.concerns(group))
    }

    /// Partitions that commits under way will give the group an offset for.
    pub fn committing<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a TopicPartition> {
        let commits = self.pending.values().filter_map(move |pending| match &pending.write {
            Write::Commit(commit) if commit.group.as_str() == group => Some(commit),
            _ => None,
        });
        commits.flat_map(|commit| commit.offsets.iter().map(|(partition, _)| partition))
    }

    pub fn drain(&mut self) -> impl Iterator<Item = Pending> {
        std::mem::take(&mut self.pending).into_values()
    }
}
