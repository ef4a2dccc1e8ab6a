//! This broker's part in one partition, and how a change of the metadata changes it.

use std::time::Duration;

use super::{
    AlterPartition, AlteredPartition, Answer, Effect, Facts, Follower, FollowerRequest, Leader,
    PartitionMetadata, ReplicaPolicy,
};
use crate::{
    env::Instant,
    kafka::{
        protocol::ResponseError,
        types::{BrokerId, LeaderEpoch, PartitionEpoch},
    },
};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaConfig {
    pub broker: BrokerId,
    /// `replica.lag.time.max.ms`
    pub lag_time_max: Duration,
    /// `replica.fetch.backoff.ms`
    pub fetch_backoff: Duration,
    pub policy: ReplicaPolicy,
}

#[derive(Debug)]
pub(super) enum Role {
    /// No metadata yet.
    Idle,
    Leader(Leader),
    Follower(Follower),
}

/// One partition on one broker.
///
/// - The leader epoch and the partition epoch never fall.
/// - It leads only in an epoch whose metadata named it, and proposes an ISR only as such a leader.
/// - At most one AlterPartition is unanswered, whatever becomes of the role (`AlterPartitionManager`).
#[derive(Debug)]
pub struct Replica {
    config: ReplicaConfig,
    /// -1 before the first metadata.
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    pub(super) role: Role,
    /// An AlterPartition of an earlier role that the controller still owes an answer.
    unanswered: Option<AlterPartition>,
}

impl Replica {
    /// For a log whose high watermark was set from `replication-offset-checkpoint`.
    pub fn new(config: ReplicaConfig) -> Self {
        Replica {
            config,
            leader_epoch: LeaderEpoch(-1),
            partition_epoch: PartitionEpoch(-1),
            role: Role::Idle,
            unanswered: None,
        }
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    pub fn partition_epoch(&self) -> PartitionEpoch {
        match &self.role {
            Role::Leader(leader) => leader.partition_epoch(),
            Role::Idle | Role::Follower(_) => self.partition_epoch,
        }
    }

    pub fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Idle | Role::Follower(_) => None,
        }
    }

    /// The leader, for requests that only it may serve.
    pub fn leader_mut(&mut self) -> Result<&mut Leader, ResponseError> {
        match &mut self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Idle | Role::Follower(_) => Err(ResponseError::NotLeaderOrFollower),
        }
    }

    pub fn follower(&self) -> Option<&Follower> {
        match &self.role {
            Role::Follower(follower) => Some(follower),
            Role::Idle | Role::Leader(_) => None,
        }
    }

    /// The controller's word, as this broker's metadata has it; epochs in between may have been skipped.
    pub fn handle_metadata(
        &mut self,
        facts: Facts<'_>,
        metadata: &PartitionMetadata,
        effects: &mut Vec<Effect>,
    ) {
        // An answer to AlterPartition may have told a newer state already; the same one is taken again.
        if metadata.partition_epoch < self.partition_epoch() {
            return;
        }
        if metadata.leader == Some(self.config.broker) {
            self.lead(facts, metadata, effects);
        } else {
            self.follow(facts, metadata, effects);
        }
        self.partition_epoch = metadata.partition_epoch;
        self.leader_epoch = metadata.leader_epoch;
    }

    fn lead(&mut self, facts: Facts<'_>, metadata: &PartitionMetadata, effects: &mut Vec<Effect>) {
        match &mut self.role {
            Role::Leader(leader) => leader.update(facts, metadata, effects),
            Role::Idle | Role::Follower(_) => {
                let unanswered = self.unanswered.take();
                let leader = Leader::elected(&self.config, facts, metadata, unanswered, effects);
                self.role = Role::Leader(leader);
            }
        }
    }

    fn follow(
        &mut self,
        facts: Facts<'_>,
        metadata: &PartitionMetadata,
        effects: &mut Vec<Effect>,
    ) {
        if let Role::Leader(leader) = &mut self.role {
            self.unanswered = leader.take_unanswered();
        } else if metadata.leader_epoch <= self.leader_epoch {
            return;
        }
        let follower = Follower::new(&self.config, facts, metadata, effects);
        self.role = Role::Follower(follower);
    }

    /// What to ask the leader now; nothing if this broker leads, waits, or knows no leader. It stays the same
    /// until an answer or a change of metadata makes it another, so the shell remembers what it has sent.
    pub fn next_request(&self, facts: Facts<'_>) -> Option<FollowerRequest> {
        self.follower()?.next_request(facts)
    }

    /// What came back for a request of [`Self::next_request`], or that nothing did. An answer to a request
    /// that would not be made now changes nothing.
    pub fn handle_answer(
        &mut self,
        facts: Facts<'_>,
        request: &FollowerRequest,
        answer: Result<Answer, ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        if let Role::Follower(follower) = &mut self.role {
            follower.handle_answer(facts, request, answer, effects);
        }
    }

    /// The records of [`Effect::AppendFetched`] were damaged: they are fetched again after a while.
    pub fn handle_append_failed(&mut self, facts: Facts<'_>) {
        if let Role::Follower(follower) = &mut self.role {
            follower.back_off(facts.now);
        }
    }

    /// The controller's answer for this partition to the last [`Effect::AlterPartition`]. Errors of a whole
    /// AlterPartition request are the shell's to retry.
    pub fn handle_alter_partition_response(
        &mut self,
        facts: Facts<'_>,
        response: Result<AlteredPartition, ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        match &mut self.role {
            Role::Leader(leader) => leader.handle_altered(facts, response, effects),
            Role::Idle | Role::Follower(_) => self.unanswered = None,
        }
    }

    /// When to call [`Self::handle_deadline`].
    pub fn next_deadline(&self) -> Instant {
        match &self.role {
            Role::Idle => Instant::FAR_FUTURE,
            Role::Leader(leader) => leader.next_deadline(),
            Role::Follower(follower) => follower.next_deadline(),
        }
    }

    /// Does what is due: a leader looks for members of the ISR that lag, a follower may ask again. Fine to
    /// call at any time.
    pub fn handle_deadline(&mut self, facts: Facts<'_>, effects: &mut Vec<Effect>) {
        match &mut self.role {
            Role::Idle => {}
            Role::Leader(leader) => leader.handle_deadline(facts, effects),
            Role::Follower(follower) => follower.handle_deadline(facts.now, effects),
        }
    }
}
