//! What becomes of a partition when its ISR, replicas or the brokers around it change: who leads, who is
//! in sync, who stays eligible (`PartitionChangeBuilder`).

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{EligibleLeaders, reassignments::completed};
use crate::kafka::{
    metadata::{LeaderRecoveryState, PartitionChange, PartitionImage},
    types::BrokerId,
};

/// How hard to look for a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Election {
    /// The first replica, if it is in the ISR.
    Preferred,
    /// Whoever leads goes on; else the first replica in the ISR, or eligible where the ISR is empty.
    Online,
    /// As a last resort any replica that is there.
    Unclean,
}

/// A change in the making: what it is to be, from the outside, and in the end what has to be written.
pub(super) struct ChangeBuilder<'a> {
    partition: &'a PartitionImage,
    surroundings: Surroundings<'a>,
    pub election: Election,
    pub isr: Vec<BrokerId>,
    pub replicas: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub recovery: LeaderRecoveryState,
    /// A replica that may have lost what it had.
    pub unclean_shutdown: Option<BrokerId>,
    /// Where a broker has its replica.
    pub directory: Option<(BrokerId, Uuid)>,
    eligible: Vec<BrokerId>,
}

/// What a change depends on beside the partition.
pub(super) struct Surroundings<'a> {
    /// Whether a broker may lead: it is active and so is the replica's directory.
    pub may_lead: Box<dyn Fn(BrokerId) -> bool + 'a>,
    pub default_directory: Box<dyn Fn(BrokerId) -> Uuid + 'a>,
    pub eligible_leaders: EligibleLeaders,
    /// Of the topic, and not more than it has replicas.
    pub min_isr: usize,
}

struct Elected {
    leader: BrokerId,
    is_unclean: bool,
}

impl<'a> ChangeBuilder<'a> {
    pub fn new(partition: &'a PartitionImage, surroundings: Surroundings<'a>) -> Self {
        ChangeBuilder {
            surroundings,
            election: Election::Online,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            removing: partition.removing.clone(),
            adding: partition.adding.clone(),
            recovery: partition.recovery,
            unclean_shutdown: None,
            directory: None,
            eligible: partition.eligible.clone(),
            partition,
        }
    }

    /// `None` if nothing changes.
    pub fn build(mut self) -> Option<PartitionChange> {
        let mut change = PartitionChange::default();
        self.complete_reassignment();
        self.find_eligible();
        self.elect(&mut change);
        let loses_replicas =
            self.partition.replicas.iter().any(|replica| !self.replicas.contains(replica));
        if loses_replicas && change.leader.is_none() {
            // The leader epoch must rise, so that a replica that is taken away is fenced.
            change.leader = Some(self.partition.leader);
        }
        self.keep_eligible(&mut change);
        // Without ELR the last member stays in the ISR, also when it is gone.
        let may_be = !self.isr.is_empty() || self.has_elr();
        if change.isr.is_none() && may_be && self.isr != self.partition.isr {
            change.isr = Some(self.isr.clone());
        }
        self.keep_last_leader(&mut change);
        self.assign(&mut change);
        if self.recovery != self.partition.recovery {
            change.recovery = Some(self.recovery);
        }
        (change != PartitionChange::default()).then_some(change)
    }

    fn has_elr(&self) -> bool {
        self.surroundings.eligible_leaders == EligibleLeaders::Kip966
    }

    fn complete_reassignment(&mut self) {
        if let Some((replicas, isr)) =
            completed(&self.replicas, &self.removing, &self.adding, &self.isr)
        {
            (self.replicas, self.isr) = (replicas, isr);
            self.removing.clear();
            self.adding.clear();
        }
    }

    /// Who falls out of an ISR that is below `min.insync.replicas` has all that was committed: the high
    /// watermark stands still from there on.
    ///
    /// Departure: a replica that a reassignment has taken away is not eligible; Kafka names it still, and does
    /// not elect it either.
    fn find_eligible(&mut self) {
        if !self.has_elr() {
            return;
        }
        if self.isr.len() >= self.surroundings.min_isr {
            return self.eligible.clear();
        }
        let were: BTreeSet<_> = self.eligible.iter().chain(&self.partition.isr).copied().collect();
        let still = |id: &BrokerId| {
            self.replicas.contains(id)
                && !self.isr.contains(id)
                && self.unclean_shutdown != Some(*id)
        };
        self.eligible = were.into_iter().filter(still).collect();
    }

