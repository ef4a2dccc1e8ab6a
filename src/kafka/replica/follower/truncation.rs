//! How much of its log a follower gives up for a new leader: `getOffsetTruncationState`, and its history.

use super::{
    super::{LogView, Truncation},
    state::{DivergenceCheck, Phase},
};
use crate::kafka::types::{LeaderEpoch, Offset};

/// How a follower begins a leader epoch.
#[derive(Debug)]
pub(super) struct Start {
    pub truncate_to: Option<Offset>,
    pub phase: Phase,
    pub divergence: DivergenceCheck,
}

impl Default for Start {
    fn default() -> Self {
        let divergence = DivergenceCheck::ByFetch;
        Start { truncate_to: None, phase: Phase::Fetching, divergence }
    }
}

impl Start {
    pub fn under(truncation: Truncation, log: &dyn LogView) -> Self {
        let before = Start { divergence: DivergenceCheck::Before, ..Start::default() };
        // Without epochs there is nothing to compare.
        let by_high_watermark = |start: Start| Start {
            truncate_to: (log.high_watermark() < log.end_offset()).then_some(log.high_watermark()),
            ..start
        };
        let asking = |ends| match log.latest_epoch() {
            Some(_) => Start { phase: Phase::AskingEpochEnd(ends), ..before },
            None => {
                by_high_watermark(Start { divergence: DivergenceCheck::Before, ..Start::default() })
            }
        };
        match truncation {
            Truncation::HighWatermark => by_high_watermark(before),
            Truncation::LeaderEpochKip101 => asking(EpochEnds::OffsetAlone),
            Truncation::LeaderEpochKip279 => asking(EpochEnds::EpochAndOffset),
            Truncation::OnFetch if log.latest_epoch().is_none() => {
                by_high_watermark(Start::default())
            }
            Truncation::OnFetch => Start::default(),
        }
    }
}

/// What a follower reads of the answer to OffsetForLeaderEpoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EpochEnds {
    /// Version 0 of the API had no epoch in its answer.
    OffsetAlone,
    EpochAndOffset,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Truncated {
    /// The log is the leader's up to here.
    Enough(Offset),
    /// At least this goes; the leader is to be asked again, about an older epoch.
    Further(Offset),
}

impl EpochEnds {
    pub fn truncation(
        self,
        log: &dyn LogView,
        epoch_end: Option<(LeaderEpoch, Offset)>,
    ) -> Truncated {
        truncation_by_epoch_end(
            log,
            epoch_end.map(|(epoch, end)| match self {
                EpochEnds::OffsetAlone => (None, end),
                EpochEnds::EpochAndOffset => (Some(epoch), end),
            }),
        )
    }
}

/// Where to cut, given the largest epoch up to the follower's own that the leader knows, and its end.
pub(super) fn truncation_by_epoch_end(
    log: &dyn LogView,
    leaders: Option<(Option<LeaderEpoch>, Offset)>,
) -> Truncated {
    // A leader that knows no epoch leaves the high watermark as the one thing to go by.
    let Some((epoch, leaders_end)) = leaders else {
        return Truncated::Enough(log.high_watermark());
    };
    let known = epoch.and_then(|epoch| Some((epoch, log.end_offset_for_epoch(epoch)?)));
    match known {
        Some((epoch, (own_epoch, own_end))) if own_epoch != epoch => {
            Truncated::Further(own_end.min(log.end_offset()))
        }
        Some((_, (_, own_end))) => {
            Truncated::Enough(own_end.min(leaders_end).min(log.end_offset()))
        }
        None => Truncated::Enough(leaders_end.min(log.end_offset())),
    }
}
