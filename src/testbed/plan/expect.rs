//! What a trial must show: a guarantee's verdict with its cause, or a fact.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::kafka::types::{Offset, TopicPartition};

/// A place in a log: `orders-0@2`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordAt {
    pub partition: TopicPartition,
    pub offset: Offset,
}

impl fmt::Display for RecordAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

impl From<RecordAt> for String {
    fn from(record: RecordAt) -> String {
        record.to_string()
    }
}

impl TryFrom<String> for RecordAt {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for RecordAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a record: expected topic-partition@offset, like orders-0@2")
        };
        let (partition, offset) = text.split_once('@').ok_or_else(wrong)?;
        Ok(RecordAt {
            partition: TopicPartition::try_from(partition.to_owned()).map_err(|_| wrong())?,
            offset: Offset(offset.parse().map_err(|_| wrong())?),
        })
    }
}

/// What a checker judges. Application guarantees are judged per group, log guarantees per topic or
/// producer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantee {
    /// No record was processed twice.
    ProcessedAtMostOnce,
    /// Every acked record was processed.
    ProcessedAtLeastOnce,
    /// Both of the above.
    ProcessedExactlyOnce,
    /// No record has two effects in the sink.
    EffectAtMostOnce,
    /// Every acked record has an effect in the sink.
    EffectAtLeastOnce,
    /// Exactly one effect per acked record.
    EffectExactlyOnce,
    /// One producer's records appear in each partition in the order they were sent.
    PartitionOrder,
    /// Records of one key appear in one partition, in the order they were sent.
    KeyOrder,
    /// Records of one topic are delivered to a group in the order they were sent, whatever their partition.
    TopicOrder,
    /// One send is one record.
    NoDuplicateAppend,
    /// Every acked record is in the log at the end, at its offset.
    AckedRecordsSurvive,
    /// No commit passes a record the group had not finished.
    NoCommitPassesUnprocessed,
    /// One offset never shows two different records to anybody.
    OffsetsAgree,
    /// Between assignments and seeks the offsets a consumer sees rise.
    MonotonePolls,
    /// Per generation a partition has one owner.
    OneOwner,
    /// A group passes over no record between its positions.
    NoSkip,
    /// After the heal every group has processed or passed everything.
    LagDrains,
    /// After the heal every group is stable.
    GroupSettles,
    /// Two replicas never show different records at one offset, and end alike.
    ReplicasAgree,
    /// What a group read never gives way to another record, or to none.
    CommittedReadsStable,
    /// Every send of a producer is acknowledged.
    WritesAccepted,
    /// The metadata quorum has one leader per epoch, and what it committed stays.
    QuorumAgrees,
    /// After the heal every partition has a leader, its full ISR and equal logs.
    ClusterHeals,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedVerdict {
    Holds,
    Violated,
}

/// Why a guarantee broke, found from the history by the checker, never told by the author.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A commit covered records whose processing had not finished, and the member was lost.
    CommittedBeforeProcessing,
    ReprocessedAfterRestart,
    ReprocessedAfterRebalance,
    /// `close()` after an error committed what was delivered but not processed.
    ClosedAfterError,
    /// Work given to another thread was lost after its offsets were committed.
    HandedOff,
    /// The handler failed on the record and the loop went on.
    SkippedAfterError,
    UnflushedPowerLoss,
    /// The leader failed before those that were elected had the record, and cut it off when it came back.
    TruncatedAfterElection,
    /// A replica that was not in sync was elected.
    UncleanElection,
    WipedDisk,
    /// A follower did not cut off what its leader has not, and went on behind it.
    NotTruncated,
    /// A follower went on in an epoch it had not heard of, behind what its leader had cut off.
    StaleFollower,
    /// A follower showed records as committed that it was about to cut off.
    ShownBeforeTruncation,
    /// Fewer replicas were in sync than `min.insync.replicas`.
    NotEnoughReplicas,
    /// Nobody led the partition, or nobody who could be reached.
    NoLeader,
    /// The disk claimed a sync it did not do.
    LyingDisk,
    NeverSent,
    /// A retry of a batch that had been appended.
    RetryDuplicate,
    /// A retry of a batch that a later one had overtaken.
    RetryReorder,
    /// A later batch was taken before an earlier one, which never fitted afterwards.
    SequenceGap,
    /// The application sent the record again after an unknown outcome.
    Resent,
    ResetToLatest,
    ResetToEarliest,
    /// Explicit or changing partitioning put records of one key into several partitions.
    KeyMoved,
    /// Partitions are read independently of each other.
    SeveralPartitions,
    /// The trial's evidence names no single one.
    Unexplained,
}

/// On how many of the swept seeds an expectation must be met.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    EverySeed,
    SomeSeed,
    /// At least this share of them.
    Rate(f64),
}

/// `"= 10"`, `">= 1"`; a bare value means equality.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Comparison {
    Equal(i64),
    AtLeast(i64),
    AtMost(i64),
}

/// Something countable that is true at the end, or when a step fired.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactKind {
    /// Partitions of a topic.
    Partitions,
    LogStart,
    LogEnd,
    /// A group's committed offset of a partition: `of = "billing orders-0"`.
    Committed,
    Lag,
    Generation,
    Rebalances,
    /// Errors with that `name` at an actor.
    Error,
    /// Records in a topic or partition, or acked to a producer.
    Records,
    Acked,
    /// Records delivered to, or processed by, a group or member.
    Delivered,
    Processed,
    /// Members that own no partition in the last generation.
    IdleMembers,
    /// Batches appended to a partition or topic.
    Batches,
    /// Duplicate batches the broker recognised.
    Deduplicated,
    /// Times a producer sent a batch again.
    Retries,
    /// The number of the broker that leads a partition; -1 for none.
    Leader,
    /// A partition's leader epoch.
    Epoch,
    /// Members of a partition's ISR.
    Isr,
    /// The high watermark of a partition's leader.
    Hw,
    /// Times the controller gave a partition another leader.
    Elections,
    /// Times a leader sent a consumer to a follower in its rack.
    SentToFollower,
    /// Partitions of topics that a broker leads.
    Leads,
    /// Partitions of topics that a broker keeps a copy of.
    Replicas,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Expectation {
    Guarantee {
        guarantee: Guarantee,
        of: String,
        verdict: ExpectedVerdict,
        /// Exactly these records are concerned.
        records: Option<Vec<RecordAt>>,
        /// How many are concerned.
        count: Option<Comparison>,
        cause: Option<Cause>,
        over: Tolerance,
        say: Option<String>,
    },
    Fact {
        fact: FactKind,
        of: String,
        /// For [`FactKind::Error`], and for [`FactKind::Retries`] of one kind.
        name: Option<String>,
        is: Comparison,
        /// Judged when this step fired; otherwise at the end.
        after: Option<String>,
        over: Tolerance,
        say: Option<String>,
    },
}
