//! What the core reads of the metadata log, and what it concludes from that: `ReplicatedLog`.

use super::OffsetAndEpoch;
use crate::kafka::types::{LeaderEpoch, Offset};

/// The facts of the log, as they are when the core is called.
pub trait QuorumLog {
    /// 0, or the end offset of the snapshot that took the place of what stood before.
    fn start_offset(&self) -> Offset;

    fn end_offset(&self) -> Offset;

    /// The epoch of the last record; of the snapshot if the log holds none; 0 if there is neither.
    fn last_epoch(&self) -> LeaderEpoch;

    /// The largest epoch in the log that is not above `epoch`, and where it ends. For an epoch before all of
    /// the log's, the snapshot at its start, or offset 0 if there is none.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch;

    /// The snapshot at the log's start, if that is not 0.
    fn earliest_snapshot(&self) -> Option<OffsetAndEpoch>;

    fn latest_snapshot(&self) -> Option<OffsetAndEpoch>;

    /// Bytes of a snapshot that is complete; `None` if there is no such snapshot.
    fn snapshot_size(&self, snapshot: OffsetAndEpoch) -> Option<u64>;
}

/// The snapshot that `kafka-storage format` may leave; it is never replicated.
pub const BOOTSTRAP_SNAPSHOT: OffsetAndEpoch = OffsetAndEpoch::new(Offset(0), LeaderEpoch(0));

/// What a leader makes of a replica's position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Position {
    /// The logs agree up to there.
    Valid,
    /// They agree at most up to here.
    Diverging(OffsetAndEpoch),
    /// What the replica needs next is in this snapshot only.
    Snapshot(OffsetAndEpoch),
}

/// `ReplicatedLog.validateOffsetAndEpoch`, and the shortcut of an empty replica to the latest snapshot.
pub(super) fn validate(log: &dyn QuorumLog, offset: Offset, epoch: LeaderEpoch) -> Position {
    let latest = log.latest_snapshot().filter(|snapshot| *snapshot != BOOTSTRAP_SNAPSHOT);
    if let (Offset(0), Some(snapshot)) = (offset, latest) {
        return Position::Snapshot(snapshot);
    }
    if offset == Offset(0) && log.start_offset() == Offset(0) {
        return Position::Valid;
    }
    if let (Some(earliest), Some(latest)) = (log.earliest_snapshot(), latest) {
        let start = log.start_offset();
        let before = offset < start || (offset == start && epoch != earliest.epoch);
        if before || epoch < earliest.epoch {
            return Position::Snapshot(latest);
        }
    }
    let end = log.end_of_epoch(epoch);
    if end.epoch != epoch || end.offset < offset {
        Position::Diverging(end)
    } else {
        Position::Valid
    }
}

/// Where a follower cuts its log that the leader says agrees at most up to `diverging`
/// (`ReplicatedLog.truncateToEndOffset`).
pub(super) fn truncation_point(log: &dyn QuorumLog, diverging: OffsetAndEpoch) -> Offset {
    if diverging.epoch == LeaderEpoch(0) {
        return diverging.offset.min(log.end_offset());
    }
    let local = log.end_of_epoch(diverging.epoch);
    if local.epoch == diverging.epoch { local.offset.min(diverging.offset) } else { local.offset }
}

/// How far the log reaches, as votes tell it.
pub(super) fn reach(log: &dyn QuorumLog) -> OffsetAndEpoch {
    OffsetAndEpoch::new(log.end_offset(), log.last_epoch())
}
