//! The metadata quorum (KRaft), sans-io: who leads, what is committed, who must truncate.
//!
//! A [`Quorum`] is one replica's part in the quorum that keeps `__cluster_metadata-0`: a voter or an observer.
//! It follows Kafka 4.x's `KafkaRaftClient` and `QuorumState`: KIP-595 (a Raft whose followers fetch), KIP-630
//! (snapshots), KIP-853 (replicas are an id and a directory id) and KIP-996 (pre-vote). Left out: voters that
//! change while the quorum runs (the set comes from the configuration), and with it UpdateRaftVoter.
//!
//! A replica's life: `Unattached` (knows the epoch, not the leader) -> `Prospective` (asks whether it would win)
//! -> `Candidate` (epoch + 1, asks for votes) -> `Leader` -> `Resigned`; and `Follower` of whoever won. Observers
//! are only ever unattached or followers, and never vote.
//!
//! **What the shell does.** One task per replica gives inputs to the core one after the other and does each
//! call's [`Effect`]s in order, to the end, before the next call: a vote is durable before it is answered because
//! [`Effect::Persist`] stands before [`Effect::Answer`]. Two things come back later as inputs of their own: answers
//! to requests, and the end of a log sync. Whenever the log's start or end changed, by an effect or because the
//! active controller appended, `handle_log_changed` is the next input.
//!
//! To read in order: `quorum` (the state and its verbs), `log` (what the core reads of the log), `transitions`,
//! the roles (`unattached`, `prospective`, `candidate`, `leader`, `follower`, `resigned`), `votes`, `epochs`,
//! `fetches`, `snapshots`, `responses`, `peers`; `wire` for Kafka's encoding.

mod candidate;
mod config;
mod effect;
mod election_state;
mod epochs;
mod fetches;
mod follower;
mod leader;
mod log;
mod messages;
mod peers;
mod prospective;
mod quorum;
mod replica_key;
mod resigned;
mod responses;
mod snapshots;
mod transitions;
mod unattached;
mod votes;
pub mod wire;

#[cfg(test)]
mod tests;

pub use config::{CommitRule, PreVote, QuorumConfig, QuorumFlush, QuorumPolicies};
pub use effect::{Correlation, Effect, Fault, RequestToken, SyncToken};
pub use election_state::{ElectionState, ElectionStateError, QUORUM_STATE_FILE};
pub use log::QuorumLog;
pub use messages::{
    Ballot, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchOutcome, FetchRequest,
    FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, Request, Response, SnapshotPart,
    Standing, VoteRequest,
};
pub use quorum::{Jitter, Now, Quorum, ReplicaProgress, RoleName};
pub use replica_key::{OffsetAndEpoch, ReplicaKey};
