//! A voter that asks whether it would be elected, before it disturbs anybody with a new epoch (`ProspectiveState`).

use super::{
    Ballot, Effect, Now, Quorum, QuorumLog,
    quorum::{Polled, Role},
    votes::Tally,
};
use crate::env::Instant;

#[derive(Debug)]
pub(super) struct Prospective {
    pub tally: Tally,
    /// Elections lost in a row, this one included.
    pub retries: u32,
    pub election_deadline: Instant,
}

impl Prospective {
    pub fn new(tally: Tally, retries: u32, election_deadline: Instant) -> Self {
        Prospective { tally, retries, election_deadline }
    }
}

impl Quorum {
    pub(super) fn poll_prospective(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) -> Polled {
        let Role::Prospective(prospective) = &self.role else { return Polled::Settled };
        if prospective.tally.is_won() {
            self.become_candidate(now, effects);
            return Polled::Changed;
        }
        if prospective.tally.is_lost() || now.instant >= prospective.election_deadline {
            // Back to the leader it may still know; else it waits for news, if there is time left.
            match self.election.leader {
                Some(leader) => self.become_follower(now, self.election.epoch, leader, effects),
                None => self.become_unattached(now, self.election.epoch, effects),
            }
            return Polled::Changed;
        }
        let voters = prospective.tally.unheard();
        self.ask_for_votes(now, log, &voters, Ballot::PreVote, effects);
        Polled::Settled
    }

    pub(super) fn prospective_deadline(&self, prospective: &Prospective) -> Instant {
        prospective.election_deadline.min(self.voters_ready_at(&prospective.tally))
    }
}
