//! What a replica of the quorum is told at its start, and the behaviours that Kafka once had.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ReplicaKey;
use crate::kafka::types::BrokerId;

/// `KafkaRaftClient.MAX_FETCH_SIZE_BYTES`, which KIP-1219 makes settings of.
const FETCH_MAX_BYTES: i32 = 8 * 1024 * 1024;

#[derive(Clone, PartialEq, Debug)]
pub struct QuorumConfig {
    pub local: ReplicaKey,
    /// Requests of another cluster are refused.
    pub cluster_id: String,
    /// `controller.quorum.voters`, with their directories where they are known.
    pub voters: BTreeMap<BrokerId, Uuid>,
    /// `controller.quorum.election.timeout.ms`: the least; chance adds as much again.
    pub election_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max: Duration,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`
    pub fetch_snapshot_max_bytes: i32,
    pub policies: QuorumPolicies,
}

impl QuorumConfig {
    /// Kafka's defaults (`QuorumConfig`).
    pub fn new(local: ReplicaKey, cluster_id: impl Into<String>, voters: &[ReplicaKey]) -> Self {
        QuorumConfig {
            local,
            cluster_id: cluster_id.into(),
            voters: voters.iter().map(|voter| (voter.id, voter.directory)).collect(),
            election_timeout: Duration::from_millis(1000),
            election_backoff_max: Duration::from_millis(1000),
            fetch_timeout: Duration::from_millis(2000),
            request_timeout: Duration::from_millis(2000),
            retry_backoff: Duration::from_millis(20),
            fetch_max_bytes: FETCH_MAX_BYTES,
            fetch_snapshot_max_bytes: FETCH_MAX_BYTES,
            policies: QuorumPolicies::default(),
        }
    }

    pub fn is_voter(&self, replica: ReplicaKey) -> bool {
        self.voters
            .get(&replica.id)
            .is_some_and(|&directory| ReplicaKey::new(replica.id, directory).admits(replica))
    }

    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// The voters but for this replica.
    pub fn others(&self) -> impl Iterator<Item = ReplicaKey> + '_ {
        self.voters
            .iter()
            .filter(|(id, _)| **id != self.local.id)
            .map(|(&id, &directory)| ReplicaKey::new(id, directory))
    }
}

/// Behaviours that Kafka once had, and what took their place (the defaults).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct QuorumPolicies {
    pub quorum_flush: QuorumFlush,
    pub commit_rule: CommitRule,
    pub pre_vote: PreVote,
}

/// What of a voter's log counts towards a majority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuorumFlush {
    /// What it has synced (KAFKA-10533).
    #[default]
    BeforeAcknowledging,
    /// What it has appended; the quorum never syncs its log. Before 2.8.
    Never,
}

/// When a new leader may call something committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitRule {
    /// When a majority has a record of the leader's own epoch (KAFKA-12619).
    #[default]
    OwnEpochRecord,
    /// When a majority has reached the offset its epoch starts at: one record too early. 2.8.
    EpochStart,
    /// When a majority has it, whatever epoch wrote it. Never shipped: what section 5.4.2 of the Raft paper
    /// rules out (its figure 8).
    AnyEpoch,
}

/// Whether a replica asks if it would win before it raises the epoch (KIP-996).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreVote {
    #[default]
    On,
    /// Before 4.0.
    Off,
}
