//! What the core asks of the shell.

use bytes::Bytes;

use super::{ElectionState, FetchResponse, OffsetAndEpoch, Request, Response, Standing};
use crate::kafka::types::{BrokerId, LeaderEpoch, Offset};

/// A received request, to be answered once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestToken(pub u64);

/// A request of ours; its answer comes back with the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Correlation(pub u64);

/// A sync of the log that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SyncToken(pub u64);

/// Done in order. What stands after [`Effect::Persist`] must not happen before it is durable.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Put this into `quorum-state` ([`ElectionState::to_json`]): written beside, synced, renamed, and the
    /// directory synced. If that fails the node stops.
    Persist(ElectionState),
    /// To the voter `to`. Its answer goes to `handle_response`, its failure to `handle_request_failed`.
    Send {
        to: BrokerId,
        correlation: Correlation,
        request: Request,
    },
    Answer {
        request: RequestToken,
        response: Response,
    },
    /// Answer a Fetch with the records from `from` on, also those not committed: whole batches, at least one
    /// if there is one, else about `max_bytes`. They take the place of the response's own.
    AnswerWithRecords {
        request: RequestToken,
        from: Offset,
        max_bytes: i32,
        response: FetchResponse,
    },
    /// Answer a FetchSnapshot with the snapshot's bytes from `position` on.
    AnswerWithSnapshot {
        request: RequestToken,
        standing: Standing,
        snapshot: OffsetAndEpoch,
        size: u64,
        position: u64,
        max_bytes: i32,
    },
    /// Append what the leader sent, with the epochs it has. Then `handle_log_changed`, also if the records
    /// turn out to be unfit, and nothing was appended.
    AppendFetched {
        records: Bytes,
    },
    /// Append a LeaderChange control record under `epoch`. Then `handle_log_changed`.
    AppendLeaderChange {
        epoch: LeaderEpoch,
        leader: BrokerId,
        voters: Vec<BrokerId>,
        granting: Vec<BrokerId>,
    },
    /// Remove everything from `to` on. Then `handle_log_changed`.
    TruncateLog {
        to: Offset,
    },
    /// Start to sync the log as it is; when all of it is durable, `handle_log_synced`. The shell need not wait
    /// for it. If it fails the node stops.
    SyncLog(SyncToken),
    /// Write this part of a snapshot that is being fetched; at position 0 begin it anew.
    WriteSnapshot {
        snapshot: OffsetAndEpoch,
        position: u64,
        bytes: Bytes,
    },
    /// The snapshot is all there: make it durable if it is not, and let the log be empty, starting and ending at its end.
    /// Then `handle_log_changed`.
    InstallSnapshot {
        snapshot: OffsetAndEpoch,
    },
    /// Everything before is committed and may be read. Rises, and never falls while the process lives.
    HighWatermarkMoved(Offset),
    /// Who leads the quorum, as far as is known, changed.
    LeaderChanged {
        epoch: LeaderEpoch,
        leader: Option<BrokerId>,
    },
    /// This replica leads, and the first record of its epoch is committed: the controller may act, and append
    /// under `epoch`. Stands after the [`Effect::HighWatermarkMoved`] that says so.
    BecameLeader {
        epoch: LeaderEpoch,
    },
    /// Ends what [`Effect::BecameLeader`] began: nothing may be appended any more.
    LostLeadership {
        epoch: LeaderEpoch,
    },
    /// What must not happen: the node stops. Kafka throws, and its fault handler ends the process.
    Halt(Fault),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    #[error("leader asks to truncate to {to}, below the high watermark {high_watermark}")]
    CommittedTruncated { to: Offset, high_watermark: Offset },
    #[error("leader's high watermark {told} is below the known {known}")]
    HighWatermarkFell { told: Offset, known: Offset },
}
