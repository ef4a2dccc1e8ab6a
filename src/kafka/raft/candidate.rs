//! A voter that stands for election: it has raised the epoch and voted for itself (`CandidateState`).

use super::{
    Ballot, Effect, Now, Quorum, QuorumLog,
    quorum::{Polled, Role},
    votes::Tally,
};
use crate::env::Instant;

#[derive(Debug)]
pub(super) struct Candidate {
    pub tally: Tally,
    /// Elections in a row, this one included.
    pub retries: u32,
    pub election_deadline: Instant,
    /// Set once the election is lost: when to try another.
    pub backing_off: Option<Instant>,
}

impl Candidate {
    pub fn new(tally: Tally, retries: u32, election_deadline: Instant) -> Self {
        Candidate { tally, retries, election_deadline, backing_off: None }
    }
}

impl Quorum {
    pub(super) fn poll_candidate(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) -> Polled {
        let Role::Candidate(candidate) = &self.role else { return Polled::Settled };
        if candidate.tally.is_won() {
            // The log's end is where the epoch starts: wait for what is being appended.
            if self.log_in_flux {
                return Polled::Settled;
            }
            let granting = candidate.tally.granting();
            self.become_leader(now, log, granting, effects);
            return Polled::Changed;
        }
        if candidate.tally.is_lost() && candidate.backing_off.is_none() {
            // Who waited for the election timeout here would be stuck for long after a split vote.
            let until = now.instant + self.election_backoff(now, candidate.retries);
            if let Role::Candidate(candidate) = &mut self.role {
                candidate.backing_off = Some(until);
            }
            return Polled::Changed;
        }
        let due = candidate.backing_off.unwrap_or(candidate.election_deadline);
        if now.instant >= due {
            self.stand_for_election(now, effects);
            return Polled::Changed;
        }
        if candidate.backing_off.is_none() {
            let voters = candidate.tally.unheard();
            self.ask_for_votes(now, log, &voters, Ballot::Vote, effects);
        }
        Polled::Settled
    }

    pub(super) fn candidate_deadline(&self, candidate: &Candidate) -> Instant {
        match candidate.backing_off {
            Some(until) => until,
            None => candidate.election_deadline.min(self.voters_ready_at(&candidate.tally)),
        }
    }
}
