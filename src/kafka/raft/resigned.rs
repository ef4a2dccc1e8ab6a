//! A leader that gave up, or was restarted: it tells the voters, and does nothing else in its epoch
//! (`ResignedState`).

use std::collections::BTreeSet;

use super::{
    Effect, EndQuorumEpochRequest, Now, Quorum, ReplicaKey, Request,
    quorum::{Polled, Role},
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch},
};

#[derive(Debug)]
pub(super) struct Resigned {
    /// Who was not told yet, or did not say so.
    pub unaware: BTreeSet<BrokerId>,
    pub election_deadline: Instant,
    /// Voters, the fittest first; none after a restart.
    pub successors: Vec<ReplicaKey>,
}

impl Resigned {
    pub fn new(
        others: impl Iterator<Item = ReplicaKey>,
        election_deadline: Instant,
        successors: Vec<ReplicaKey>,
    ) -> Self {
        let unaware = others.map(|voter| voter.id).collect();
        Resigned { unaware, election_deadline, successors }
    }
}

impl Quorum {
    pub(super) fn poll_resigned(&mut self, now: Now, effects: &mut Vec<Effect>) -> Polled {
        let Role::Resigned(resigned) = &self.role else { return Polled::Settled };
        if now.instant >= resigned.election_deadline {
            // It cannot vote in the epoch it led, nor let others take it for the leader for ever.
            let epoch = LeaderEpoch(self.election.epoch.0.saturating_add(1));
            self.become_unattached(now, epoch, effects);
            return Polled::Changed;
        }
        let request = Request::EndQuorumEpoch(EndQuorumEpochRequest {
            cluster_id: Some(self.config.cluster_id.clone()),
            leader: self.config.local.id,
            epoch: self.election.epoch,
            preferred_candidates: resigned.successors.clone(),
        });
        for voter in resigned.unaware.clone() {
            self.send_if_ready(now, voter, || request.clone(), effects);
        }
        Polled::Settled
    }

    pub(super) fn resigned_deadline(&self, resigned: &Resigned) -> Instant {
        let ready = resigned.unaware.iter().map(|voter| self.peers.ready_at(*voter)).min();
        ready.map_or(resigned.election_deadline, |ready| ready.min(resigned.election_deadline))
    }
}
