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

/// How a partition came by a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElectionKind {
    /// From the ISR, or from those that are known to have all that is committed.
    Clean,
    /// A replica that may lack what is committed.
    Unclean,
    /// Nobody could be elected.
    Leaderless,
}

/// A batch in a log, and what tells it from any other at its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BatchAt {
    pub base: Offset,
    pub last: Offset,
    /// Of the leader that took it first.
    pub epoch: i32,
    pub checksum: u32,
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
    /// The outcome of a send: with the partition that was chosen, if one was, and with the offset when it is `Ok` (-1
    /// otherwise, and with acks=0).
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
    /// A leader took one batch from a producer. `base_sequence` is -1 for a producer that is not idempotent.
    Appended {
        partition: TopicPartition,
        base_offset: Offset,
        records: u32,
        /// The leader's epoch and the batch's checksum tell it from any other at its place.
        epoch: i32,
        checksum: u32,
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

    // Replicas of partitions with several. `__cluster_metadata-0` is one of them, and who leads that is the
    // active controller.
    /// The epoch begins at `start` in this broker's log.
    Leads {
        partition: TopicPartition,
        topic_id: Arc<str>,
        epoch: i32,
        start: Offset,
    },
    Follows {
        partition: TopicPartition,
        topic_id: Arc<str>,
        leader: Option<NodeName>,
        epoch: i32,
    },
    HighWatermark {
        partition: TopicPartition,
        offset: Offset,
    },
    /// A batch came into a log that is not from a producer: from the leader's log, or into that of metadata.
    Replicated {
        partition: TopicPartition,
        base_offset: Offset,
        records: u32,
        epoch: i32,
        checksum: u32,
    },
    /// The leader said that this log parts from its own, which has `epoch` up to `end`.
    Diverged {
        partition: TopicPartition,
        leader: NodeName,
        epoch: i32,
        end: Offset,
    },
    LogTruncated {
        partition: TopicPartition,
        from: Offset,
        to: Offset,
    },
    /// The log is empty and goes on at `at`.
    LogRestarted {
        partition: TopicPartition,
        at: Offset,
    },
    LogStartMoved {
        partition: TopicPartition,
        offset: Offset,
    },
    /// Compaction wrote batches before `upto` anew.
    LogCleaned {
        partition: TopicPartition,
        upto: Offset,
    },
    /// All that a replica's log holds, as found on its disk: after a recovery, and at the end.
    LogContents {
        partition: TopicPartition,
        batches: Vec<BatchAt>,
    },
    /// A leader asks the controller for another ISR.
    IsrChangeAsked {
        partition: TopicPartition,
        joining: Vec<NodeName>,
        leaving: Vec<NodeName>,
    },
    IsrChangeRefused {
        partition: TopicPartition,
    },
    /// A leader learnt what the controller made of the ISR.
    IsrConfirmed {
        partition: TopicPartition,
        isr: Vec<NodeName>,
        partition_epoch: i32,
    },
    /// For a controller of that quorum epoch.
    Voted {
        epoch: i32,
        candidate: NodeName,
    },
    /// This broker goes by the metadata before `upto`.
    MetadataApplied {
        upto: Offset,
    },

    // The controller's word: committed metadata, told once, by the first broker that read it.
    PartitionCreated {
        partition: TopicPartition,
        topic_id: Arc<str>,
        replicas: Vec<NodeName>,
        leader: Option<NodeName>,
        isr: Vec<NodeName>,
        epoch: i32,
        partition_epoch: i32,
    },
    /// Another leader, or the same in a new epoch, or none.
    Elected {
        partition: TopicPartition,
        leader: Option<NodeName>,
        was: Option<NodeName>,
        epoch: i32,
        partition_epoch: i32,
        how: ElectionKind,
    },
    IsrShrunk {
        partition: TopicPartition,
        isr: Vec<NodeName>,
        was: Vec<NodeName>,
        partition_epoch: i32,
    },
    IsrGrown {
        partition: TopicPartition,
        isr: Vec<NodeName>,
        was: Vec<NodeName>,
        partition_epoch: i32,
    },
    /// A reassignment gave the partition other replicas.
    ReplicasChanged {
        partition: TopicPartition,
        replicas: Vec<NodeName>,
    },
    TopicDeleted {
        topic: Arc<str>,
    },
    BrokerRegistered {
        broker: NodeName,
        epoch: i64,
    },
    BrokerFenced {
        broker: NodeName,
    },
    BrokerUnfenced {
        broker: NodeName,
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
    /// A coordinator has read the group from its log; a rebalance that an earlier one had begun is
    /// forgotten.
    GroupLoaded {
        group: Arc<str>,
        generation: i32,
        members: Vec<Arc<str>>,
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
    /// Its leader sent the consumer to a follower in the same rack for this partition.
    ReadsFrom {
        partition: TopicPartition,
        broker: NodeName,
    },
}
