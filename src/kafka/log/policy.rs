//! What Kafka's logs once did otherwise, or will do, as named choices.
//!
//! The defaults are the present behaviour (4.1). Each choice is read in one place; `tests/historical.rs` shows
//! what comes of it.

use serde::{Deserialize, Serialize};

/// How a log's rules are set. Written as `epoch-checkpoint-fsync = "off"`; what is not written is as it is
/// at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogPolicy {
    pub epoch_checkpoint_fsync: EpochCheckpointFsync,
    pub segment_dir_fsync: SegmentDirFsync,
    pub truncation_fsync: TruncationFsync,
    pub first_sequence_on_empty_state: FirstSequenceOnEmptyState,
    pub high_watermark_checkpoint: HighWatermarkCheckpoint,
}

/// Whether `leader-epoch-checkpoint` is synced when entries are cut off it: by truncation, and as the log's
/// start moves. A new entry is always synced, and all before it with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpochCheckpointFsync {
    #[default]
    On,
    /// Neither the file nor its name: a power loss may leave an empty file under the name. 3.7
    /// (KAFKA-15046, undone by KAFKA-16541).
    Off,
}

/// Whether a flush that made a segment's contents durable does the same for its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentDirFsync {
    #[default]
    On,
    /// Nor for that of the file of epochs. Before 3.0 (KAFKA-3968). Kafka synced no directory at all then;
    /// cleaning and retention still do here.
    Off,
}

/// Whether a cut of a log, a follower's or recovery's, is durable before anything is written over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TruncationFsync {
    /// No release does.
    #[default]
    On,
    /// A power loss may undo the cut, or a part of it: old records among new ones. Every release.
    Off,
}

/// Which sequence a log takes from a producer that it knows nothing of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstSequenceOnEmptyState {
    /// Any: a batch sent second may arrive first, and then the first never fits. 2.5 (KIP-360) to 4.4.
    #[default]
    Any,
    /// 0, while the log never held a record; in one that did, any, as a producer's records may be gone and
    /// its state with them. Since 4.5 (KAFKA-15591).
    ZeroInEmptyLog,
    /// 0: other producers' records say nothing of this one's first batch. A producer whose state is gone has a next
    /// batch refused that follows its last acknowledged one, and begins a new epoch. As KAFKA-18202 has it for
    /// transactions, with that error; for the rest proposed (KAFKA-19880, which would answer UNKNOWN_PRODUCER_ID) and
    /// in no release.
    Zero,
}

/// What a log's high watermark is after a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HighWatermarkCheckpoint {
    /// What `replication-offset-checkpoint` says.
    #[default]
    Kept,
    /// The log's start: the task that writes the checkpoint began before the partitions were there, and so
    /// left them out. Before 0.8 for every partition (KAFKA-769), before 0.8.2 for those whose leader was
    /// down at the start (KAFKA-1647).
    ResetAtStart,
}
