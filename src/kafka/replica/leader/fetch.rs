//! A follower's fetch: what it may read, and what it says of the follower.

use super::{
    super::{
        BrokerStanding, DivergingFetch, Effect, Facts, FetchBrokerEpoch, LogView,
        reading::diverging, remote::Progress,
    },
    Leader,
};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset},
};

/// What a follower's Fetch says about one partition. -1 on the wire is `None` here, but for the broker epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowerFetch {
    pub follower: BrokerId,
    /// `ReplicaEpoch`; -1 if the request has none.
    pub broker_epoch: BrokerEpoch,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub fetch_offset: Offset,
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// The start of the follower's log.
    pub log_start: Offset,
}

/// What to answer. The high watermark is that of before the fetch: a follower learns with its next fetch
/// what this one commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchAnswer {
    pub high_watermark: Offset,
    pub log_start: Offset,
    pub outcome: FetchOutcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchOutcome {
    /// Records from the fetch offset on, up to the end of the log.
    Records,
    /// No records: the logs part; the largest epoch not above the one asked for, and where it ends here.
    Diverging { epoch: LeaderEpoch, end: Offset },
}

impl Leader {
    pub(in super::super) fn check_fetch(
        &self,
        log: &dyn LogView,
        fetch: &FollowerFetch,
    ) -> Result<FetchAnswer, ResponseError> {
        if !self.remotes.contains_key(&fetch.follower) {
            // The follower knows of an assignment that this broker has not heard of.
            return Err(match fetch.current_leader_epoch {
                Some(_) => ResponseError::UnknownLeaderEpoch,
                None => ResponseError::NotLeaderOrFollower,
            });
        }
        let parting = diverging(log, fetch.last_fetched_epoch, fetch.fetch_offset)?;
        let within = log.start_offset()..=log.end_offset();
        if parting.is_none() && !within.contains(&fetch.fetch_offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let outcome = parting
            .map_or(FetchOutcome::Records, |(epoch, end)| FetchOutcome::Diverging { epoch, end });
        Ok(FetchAnswer {
            high_watermark: log.high_watermark(),
            log_start: log.start_offset(),
            outcome,
        })
    }

    pub(in super::super) fn handle_fetch(
        &mut self,
        facts: Facts<'_>,
        fetch: &FollowerFetch,
        effects: &mut Vec<Effect>,
    ) -> Result<FetchAnswer, ResponseError> {
        let answer = self.check_fetch(facts.log, fetch)?;
        let tells = match answer.outcome {
            FetchOutcome::Records => true,
            // Its log is about to be cut: the offset says nothing of what it shares with the leader.
            FetchOutcome::Diverging { .. } => {
                self.policy.diverging_fetch == DivergingFetch::CountsAsProgress
            }
        };
        if tells {
            self.record(facts, fetch, effects)?;
        }
        Ok(answer)
    }

    /// Under the same metadata as when it was made first.
    pub(in super::super) fn handle_repeated_fetch(
        &mut self,
        facts: Facts<'_>,
        fetch: &FollowerFetch,
    ) -> bool {
        let broker_epoch = self.incarnation(fetch);
        let may_join = !self.isr.is_pending() && !self.isr.members().contains(&fetch.follower);
        let Some(remote) = self.remotes.get_mut(&fetch.follower) else { return false };
        let is_same = remote.log_start == fetch.log_start
            && remote.log_end == fetch.fetch_offset
            && remote.broker_epoch == Some(broker_epoch);
        if may_join || !is_same || fetch.fetch_offset != facts.log.end_offset() {
            return false;
        }
        remote.fetched(progress(facts, fetch, broker_epoch));
        true
    }

    fn incarnation(&self, fetch: &FollowerFetch) -> BrokerEpoch {
        match self.policy.fetch_broker_epoch {
            // -1 stands for any incarnation, here and at the controller.
            FetchBrokerEpoch::Off => BrokerEpoch(-1),
            FetchBrokerEpoch::Kip903 => fetch.broker_epoch,
        }
    }

    fn record(
        &mut self,
        facts: Facts<'_>,
        fetch: &FollowerFetch,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ResponseError> {
        let broker_epoch = self.incarnation(fetch);
        let registered = facts.brokers.broker(fetch.follower);
        let alive = registered.filter(|broker| broker.standing != BrokerStanding::Fenced);
        let is_newer = alive.is_some_and(|broker| broker.epoch > broker_epoch);
        if broker_epoch != BrokerEpoch(-1) && is_newer {
            // A fetch of an incarnation that is gone.
            return Err(ResponseError::NotLeaderOrFollower);
        }
        let remote = self.remotes.get_mut(&fetch.follower).expect("a fetch was checked");
        let (start_before, end_before) = (remote.log_start, remote.log_end);
        remote.fetched(progress(facts, fetch, broker_epoch));
        let end = remote.log_end;
        self.maybe_expand_isr(facts, fetch.follower, effects);
        if end != end_before {
            self.maybe_increment_high_watermark(facts, effects);
        }
        // It rises with a live follower's start if no other kept it as low.
        let rises = alive.is_some() && start_before < fetch.log_start;
        if rises && start_before < self.low_watermark(facts) {
            effects.push(Effect::LowWatermarkMoved);
        }
        Ok(())
    }
}

fn progress(facts: Facts<'_>, fetch: &FollowerFetch, broker_epoch: BrokerEpoch) -> Progress {
    Progress {
        at: facts.now,
        log_start: fetch.log_start,
        fetch_offset: fetch.fetch_offset,
        leader_end: facts.log.end_offset(),
        broker_epoch,
    }
}
