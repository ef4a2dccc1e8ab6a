//! A follower's state, its requests and their answers: `AbstractFetcherThread`, for one partition.

use std::time::Duration;

use super::{
    super::{
        Effect, Facts, FetchEpochCheck, FollowerApplies, LogView, PartitionMetadata, ReplicaPolicy,
        role::ReplicaConfig,
    },
    truncation::{EpochEnds, Start, Truncated, truncation_by_epoch_end},
};
use crate::{
    env::Instant,
    kafka::{
        protocol::ResponseError,
        types::{BrokerId, LeaderEpoch, Offset},
    },
};

/// One question to the leader, whatever other partitions travel with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowerRequest {
    pub leader: BrokerId,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub question: Question,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Fetch, with the start of the log as it is when the request leaves.
    Fetch { offset: Offset, last_fetched_epoch: Option<LeaderEpoch> },
    /// OffsetForLeaderEpoch.
    EpochEnd(LeaderEpoch),
    /// ListOffsets, of the leader's log end.
    LatestOffset,
    /// ListOffsets, of the leader's log start.
    EarliestOffset,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To Fetch; its records, perhaps none, stay with the shell.
    Fetched { high_watermark: Offset, log_start: Offset },
    /// To Fetch.
    Diverging { epoch: LeaderEpoch, end: Offset, high_watermark: Offset },
    /// To OffsetForLeaderEpoch; `None` if the leader knows nothing of that epoch.
    EpochEnd(Option<(LeaderEpoch, Offset)>),
    /// To ListOffsets.
    Offset(Offset),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// There is no leader.
    Leaderless,
    Fetching,
    /// Truncating by what the leader says of its epochs, before it fetches.
    AskingEpochEnd(EpochEnds),
    /// The offset was out of the leader's range.
    AskingLatest,
    AskingEarliest,
    /// The leader knows a newer epoch: nothing to ask until the metadata tells of it.
    Fenced,
}

/// A follower in one leader epoch.
///
/// - It fetches at the end of its log, always.
/// - It appends and truncates only by answers to what it would ask now.
#[derive(Debug)]
pub struct Follower {
    policy: ReplicaPolicy,
    fetch_backoff: Duration,
    leader: Option<BrokerId>,
    epoch: LeaderEpoch,
    phase: Phase,
    /// Whether fetches name the last epoch.
    divergence: DivergenceCheck,
    delayed_until: Option<Instant>,
    /// A cut that waits for the fetcher's next turn, and the end of the log then.
    cut_later: Option<(Instant, Offset)>,
}

/// How long a cut waits that does not come with its answer. Kafka's fetcher goes through all partitions of a response
/// and cuts then (`AbstractFetcherThread.truncateOnFetchResponse`), while others go on reading.
const TURN: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DivergenceCheck {
    ByFetch,
    Before,
}

impl Follower {
    /// For a new leader epoch.
    pub(in super::super) fn new(
        config: &ReplicaConfig,
        facts: Facts<'_>,
        metadata: &PartitionMetadata,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let (leader, epoch) = (metadata.leader, metadata.leader_epoch);
        effects.push(Effect::BecomeFollower { leader, epoch });
        let start = match leader {
            Some(_) => Start::under(config.policy.truncation, facts.log),
            None => Start { phase: Phase::Leaderless, ..Start::default() },
        };
        effects.extend(start.truncate_to.map(Effect::TruncateTo));
        Follower {
            policy: config.policy,
            fetch_backoff: config.fetch_backoff,
            leader,
            epoch,
            phase: start.phase,
            divergence: start.divergence,
            delayed_until: None,
            cut_later: None,
        }
    }

    pub fn leader(&self) -> Option<BrokerId> {
        self.leader
    }

    pub(in super::super) fn next_request(&self, facts: Facts<'_>) -> Option<FollowerRequest> {
        if self.delayed_until.is_some_and(|until| facts.now < until) || self.cut_later.is_some() {
            return None;
        }
        self.request(facts.log)
    }

    fn request(&self, log: &dyn LogView) -> Option<FollowerRequest> {
        let latest = log.latest_epoch();
        let fetch =
            |last_fetched_epoch| Question::Fetch { offset: log.end_offset(), last_fetched_epoch };
        let question = match self.phase {
            Phase::Leaderless | Phase::Fenced => return None,
            Phase::Fetching => fetch(match self.divergence {
                DivergenceCheck::ByFetch => latest,
                DivergenceCheck::Before => None,
            }),
            // Once all that had an epoch is cut there is nothing to ask about.
            Phase::AskingEpochEnd(_) => latest.map_or_else(|| fetch(None), Question::EpochEnd),
            Phase::AskingLatest => Question::LatestOffset,
            Phase::AskingEarliest => Question::EarliestOffset,
        };
        let current_leader_epoch = match self.policy.fetch_epoch_check {
            FetchEpochCheck::Off => None,
            FetchEpochCheck::Kip320 => Some(self.epoch),
        };
        Some(FollowerRequest { leader: self.leader?, current_leader_epoch, question })
    }

