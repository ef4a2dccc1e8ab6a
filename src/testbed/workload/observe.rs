//! A client's own tale as history events.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    kafka::{
        client::{
            AttemptFailure, ClientError, ClientEvent, ClientObserver, CommitCause, LeaveCause,
            OffsetsByPartition, ResetTo,
        },
        types::{Offset, TopicPartition},
    },
    testbed::{
        cluster::Stage,
        history::{CommitKind, EventId, EventKind, NodeName, OffsetReach, Outcome},
    },
};

/// Writes one machine's events into the history; cheap to clone.
#[derive(Clone)]
pub(super) struct Journal {
    stage: Stage,
    node: NodeName,
    /// The application's commit under way is asynchronous.
    commits_async: Arc<AtomicBool>,
}

impl Journal {
    pub fn new(stage: Stage, node: NodeName) -> Self {
        Journal { stage, node, commits_async: Arc::default() }
    }

    /// Records an event at the present moment; see `Recorder::record` for `cause`.
    pub fn record(&self, cause: Option<EventId>, kind: EventKind) -> EventId {
        self.stage.record(&self.node, cause, kind)
    }

    pub fn error(&self, error: &ClientError) {
        let (name, message) = (error.exception_name().into(), error.to_string().into());
        self.record(None, EventKind::Error { name, message });
    }

    /// Says of which kind the application's next commits are.
    pub fn commits_are(&self, kind: CommitKind) {
        self.commits_async.store(kind == CommitKind::Async, Ordering::Relaxed);
    }

    fn kind(&self, cause: CommitCause) -> CommitKind {
        match cause {
            CommitCause::Application if self.commits_async.load(Ordering::Relaxed) => {
                CommitKind::Async
            }
            CommitCause::Application => CommitKind::Sync,
            CommitCause::Interval | CommitCause::Rebalance => CommitKind::Auto,
            CommitCause::Close => CommitKind::Close,
        }
    }
}

fn reaches(offsets: OffsetsByPartition) -> Vec<OffsetReach> {
    let reach = |(partition, offset): (TopicPartition, Offset)| OffsetReach { partition, offset };
    BTreeMap::into_iter(offsets).map(reach).collect()
}

/// Whether the offsets may have been committed in spite of the error.
fn outcome(error: &ClientError) -> Outcome {
    let name = error.exception_name().into();
    match error {
        ClientError::Timeout(_)
        | ClientError::Disconnect
        | ClientError::RetriableCommitFailed(_)
        | ClientError::Wakeup
        | ClientError::Closed => Outcome::Unknown { error: name },
        _ => Outcome::Failed { error: name },
    }
}

fn failure_name(failure: &AttemptFailure) -> &'static str {
    match failure {
        AttemptFailure::Refused(code) => crate::kafka::client::exception_of(*code),
        AttemptFailure::Disconnected => "NetworkException",
        AttemptFailure::NotSent => "NetworkException (not sent)",
        AttemptFailure::TimedOut => "TimeoutException (no answer)",
        AttemptFailure::Expired => "TimeoutException (delivery.timeout.ms)",
        AttemptFailure::Split => "RecordTooLargeException (split)",
        AttemptFailure::Aborted => "KafkaException (closed)",
    }
}

fn leave_reason(cause: &LeaveCause) -> String {
    match cause {
        LeaveCause::Closed => "closed".into(),
        LeaveCause::Unsubscribed => "unsubscribed".into(),
        LeaveCause::PollTimeout => "max.poll.interval.ms passed".into(),
        LeaveCause::Fenced(code) => {
            format!("fenced: {}", crate::kafka::client::exception_of(*code))
        }
    }
}

impl ClientObserver for Journal {
    fn observe(&self, event: ClientEvent) {
        let kind = match event {
            ClientEvent::BatchRetried { batch, cause } => EventKind::BatchRetried {
                partition: batch.partition,
                base_sequence: batch.sequence.map_or(-1, |sequence| sequence.base_sequence.0),
                attempt: batch.attempt,
                error: failure_name(&cause).into(),
            },
            ClientEvent::Joined { generation, assignment, .. } => {
                EventKind::Joined { generation: generation.0, partitions: assignment }
            }
            ClientEvent::Revoked { partitions, .. } => EventKind::Revoked { partitions },
            ClientEvent::Lost { partitions } => EventKind::Lost { partitions },
            ClientEvent::Left { cause, .. } => {
                EventKind::LeftGroup { reason: leave_reason(&cause).into() }
            }
            ClientEvent::CommitSent { offsets, cause, .. } => {
                EventKind::CommitInvoked { kind: self.kind(cause), offsets: reaches(offsets) }
            }
            ClientEvent::Committed { offsets, cause } => EventKind::CommitEnded {
                kind: self.kind(cause),
                outcome: Outcome::Ok,
                offsets: reaches(offsets),
            },
            ClientEvent::CommitFailed { offsets, cause, error } => EventKind::CommitEnded {
                kind: self.kind(cause),
                outcome: outcome(&error),
                offsets: reaches(offsets),
            },
            ClientEvent::OffsetReset { partition, to, offset } => {
                let why = match to {
                    ResetTo::Earliest => "reset-to-earliest",
                    ResetTo::Latest => "reset-to-latest",
                };
                EventKind::PositionSet { partition, offset, why: why.into() }
            }
            ClientEvent::PositionRestored { partition, offset } => {
                EventKind::PositionSet { partition, offset, why: "committed".into() }
            }
            ClientEvent::OutOfRange { partition, position } => EventKind::Error {
                name: "OffsetOutOfRangeException".into(),
                message: format!("position {position} of {partition}").into(),
            },
            ClientEvent::ReadsFrom { partition, replica } => {
                EventKind::ReadsFrom { partition, broker: format!("b{}", replica.0).into() }
            }
            // What the history says otherwise, or needs not to know.
            ClientEvent::ProducerIdObtained { .. }
            | ClientEvent::EpochBumped { .. }
            | ClientEvent::BatchSent(_)
            | ClientEvent::BatchAcked { .. }
            | ClientEvent::BatchFailed { .. }
            | ClientEvent::Joining { .. }
            | ClientEvent::Assigned { .. } => return,
        };
        self.record(None, kind);
    }
}
