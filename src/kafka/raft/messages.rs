//! The requests of the quorum and their answers, as the core sees them; `wire` turns them into Kafka's and back.
//!
//! There is one partition, `__cluster_metadata-0`, so the lists of topics and partitions that the schemas have
//! are not here. Addresses of nodes are the shell's matter.

use std::time::Duration;

use bytes::Bytes;

use super::{OffsetAndEpoch, ReplicaKey};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerId, LeaderEpoch, Offset},
};

#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    Vote(VoteRequest),
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    EndQuorumEpoch(EndQuorumEpochRequest),
    Fetch(FetchRequest),
    FetchSnapshot(FetchSnapshotRequest),
}

/// Whether a vote binds (KIP-996).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ballot {
    /// "Would you vote for me?" Nothing is remembered of it.
    PreVote,
    Vote,
}

#[derive(Clone, PartialEq, Debug)]
pub struct VoteRequest {
    pub cluster_id: Option<String>,
    /// Whom it is meant for; requests before KIP-853 do not say.
    pub voter: Option<ReplicaKey>,
    pub replica: ReplicaKey,
    /// The epoch to be led; with a pre-vote the one the replica is in.
    pub epoch: LeaderEpoch,
    /// How far the log of the replica reaches.
    pub last: OffsetAndEpoch,
    pub ballot: Ballot,
}

#[derive(Clone, PartialEq, Debug)]
pub struct BeginQuorumEpochRequest {
    pub cluster_id: Option<String>,
    pub voter: Option<ReplicaKey>,
    pub leader: BrokerId,
    pub epoch: LeaderEpoch,
}

#[derive(Clone, PartialEq, Debug)]
pub struct EndQuorumEpochRequest {
    pub cluster_id: Option<String>,
    pub leader: BrokerId,
    pub epoch: LeaderEpoch,
    /// Who should stand for election, the fittest first.
    pub preferred_candidates: Vec<ReplicaKey>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FetchRequest {
    pub cluster_id: Option<String>,
    /// Id -1 is somebody who keeps no copy.
    pub replica: ReplicaKey,
    /// The epoch the replica is in.
    pub epoch: LeaderEpoch,
    pub last_fetched_epoch: LeaderEpoch,
    /// The end of its log; a voter has synced all before it.
    pub offset: Offset,
    pub max_wait: Duration,
    pub max_bytes: i32,
    /// What the replica knows to be committed (KIP-1166), -1 if nothing: a higher one is told at once.
    /// `i64::MAX` in requests that do not say.
    pub high_watermark: Offset,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FetchSnapshotRequest {
    pub cluster_id: Option<String>,
    pub replica: ReplicaKey,
    pub epoch: LeaderEpoch,
    pub snapshot: OffsetAndEpoch,
    /// Bytes of it that the replica has.
    pub position: u64,
    pub max_bytes: i32,
}

/// What nearly every answer says of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub error: Option<ResponseError>,
    pub epoch: LeaderEpoch,
    pub leader: Option<BrokerId>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Response {
    /// The request as a whole was refused (a top-level error).
    Refused(ResponseError),
    Vote {
        standing: Standing,
        granted: bool,
    },
    BeginQuorumEpoch(Standing),
    EndQuorumEpoch(Standing),
    Fetch(FetchResponse),
    FetchSnapshot(FetchSnapshotResponse),
}

#[derive(Clone, PartialEq, Debug)]
pub struct FetchResponse {
    pub standing: Standing,
    /// `None` until the leader may call something committed.
    pub high_watermark: Option<Offset>,
    pub log_start: Offset,
    pub outcome: FetchOutcome,
}

#[derive(Clone, PartialEq, Debug)]
pub enum FetchOutcome {
    /// Whole batches; empty if there are none, and with errors.
    Records(Bytes),
    /// The replica's log agrees with the leader's at most up to here.
    Diverging(OffsetAndEpoch),
    /// The replica has to fetch this snapshot.
    Snapshot(OffsetAndEpoch),
}

#[derive(Clone, PartialEq, Debug)]
pub struct FetchSnapshotResponse {
    pub standing: Standing,
    /// `None` with errors.
    pub part: Option<SnapshotPart>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SnapshotPart {
    pub snapshot: OffsetAndEpoch,
    /// Bytes of all of it.
    pub size: u64,
    pub position: u64,
    /// May begin and end within a batch.
    pub bytes: Bytes,
}
