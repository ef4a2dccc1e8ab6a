//! What must always hold, checked against all that the replicas do.

use std::collections::BTreeMap;

use super::{
    super::{ElectionState, Fault, ReplicaKey},
    memory_log::{Entry, MemoryLog, index},
};
use crate::kafka::types::{BrokerId, LeaderEpoch, Offset};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    TwoLeaders { epoch: LeaderEpoch, leaders: [BrokerId; 2] },
    EpochFell { node: BrokerId, from: LeaderEpoch, to: LeaderEpoch },
    TwoVotes { node: BrokerId, epoch: LeaderEpoch, votes: [ReplicaKey; 2] },
    CommittedChanged { node: BrokerId, offset: usize },
    LeaderLacksCommitted { node: BrokerId, epoch: LeaderEpoch },
    NotDurable { committed: usize, synced_by: usize },
    Halted { node: BrokerId, fault: Fault },
}

/// Which violations count. A policy that does not sync breaks durability at once; what follows from that is
/// what its test wants to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    Checked,
    Ignored,
}

#[derive(Debug)]
pub struct Watcher {
    pub committed: Vec<Entry>,
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    votes: BTreeMap<(BrokerId, LeaderEpoch), ReplicaKey>,
    epochs: BTreeMap<BrokerId, LeaderEpoch>,
    /// Up to where a node's log was compared with what is committed.
    verified: BTreeMap<BrokerId, usize>,
    durability: Durability,
    pub violation: Option<Violation>,
}

impl Watcher {
    pub fn new(durability: Durability) -> Self {
        Watcher {
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            epochs: BTreeMap::new(),
            verified: BTreeMap::new(),
            durability,
            violation: None,
        }
    }

    fn violated(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    pub fn leaders(&self) -> usize {
        self.leaders.len()
    }

    pub fn halted(&mut self, node: BrokerId, fault: Fault) {
        self.violated(Violation::Halted { node, fault });
    }

    /// What became durable.
    pub fn persisted(&mut self, node: BrokerId, state: ElectionState) {
        let before = self.epochs.insert(node, state.epoch).unwrap_or_default();
        if state.epoch < before {
            self.violated(Violation::EpochFell { node, from: before, to: state.epoch });
        }
        if let Some(voted) = state.voted {
            self.voted(node, state.epoch, voted);
        }
    }

    pub fn voted(&mut self, node: BrokerId, epoch: LeaderEpoch, voted: ReplicaKey) {
        let first = *self.votes.entry((node, epoch)).or_insert(voted);
        if first != voted {
            self.violated(Violation::TwoVotes { node, epoch, votes: [first, voted] });
        }
    }

    pub fn leads(&mut self, node: BrokerId, epoch: LeaderEpoch, log: &MemoryLog) {
        let known = self.leaders.get(&epoch).copied();
        if let Some(other) = known.filter(|other| *other != node) {
            self.violated(Violation::TwoLeaders { epoch, leaders: [other, node] });
        }
        if known.is_none() {
            self.leaders.insert(epoch, node);
            let last = self.committed.len();
            if log.entries.get(..last) != Some(&self.committed[..]) {
                self.violated(Violation::LeaderLacksCommitted { node, epoch });
            }
        }
    }

    /// A node says that all before `to` is committed.
    pub fn committed(&mut self, node: BrokerId, to: Offset, log: &MemoryLog) {
        let to = index(to);
        let from = self.verified.insert(node, to).unwrap_or(0).min(to);
        for offset in from..to {
            let entry = log.entries[offset];
            match self.committed.get(offset) {
                None => self.committed.push(entry),
                Some(committed) if *committed == entry => {}
                Some(_) => return self.violated(Violation::CommittedChanged { node, offset }),
            }
        }
    }

    /// A node removes everything from `to` on.
    pub fn truncated(&mut self, node: BrokerId, to: usize) {
        if let Some(verified) = self.verified.get_mut(&node) {
            *verified = to.min(*verified);
        }
    }

    pub fn crashed(&mut self, node: BrokerId) {
        self.verified.remove(&node);
    }

    /// At each step: a majority has all that is committed where no power loss takes it.
    pub fn check_durable<'a>(
        &mut self,
        majority: usize,
        voters: impl Iterator<Item = &'a MemoryLog>,
    ) {
        let end = self.committed.len();
        let Some(last) = self.committed.last().filter(|_| self.durability == Durability::Checked)
        else {
            return;
        };
        let has = |log: &&MemoryLog| log.synced >= end && log.entries[end - 1] == *last;
        let synced_by = voters.filter(has).count();
        if synced_by < majority {
            self.violated(Violation::NotDurable { committed: end, synced_by });
        }
    }
}
