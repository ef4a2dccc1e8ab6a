//! Answers to our requests: what all have in common (`maybeHandleCommonResponse`), and to whom they go from there.

use super::{
    Effect, Now, Quorum, QuorumLog, ReplicaKey, Request, Response, Standing, quorum::Role,
};
use crate::kafka::{protocol::ResponseError, types::BrokerId};

/// How an answer was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The next request can go out at once.
    Done,
    /// Only after a pause.
    Failed,
}

impl Quorum {
    pub(super) fn answered(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        from: BrokerId,
        response: Response,
        effects: &mut Vec<Effect>,
    ) {
        let outcome = match response {
            Response::Refused(_) => Outcome::Failed,
            Response::Vote { standing, granted } => {
                self.take_standing(now, standing, effects).unwrap_or_else(|| {
                    self.without_error(standing, |it| it.vote_answered(from, granted))
                })
            }
            // That a voter heard of us shows when it fetches.
            Response::BeginQuorumEpoch(standing) => self
                .take_standing(now, standing, effects)
                .unwrap_or_else(|| self.without_error(standing, |_| ())),
            Response::EndQuorumEpoch(standing) => self
                .take_standing(now, standing, effects)
                .unwrap_or_else(|| self.without_error(standing, |it| it.end_heard(from))),
            Response::Fetch(response) => {
                let standing = response.standing;
                match self.take_standing(now, standing, effects) {
                    Some(outcome) => outcome,
                    None if standing.error.is_some() => Outcome::Failed,
                    // Of anybody but the leader we follow it would be no answer of ours.
                    None if self.is_follower_of(from) => self.fetched(now, log, response, effects),
                    None => Outcome::Failed,
                }
            }
            Response::FetchSnapshot(response) => self
                .take_standing(now, response.standing, effects)
                .unwrap_or_else(|| self.snapshot_fetched(now, response, effects)),
        };
        if outcome == Outcome::Failed {
            self.peers.back_off(from, now.instant);
        }
    }

    fn is_follower_of(&self, leader: BrokerId) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.leader == leader)
    }

    fn without_error(&mut self, standing: Standing, take: impl FnOnce(&mut Self)) -> Outcome {
        if standing.error.is_some() {
            return Outcome::Failed;
        }
        take(self);
        Outcome::Done
    }

    fn end_heard(&mut self, from: BrokerId) {
        if let Role::Resigned(resigned) = &mut self.role {
            resigned.unaware.remove(&from);
        }
    }

    /// Takes in epoch and leader; `None` if the rest of the answer is to be read.
    ///
    /// A departure: an error that taught us nothing makes us pause. Kafka takes most of them as handled and asks
    /// again at once, so that the follower of a leader that resigned asks it as fast as it answers.
    fn take_standing(
        &mut self,
        now: Now,
        standing: Standing,
        effects: &mut Vec<Effect>,
    ) -> Option<Outcome> {
        let Standing { error, epoch, leader } = standing;
        let known = self.election;
        if epoch < known.epoch || error == Some(ResponseError::UnknownLeaderEpoch) {
            // Who answers is behind, and must be told by others.
            return Some(Outcome::Failed);
        }
        let newer = epoch > known.epoch;
        let elsewhere = matches!(
            error,
            Some(ResponseError::FencedLeaderEpoch | ResponseError::NotLeaderOrFollower)
        );
        if newer || elsewhere || (leader.is_some() && known.leader.is_none()) {
            let learnt = self.learn(now, epoch, leader, effects);
            let moved = self.election != known;
            if learnt.is_err() || !moved {
                return Some(Outcome::Failed);
            }
            // An observer, or a voter that looked for the leader, found it, and has its records already.
            return (newer || error.is_some()).then_some(Outcome::Done);
        }
        None
    }

    pub(super) fn voter_key(&self, voter: BrokerId) -> ReplicaKey {
        let directory = self.config.voters.get(&voter).copied().unwrap_or_default();
        ReplicaKey::new(voter, directory)
    }

    /// One request at a time: not if `to` did not answer the last one yet, or failed just now.
    pub(super) fn send_if_ready(
        &mut self,
        now: Now,
        to: BrokerId,
        request: impl FnOnce() -> Request,
        effects: &mut Vec<Effect>,
    ) {
        if self.peers.is_ready(to, now.instant) {
            let correlation = self.peers.sent(to, now.instant);
            effects.push(Effect::Send { to, correlation, request: request() });
        }
    }
}