    /// An answer counts if its question would be asked now. Kafka compares the fetch offset alone, and lets an
    /// answer from before a change of epoch through if the leader stayed the same.
    pub(in super::super) fn handle_answer(
        &mut self,
        facts: Facts<'_>,
        request: &FollowerRequest,
        answer: Result<Answer, ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        if self.request(facts.log).as_ref() != Some(request) {
            return;
        }
        match answer {
            Ok(answer) => self.take(facts, answer, effects),
            Err(error) => self.failed(facts.now, request, error),
        }
    }

    fn take(&mut self, facts: Facts<'_>, answer: Answer, effects: &mut Vec<Effect>) {
        let log = facts.log;
        match answer {
            Answer::Fetched { high_watermark, log_start } => {
                self.phase = Phase::Fetching;
                effects.push(Effect::AppendFetched);
                // The leader's, even where that is lower; kept within this log.
                if high_watermark != log.high_watermark() {
                    effects.push(Effect::SetHighWatermark(high_watermark));
                }
                if log_start > log.start_offset() {
                    effects.push(Effect::RaiseLogStart(log_start));
                }
            }
            Answer::Diverging { epoch, end, high_watermark } => {
                // Where the logs still part, the next fetch tells.
                let (Truncated::Further(to) | Truncated::Enough(to)) =
                    truncation_by_epoch_end(log, Some((Some(epoch), end)));
                match self.policy.follower_applies {
                    FollowerApplies::HighWatermarkThenTruncate => {
                        effects.push(Effect::SetHighWatermark(high_watermark));
                        self.cut_later = Some((facts.now + TURN, to));
                    }
                    // What is below the leader's high watermark is not this log's until it is cut. When that is
                    // shows to nobody, so it is done at once.
                    FollowerApplies::TruncateThenHighWatermark => {
                        effects.push(Effect::TruncateTo(to));
                    }
                }
            }
            Answer::EpochEnd(epoch_end) => self.take_epoch_end(log, epoch_end, effects),
            Answer::Offset(offset) => self.take_offset(log, offset, effects),
        }
    }

    fn take_epoch_end(
        &mut self,
        log: &dyn LogView,
        epoch_end: Option<(LeaderEpoch, Offset)>,
        effects: &mut Vec<Effect>,
    ) {
        let Phase::AskingEpochEnd(ends) = self.phase else { return };
        let to = match ends.truncation(log, epoch_end) {
            Truncated::Enough(to) => {
                self.phase = Phase::Fetching;
                to
            }
            Truncated::Further(to) => to,
        };
        effects.push(Effect::TruncateTo(to));
    }

    /// Out of the leader's range: above its end the log is cut to there (an unclean election); below its
    /// start it begins anew; within it, the leader has moved meanwhile, and fetching goes on.
    fn take_offset(&mut self, log: &dyn LogView, offset: Offset, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::AskingLatest if offset < log.end_offset() => {
                self.phase = Phase::Fetching;
                effects.push(Effect::TruncateTo(offset));
            }
            Phase::AskingLatest => self.phase = Phase::AskingEarliest,
            Phase::AskingEarliest => {
                self.phase = Phase::Fetching;
                if offset > log.end_offset() {
                    effects.push(Effect::TruncateFullyAndStartAt(offset));
                }
            }
            Phase::Leaderless | Phase::Fetching | Phase::AskingEpochEnd(_) | Phase::Fenced => {}
        }
    }

    fn failed(&mut self, now: Instant, request: &FollowerRequest, error: ResponseError) {
        let is_fetch = matches!(request.question, Question::Fetch { .. });
        match error {
            ResponseError::OffsetOutOfRange if is_fetch => self.phase = Phase::AskingLatest,
            ResponseError::FencedLeaderEpoch => self.phase = Phase::Fenced,
            // What was out of range is found out from the beginning, as in `handleOutOfRangeError`.
            _ => {
                if matches!(self.phase, Phase::AskingLatest | Phase::AskingEarliest) {
                    self.phase = Phase::Fetching;
                }
                self.back_off(now);
            }
        }
    }

    /// Asks nothing for `replica.fetch.backoff.ms`.
    pub(in super::super) fn back_off(&mut self, now: Instant) {
        self.delayed_until = Some(now + self.fetch_backoff);
    }

    pub(in super::super) fn next_deadline(&self) -> Instant {
        let cut = self.cut_later.map(|(at, _)| at);
        self.delayed_until.into_iter().chain(cut).min().unwrap_or(Instant::FAR_FUTURE)
    }

    pub(in super::super) fn handle_deadline(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.delayed_until = self.delayed_until.filter(|until| now < *until);
        if let Some((_, to)) = self.cut_later.take_if(|(at, _)| *at <= now) {
            effects.push(Effect::TruncateTo(to));
        }
    }
}
