//! What a leader and a follower alike answer: reads of clients, and where epochs end.

use super::{Effect, Facts, FetchAnswer, FollowerFetch, Leader, LogView, Replica, role::Role};
use crate::kafka::{
    protocol::ResponseError,
    types::{LeaderEpoch, Offset},
};

/// Which replica a request wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadFrom {
    Leader,
    /// A Fetch since version 11 may be for a follower (KIP-392).
    AnyReplica,
}

/// How much of the log a request sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// A replica's or a tool's: up to the end.
    LogEnd,
    /// `read_uncommitted`: up to the high watermark.
    HighWatermark,
    /// `read_committed`: up to the last stable offset, which the shell knows.
    LastStable(Offset),
}

/// Where a client's fetch stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadPosition {
    /// Records from the fetch offset up to this one, exclusive; none if it is not above.
    UpTo(Offset),
    /// The client's last epoch ended here.
    Diverging { epoch: LeaderEpoch, end: Offset },
}

/// What ListOffsets may answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetBound {
    /// What `latest` is, and below which an offset found by its timestamp must lie.
    ///
    /// A new leader does not know it until its high watermark has reached the start of its epoch (KIP-207):
    /// OFFSET_NOT_AVAILABLE for `latest` and for timestamps found at or above `last_fetchable`.
    pub latest: Result<Offset, ResponseError>,
    pub last_fetchable: Offset,
    pub leader_epoch: LeaderEpoch,
}

impl Replica {
    /// A follower's fetch as it arrives: its offset is the end of the follower's log, so the ISR may grow and
    /// the high watermark rise.
    pub fn handle_fetch(
        &mut self,
        facts: Facts<'_>,
        fetch: &FollowerFetch,
        effects: &mut Vec<Effect>,
    ) -> Result<FetchAnswer, ResponseError> {
        check_epoch(self.leader_epoch(), fetch.current_leader_epoch)?;
        self.leader_mut()?.handle_fetch(facts, fetch, effects)
    }

    /// A fetch that its follower has made before, when there was nothing to tell it: notes when it came. False if this
    /// one may have more to say; then it is for [`Self::handle_fetch`].
    pub fn handle_repeated_fetch(&mut self, facts: Facts<'_>, fetch: &FollowerFetch) -> bool {
        check_epoch(self.leader_epoch(), fetch.current_leader_epoch).is_ok()
            && self.leader_mut().is_ok_and(|leader| leader.handle_repeated_fetch(facts, fetch))
    }

    /// Judges a follower's fetch without learning from it: for one that waited and is read again.
    pub fn check_fetch(
        &self,
        log: &dyn LogView,
        fetch: &FollowerFetch,
    ) -> Result<FetchAnswer, ResponseError> {
        check_epoch(self.leader_epoch(), fetch.current_leader_epoch)?;
        self.leader().ok_or(ResponseError::NotLeaderOrFollower)?.check_fetch(log, fetch)
    }

    /// A client's fetch at `offset`.
    pub fn check_read(
        &self,
        log: &dyn LogView,
        from: ReadFrom,
        current_leader_epoch: Option<LeaderEpoch>,
        offset: Offset,
        last_fetched_epoch: Option<LeaderEpoch>,
        visibility: Visibility,
    ) -> Result<ReadPosition, ResponseError> {
        self.check_role(from, current_leader_epoch)?;
        if let Some((epoch, end)) = diverging(log, last_fetched_epoch, offset)? {
            return Ok(ReadPosition::Diverging { epoch, end });
        }
        if offset < log.start_offset() || offset > log.end_offset() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        Ok(ReadPosition::UpTo(bound(log, visibility)))
    }

    /// OffsetForLeaderEpoch: the largest epoch up to `epoch` and where it ended; `None` for unknown.
    pub fn epoch_end(
        &self,
        log: &dyn LogView,
        from: ReadFrom,
        current_leader_epoch: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ResponseError> {
        self.check_role(from, current_leader_epoch)?;
        Ok(log.end_offset_for_epoch(epoch))
    }

    /// ListOffsets.
    pub fn offset_bound(
        &self,
        facts: Facts<'_>,
        from: ReadFrom,
        current_leader_epoch: Option<LeaderEpoch>,
        visibility: Visibility,
    ) -> Result<OffsetBound, ResponseError> {
        self.check_role(from, current_leader_epoch)?;
        let last_fetchable = bound(facts.log, visibility);
        let lags = |leader: &Leader| leader.epoch_start() > facts.log.high_watermark();
        let unknown = visibility != Visibility::LogEnd && self.leader().is_some_and(lags);
        let latest =
            if unknown { Err(ResponseError::OffsetNotAvailable) } else { Ok(last_fetchable) };
        Ok(OffsetBound { latest, last_fetchable, leader_epoch: self.leader_epoch() })
    }

    fn check_role(
        &self,
        from: ReadFrom,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<(), ResponseError> {
        check_epoch(self.leader_epoch(), current_leader_epoch)?;
        match (&self.role, from) {
            (Role::Idle, _) | (Role::Follower(_), ReadFrom::Leader) => {
                Err(ResponseError::NotLeaderOrFollower)
            }
            (Role::Leader(_), _) | (Role::Follower(_), ReadFrom::AnyReplica) => Ok(()),
        }
    }
}

fn bound(log: &dyn LogView, visibility: Visibility) -> Offset {
    match visibility {
        Visibility::LogEnd => log.end_offset(),
        Visibility::HighWatermark => log.high_watermark(),
        Visibility::LastStable(offset) => offset,
    }
}

/// KIP-320: both sides must mean the same epoch. Who names none is not checked.
pub(super) fn check_epoch(
    own: LeaderEpoch,
    theirs: Option<LeaderEpoch>,
) -> Result<(), ResponseError> {
    match theirs {
        Some(theirs) if theirs < own => Err(ResponseError::FencedLeaderEpoch),
        Some(theirs) if theirs > own => Err(ResponseError::UnknownLeaderEpoch),
        Some(_) | None => Ok(()),
    }
}

/// Whether a reader that has `offset` records, the last of `last_epoch`, holds something else than this log;
/// then the largest epoch both may share and its end here.
pub(super) fn diverging(
    log: &dyn LogView,
    last_epoch: Option<LeaderEpoch>,
    offset: Offset,
) -> Result<Option<(LeaderEpoch, Offset)>, ResponseError> {
    let Some(last_epoch) = last_epoch else { return Ok(None) };
    let (epoch, end) =
        log.end_offset_for_epoch(last_epoch).ok_or(ResponseError::OffsetOutOfRange)?;
    // Deleted records cannot be compared.
    if offset < log.start_offset() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    Ok((epoch < last_epoch || end < offset).then_some((epoch, end)))
}