    fn elect(&mut self, change: &mut PartitionChange) {
        let Elected { leader, is_unclean } = self.elected();
        if leader == self.partition.leader {
            return;
        }
        change.leader = Some(leader);
        if self.eligible.contains(&leader) {
            self.isr = vec![leader];
            self.eligible.retain(|id| *id != leader);
        }
        if is_unclean {
            // Whatever the others have beyond this replica's log is lost.
            change.isr = Some(vec![leader]);
            if self.partition.recovery == LeaderRecoveryState::Recovered {
                change.recovery = Some(LeaderRecoveryState::Recovering);
            }
        }
    }

    fn elected(&self) -> Elected {
        let clean = |leader| Elected { leader, is_unclean: false };
        let unclean = |leader| Elected { leader, is_unclean: true };
        let current = self.partition.leader;
        let preferred = self.replicas.first().copied().unwrap_or(BrokerId::NONE);
        if self.election == Election::Preferred && self.is_valid_leader(preferred) {
            return clean(preferred);
        }
        if self.is_valid_leader(current) {
            return clean(current);
        }
        if let Some(online) = self.replicas.iter().find(|id| self.is_valid_leader(**id)) {
            return clean(*online);
        }
        if let Some(last) = self.last_leader() {
            return unclean(last);
        }
        let mut there = self.replicas.iter().filter(|id| (self.surroundings.may_lead)(**id));
        match there.next() {
            Some(there) if self.election == Election::Unclean => unclean(*there),
            _ => clean(BrokerId::NONE),
        }
    }

    fn is_valid_leader(&self, id: BrokerId) -> bool {
        let knows_all =
            self.isr.contains(&id) || (self.isr.is_empty() && self.eligible.contains(&id));
        knows_all && (self.surroundings.may_lead)(id)
    }

    /// Nobody is in sync and nobody eligible: the last leader is the best that is left, if it is there
    /// (`canElectLastKnownLeader`; before KAFKA-19522 it was elected in any case).
    fn last_leader(&self) -> Option<BrokerId> {
        if !self.has_elr() || !self.eligible.is_empty() || !self.isr.is_empty() {
            return None;
        }
        match self.partition.last_known_eligible[..] {
            [last] if (self.surroundings.may_lead)(last) => Some(last),
            _ => None,
        }
    }

    fn keep_eligible(&mut self, change: &mut PartitionChange) {
        let was_unclean = change.isr.is_some();
        if was_unclean || !self.has_elr() {
            self.eligible.clear();
        }
        if self.eligible != self.partition.eligible {
            change.eligible = Some(self.eligible.clone());
        }
    }

    /// Remembers who led when the ISR becomes empty, and forgets it when there is a leader again.
    fn keep_last_leader(&self, change: &mut PartitionChange) {
        if !self.has_elr() {
            return;
        }
        let partition = self.partition;
        let leader = change.leader.unwrap_or(partition.leader);
        let last_known = &partition.last_known_eligible;
        if change.isr.as_ref().is_some_and(Vec::is_empty) && last_known[..] != [partition.leader] {
            change.last_known_eligible = Some(vec![partition.leader]);
        } else if leader != BrokerId::NONE && !last_known.is_empty() {
            change.last_known_eligible = Some(Vec::new());
        }
    }

    fn assign(&self, change: &mut PartitionChange) {
        let partition = self.partition;
        let directory = |id: &BrokerId| match self.directory {
            Some((broker, directory)) if broker == *id => directory,
            _ if partition.replicas.contains(id) => partition.directory(*id),
            _ => (self.surroundings.default_directory)(*id),
        };
        let directories: Vec<_> = self.replicas.iter().map(directory).collect();
        // A partition of which nothing is said stays so until something is, or its replicas change.
        let is_silent = partition.directories.is_empty()
            && self.directory.is_none()
            && self.replicas == partition.replicas;
        if !is_silent && directories != partition.directories {
            change.directories = Some(directories);
        }
        let changed = |new: &Vec<BrokerId>, old: &Vec<BrokerId>| (new != old).then(|| new.clone());
        change.replicas = changed(&self.replicas, &partition.replicas);
        change.removing = changed(&self.removing, &partition.removing);
        change.adding = changed(&self.adding, &partition.adding);
    }
}
