//! Votes and pre-votes: asking, giving, counting (`EpochElection`, KIP-996).

use std::collections::BTreeMap;

use super::{
    Ballot, Effect, Now, Quorum, QuorumConfig, QuorumLog, ReplicaKey, Request, RequestToken,
    Response, VoteRequest, log::reach, quorum::Role,
};
use crate::{
    env::Instant,
    kafka::{
        protocol::ResponseError,
        types::{BrokerId, LeaderEpoch, Offset},
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Granted,
    Rejected,
}

/// One election, as whoever stands in it counts.
#[derive(Debug)]
pub(super) struct Tally {
    voters: BTreeMap<BrokerId, Option<Answer>>,
    majority: usize,
}

impl Tally {
    /// The replica's own vote is granted from the start.
    pub fn new(config: &QuorumConfig) -> Self {
        let own = |id: BrokerId| (id == config.local.id).then_some(Answer::Granted);
        let voters = config.voters.keys().map(|&id| (id, own(id))).collect();
        Tally { voters, majority: config.majority() }
    }

    /// A voter that answers twice does not change its mind: the first answer counts.
    fn record(&mut self, voter: BrokerId, granted: bool) {
        if let Some(answer @ None) = self.voters.get_mut(&voter) {
            *answer = Some(if granted { Answer::Granted } else { Answer::Rejected });
        }
    }

    fn count(&self, answer: Option<Answer>) -> usize {
        self.voters.values().filter(|it| **it == answer).count()
    }

    pub fn is_won(&self) -> bool {
        self.count(Some(Answer::Granted)) >= self.majority
    }

    /// No majority can come about any more.
    pub fn is_lost(&self) -> bool {
        self.voters.len() - self.count(Some(Answer::Rejected)) < self.majority
    }

    fn with(&self, answer: Option<Answer>) -> Vec<BrokerId> {
        self.voters.iter().filter(|(_, it)| **it == answer).map(|(id, _)| *id).collect()
    }

    pub fn unheard(&self) -> Vec<BrokerId> {
        self.with(None)
    }

    pub fn granting(&self) -> Vec<BrokerId> {
        self.with(Some(Answer::Granted))
    }
}

impl Quorum {
    /// To all of `voters` that are ready. Waits until the log it tells of is durable: a voter that granted grants
    /// again without looking, also to a candidate that lost records meanwhile.
    pub(super) fn ask_for_votes(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        voters: &[BrokerId],
        ballot: Ballot,
        effects: &mut Vec<Effect>,
    ) {
        if !self.may_show_log() {
            return;
        }
        for &voter in voters {
            let request = VoteRequest {
                cluster_id: Some(self.config.cluster_id.clone()),
                voter: Some(self.voter_key(voter)),
                replica: self.config.local,
                epoch: self.election.epoch,
                last: reach(log),
                ballot,
            };
            self.send_if_ready(now, voter, || Request::Vote(request), effects);
        }
    }

    /// When one of those not heard can be asked (again). Not while the log is not durable: its sync will call.
    pub(super) fn voters_ready_at(&self, tally: &Tally) -> Instant {
        if !self.may_show_log() {
            return Instant::FAR_FUTURE;
        }
        let waiting = tally.voters.iter().filter(|(_, answer)| answer.is_none());
        let ready = waiting.map(|(voter, _)| self.peers.ready_at(*voter));
        ready.min().unwrap_or(Instant::FAR_FUTURE)
    }

    pub(super) fn vote_requested(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        token: RequestToken,
        request: &VoteRequest,
        effects: &mut Vec<Effect>,
    ) {
        let response = match self.consider(now, log, request, effects) {
            Err(Refusal::Whole(error)) => Response::Refused(error),
            Err(Refusal::Partition(error)) => {
                Response::Vote { standing: self.standing(Some(error)), granted: false }
            }
            Ok(granted) => Response::Vote { standing: self.standing(None), granted },
        };
        effects.push(Effect::Answer { request: token, response });
    }

    fn consider(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        request: &VoteRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, Refusal> {
        self.check_cluster(request.cluster_id.as_deref())?;
        let last = request.last;
        let too_new = match request.ballot {
            Ballot::PreVote => last.epoch > request.epoch,
            Ballot::Vote => last.epoch >= request.epoch,
        };
        if last.offset < Offset(0) || last.epoch < LeaderEpoch(0) || too_new {
            return Err(Refusal::Partition(ResponseError::InvalidRequest));
        }
        self.check_voter_request(request.replica.id, request.epoch)?;
        if request.epoch > self.election.epoch {
            self.become_unattached(now, request.epoch, effects);
        }
        self.check_meant_for_us(request.voter)?;
        let granted = self.can_grant(request.replica, last >= reach(log), request.ballot);
        if granted && request.ballot == Ballot::Vote && self.election.voted.is_none() {
            self.vote_for(now, request.replica, effects);
        }
        Ok(granted)
    }

    /// A departure: with voters that are configured, an observer never votes. Kafka's does, since it may have
    /// become a voter without knowing (KIP-853).
    fn can_grant(&self, replica: ReplicaKey, up_to_date: bool, ballot: Ballot) -> bool {
        if !self.is_voter() {
            return false;
        }
        let pre_vote = ballot == Ballot::PreVote;
        match &self.role {
            Role::Unattached(_) | Role::Prospective(_) => match (ballot, self.election.voted) {
                (Ballot::PreVote, _) => up_to_date,
                (Ballot::Vote, Some(voted)) => voted.admits(replica),
                (Ballot::Vote, None) => self.election.leader.is_none() && up_to_date,
            },
            // Who hears its leader keeps it.
            Role::Follower(follower) => pre_vote && up_to_date && !follower.has_fetched,
            Role::Candidate(_) | Role::Resigned(_) => pre_vote && up_to_date,
            Role::Leader(_) => false,
        }
    }

    /// The role's next poll draws the conclusion.
    pub(super) fn vote_answered(&mut self, from: BrokerId, granted: bool) {
        match &mut self.role {
            Role::Prospective(prospective) => prospective.tally.record(from, granted),
            Role::Candidate(candidate) => candidate.tally.record(from, granted),
            _ => {}
        }
    }
}

/// Why a request is not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Whole(ResponseError),
    Partition(ResponseError),
}
