//! BeginQuorumEpoch and EndQuorumEpoch: a leader announces itself, or says that it goes; and what all requests
//! are checked for.

use std::time::Duration;

use super::{
    BeginQuorumEpochRequest, Effect, EndQuorumEpochRequest, Now, Quorum, ReplicaKey, RequestToken,
    Response, Standing, quorum::Role, votes::Refusal,
};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerId, LeaderEpoch},
};

impl Quorum {
    pub(super) fn begun(
        &mut self,
        now: Now,
        token: RequestToken,
        request: &BeginQuorumEpochRequest,
        effects: &mut Vec<Effect>,
    ) {
        let result = self.begin(now, request, effects);
        let response = self.told(result, Response::BeginQuorumEpoch);
        effects.push(Effect::Answer { request: token, response });
    }

    fn begin(
        &mut self,
        now: Now,
        request: &BeginQuorumEpochRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        self.check_cluster(request.cluster_id.as_deref())?;
        self.check_voter_request(request.leader, request.epoch)?;
        self.learn_from_request(now, request.epoch, request.leader, effects)?;
        self.check_meant_for_us(request.voter)
    }

    pub(super) fn ended(
        &mut self,
        now: Now,
        token: RequestToken,
        request: &EndQuorumEpochRequest,
        effects: &mut Vec<Effect>,
    ) {
        let result = self.end(now, request, effects);
        let response = self.told(result, Response::EndQuorumEpoch);
        effects.push(Effect::Answer { request: token, response });
    }

    /// A follower of the leader that goes stands for election: the fittest at once, each further one later.
    fn end(
        &mut self,
        now: Now,
        request: &EndQuorumEpochRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        self.check_cluster(request.cluster_id.as_deref())?;
        self.check_voter_request(request.leader, request.epoch)?;
        self.learn_from_request(now, request.epoch, request.leader, effects)?;
        let wait = self.succession_wait(&request.preferred_candidates);
        if let Role::Follower(follower) = &mut self.role
            && follower.leader == request.leader
        {
            follower.fetch_deadline = now.instant + wait;
        }
        Ok(())
    }

    /// `strictExponentialElectionBackoffMs`: nothing for the first, the longest for who is not named.
    fn succession_wait(&self, candidates: &[ReplicaKey]) -> Duration {
        let max = self.config.election_backoff_max;
        let local = self.config.local;
        let position = candidates.iter().position(|candidate| candidate.admits(local));
        // A leader that was restarted names nobody: then all are first.
        match position.unwrap_or(candidates.len()) {
            0 => Duration::ZERO,
            position if position >= candidates.len() => max,
            position => {
                let halvings = u32::try_from(candidates.len() - position).unwrap_or(u32::MAX);
                max / 2u32.checked_pow(halvings).unwrap_or(u32::MAX)
            }
        }
    }

    /// A leader that contradicts what is known is a bug somewhere, or no voter of ours. Kafka throws, and the
    /// sender is told UNKNOWN_SERVER_ERROR; the same here.
    fn learn_from_request(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        leader: BrokerId,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        self.learn(now, epoch, Some(leader), effects)
            .map_err(|_| Refusal::Partition(ResponseError::UnknownServerError))
    }

    fn told(&self, result: Result<(), Refusal>, answer: fn(Standing) -> Response) -> Response {
        match result {
            Ok(()) => answer(self.standing(None)),
            Err(Refusal::Partition(error)) => answer(self.standing(Some(error))),
            Err(Refusal::Whole(error)) => Response::Refused(error),
        }
    }

    pub(super) fn standing(&self, error: Option<ResponseError>) -> Standing {
        Standing { error, epoch: self.election.epoch, leader: self.election.leader }
    }

    /// Who does not name a cluster is not checked.
    pub(super) fn check_cluster(&self, cluster_id: Option<&str>) -> Result<(), Refusal> {
        match cluster_id {
            Some(id) if id != self.config.cluster_id => {
                Err(Refusal::Whole(ResponseError::InconsistentClusterId))
            }
            _ => Ok(()),
        }
    }

    /// `validateVoterOnlyRequest`
    pub(super) fn check_voter_request(
        &self,
        remote: BrokerId,
        epoch: LeaderEpoch,
    ) -> Result<(), Refusal> {
        if epoch < self.election.epoch {
            Err(Refusal::Partition(ResponseError::FencedLeaderEpoch))
        } else if remote.0 < 0 {
            Err(Refusal::Partition(ResponseError::InvalidRequest))
        } else {
            Ok(())
        }
    }

    /// `isValidVoterKey`: not so if our address was another's, or our disk is another than it was.
    pub(super) fn check_meant_for_us(&self, voter: Option<ReplicaKey>) -> Result<(), Refusal> {
        match voter {
            Some(voter) if !voter.admits(self.config.local) => {
                Err(Refusal::Partition(ResponseError::InvalidVoterKey))
            }
            _ => Ok(()),
        }
    }
}
