//! A replica that knows the epoch but no leader of it, whether it voted or not (`UnattachedState`).
//!
//! It asks the voters for the leader by fetching from one after the other, until it has waited long enough to
//! stand for election itself.

use super::{
    Effect, Now, Quorum, QuorumLog,
    quorum::{Polled, Role},
};
use crate::env::Instant;

#[derive(Debug)]
pub(super) struct Unattached {
    pub election_deadline: Instant,
}

impl Quorum {
    pub(super) fn poll_unattached(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) -> Polled {
        let Role::Unattached(unattached) = &self.role else { return Polled::Settled };
        if now.instant >= unattached.election_deadline {
            self.stand_for_election(now, effects);
            return Polled::Changed;
        }
        self.fetch_from_anybody(now, log, effects);
        Polled::Settled
    }

    pub(super) fn unattached_deadline(&self) -> Instant {
        let Role::Unattached(unattached) = &self.role else { return Instant::FAR_FUTURE };
        unattached.election_deadline.min(self.anybody_ready_at())
    }
}
