//! One thing that happened, when, where, and because of what.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{LoggedRecord, RecordId};
use crate::kafka::types::{Offset, TopicPartition};

/// A simulated machine's name: `b1`, `shop`, `billing/2`; `trial` is the testbed itself.
pub type NodeName = Arc<str>;

/// Position in the history; shown as `e212`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u32);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

#[derive(Clone, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    /// Virtual time, nanoseconds since the trial began.
    pub at: u64,
    pub node: NodeName,
    /// `None` only for the first event of a machine that nothing else caused.
    pub cause: Option<EventId>,
    pub kind: EventKind,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Ok,
    /// Definitely not done. The name is the Java client's exception.
    Failed {
        error: Arc<str>,
    },
    /// May have been done or not.
    Unknown {
        error: Arc<str>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Phase {
    Load,
    Heal,
    Drain,
    Check,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CommitKind {
    Sync,
    Async,
    Auto,
    /// The auto-commit that `close()` makes.
    Close,
}

/// What a machine lost when it stopped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Loss {
    /// The process; the page cache survives.
    Process,
    /// Power: unsynced pages survive or not.
    Power,
    /// Nothing: it ended in an orderly way.
    Nothing,
}

/// What a fault did to a link, a disk, a clock or a handler. Crashes and pauses are events of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    Sever,
    Hold,
    Delay,
    Reset,
    SlowDisk,
    FullDisk,
    LyingDisk,
    WipedDisk,
    MovedClock,
    Stall,
}

/// A record as a poll returned it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub partition: TopicPartition,
    pub offset: Offset,
    pub record: Option<RecordId>,
}

/// Everything below `offset` of a partition: what a commit covers, where a position stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct OffsetReach {
    pub partition: TopicPartition,
    pub offset: Offset,
}

#[derive(Clone, PartialEq, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    // The trial.
    Phase {
        phase: Phase,
    },
    /// A step of the plan fired; `step` is its index there.
    Step {
        step: usize,
        say: Option<Arc<str>>,
    },

    // Machines and faults.
    MachineStarted {
        incarnation: u32,
    },
    MachineStopped {
        loss: Loss,
    },
    MachinePaused,
    MachineResumed,
    /// A fault that is not a machine's life: `sever b1 -> b2`.
    Fault {
        fault: FaultKind,
        what: Arc<str>,
    },
    /// The end of one that the plan ended before everything healed.
    Healed {
        what: Arc<str>,
    },

    // Producers.
    Sent {
        record: RecordId,
        topic: Arc<str>,
        key: Option<Arc<str>>,
    },
    /// The outcome of a send; `partition` and `offset` only when it is `Ok` (and -1 with acks=0).
    SendEnded {
        record: RecordId,
        outcome: Outcome,
        partition: Option<TopicPartition>,
        offset: Offset,
    },
    /// A client sent a batch to a broker again: the first answer did not come or was an error.
    BatchRetried {
        partition: TopicPartition,
        base_sequence: i32,
        attempt: u32,
        error: Arc<str>,
    },
    /// All outcomes are known and the client is closed (or abandoned).
    ProducerDone {
        abandoned: u64,
    },

    // Brokers.
    BrokerStarted,
    /// Recovery read a log; `cut_bytes` of a torn tail were removed.
    LogRecovered {
        partition: TopicPartition,
        end: Offset,
        cut_bytes: u64,
    },
    /// One batch entered a log. `base_sequence` is -1 for a producer that is not idempotent.
    Appended {
        partition: TopicPartition,
        base_offset: Offset,
        records: u32,
        producer_id: i64,
        base_sequence: i32,
    },
    /// A retry was recognised and answered with the first append's offsets.
    Deduplicated {
        partition: TopicPartition,
        base_offset: Offset,
        base_sequence: i32,
    },
    AppendRejected {
        partition: TopicPartition,
        error: Arc<str>,
    },
    Flushed {
        partition: TopicPartition,
        upto: Offset,
    },
    StorageFailed {
        error: Arc<str>,
    },

    // Group coordination, as the coordinator decided it.
    MemberJoined {
        group: Arc<str>,
        member: Arc<str>,
        client: Arc<str>,
    },
    MemberLeft {
        group: Arc<str>,
        member: Arc<str>,
        client: Arc<str>,
        reason: Arc<str>,
    },
    RebalanceStarted {
        group: Arc<str>,
        reason: Arc<str>,
    },
    /// The generation's assignment is decided. Owners are client ids, as the actors set them.
    Generation {
        group: Arc<str>,
        generation: i32,
        members: Vec<Arc<str>>,
        owners: Vec<(TopicPartition, Arc<str>)>,
    },
    /// The coordinator accepted a commit.
    OffsetsCommitted {
        group: Arc<str>,
        client: Arc<str>,
        offsets: Vec<OffsetReach>,
    },
    CommitRejected {
        group: Arc<str>,
        client: Arc<str>,
        error: Arc<str>,
    },

    // Consumers.
    Joined {
        generation: i32,
        partitions: Vec<TopicPartition>,
    },
    Revoked {
        partitions: Vec<TopicPartition>,
    },
    /// Taken away without a chance to commit.
    Lost {
        partitions: Vec<TopicPartition>,
    },
    /// Left the group by itself: closed, or `max.poll.interval.ms` passed.
    LeftGroup {
        reason: Arc<str>,
    },
    /// Where reading a partition begins, and why: `committed`, `reset-to-earliest`, `reset-to-latest`, `seek`.
    PositionSet {
        partition: TopicPartition,
        offset: Offset,
        why: Arc<str>,
    },
    Polled {
        records: Vec<Delivery>,
    },
    Processing {
        partition: TopicPartition,
        offset: Offset,
        record: Option<RecordId>,
    },
    Processed {
        partition: TopicPartition,
        offset: Offset,
        record: Option<RecordId>,
    },
    ProcessingFailed {
        partition: TopicPartition,
        offset: Offset,
        error: Arc<str>,
    },
    /// The sink shows the record's effect.
    Effect {
        group: Arc<str>,
        partition: TopicPartition,
        offset: Offset,
        record: Option<RecordId>,
    },
    HandedOff {
        partition: TopicPartition,
        offset: Offset,
    },
    CommitInvoked {
        kind: CommitKind,
        offsets: Vec<OffsetReach>,
    },
    CommitEnded {
        kind: CommitKind,
        outcome: Outcome,
        offsets: Vec<OffsetReach>,
    },
    /// The client's or application's call failed; the name is the Java client's exception.
    Error {
        name: Arc<str>,
        message: Arc<str>,
    },
    /// The member's program ended by itself.
    ConsumerClosed,

    // The end, read back by a client after the drain.
    /// A partition's log: its bounds and all its records.
    FinalLog {
        partition: TopicPartition,
        start: Offset,
        end: Offset,
        records: Vec<LoggedRecord>,
    },
    FinalCommitted {
        group: Arc<str>,
        partition: TopicPartition,
        offset: Option<Offset>,
    },
    /// The group's state by Kafka's name: `Stable`, `Empty`, `PreparingRebalance`, ...
    FinalGroup {
        group: Arc<str>,
        state: Arc<str>,
    },
    /// A bound of the trial was reached: the plan's limit, or the drain's.
    NoProgress {
        what: Arc<str>,
    },
    /// A node's code panicked: a bug.
    Crashed {
        message: Arc<str>,
    },
}
