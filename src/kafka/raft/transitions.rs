//! From role to role (`QuorumState`). Every change of epoch, leader or vote is persisted here, and nowhere else.

use std::time::Duration;

use super::{
    Effect, ElectionState, Now, PreVote, Quorum, QuorumLog, ReplicaKey, candidate::Candidate,
    follower::Follower, leader::Leader, log, prospective::Prospective, quorum::Role,
    resigned::Resigned, unattached::Unattached, votes::Tally,
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch},
};

/// Somebody says that an epoch has another leader than the one known: a bug, or no voter of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InconsistentLeader;

impl Quorum {
    /// The first role after a start, from what `quorum-state` says (`QuorumState.initialize`).
    pub(super) fn resume(&mut self, now: Now, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        let local = self.config.local;
        let stored = self.election;
        let deadline = self.election_deadline(now);
        if stored.epoch < log.last_epoch() {
            // The file was lost; nobody may be voted for in an epoch that wrote records.
            let election = ElectionState { epoch: log.last_epoch(), leader: None, voted: None };
            self.enter(
                Role::Unattached(Unattached { election_deadline: deadline }),
                election,
                effects,
            );
        } else if stored.leader == Some(local.id) {
            // Neither leads on, for it may have lost records that it had sent, nor votes for another.
            let resigned = Resigned::new(self.config.others(), deadline, Vec::new());
            self.enter(Role::Resigned(resigned), stored, effects);
        } else if stored.voted == Some(local) && self.is_voter() {
            let candidate = Candidate::new(Tally::new(&self.config), 1, deadline);
            self.enter(Role::Candidate(candidate), stored, effects);
        } else if let Some(leader) = stored.leader.filter(|id| self.config.voters.contains_key(id))
        {
            let follower = Follower::new(leader, now.instant + self.config.fetch_timeout);
            self.enter(Role::Follower(follower), stored, effects);
        } else {
            let election = ElectionState { leader: None, ..stored };
            self.enter(
                Role::Unattached(Unattached { election_deadline: deadline }),
                election,
                effects,
            );
        }
        if self.config.voters.len() == 1
            && self.is_voter()
            && !matches!(self.role, Role::Candidate(_))
        {
            self.stand_for_election(now, effects);
        }
    }

    /// An election timeout, spread by chance; never for an observer.
    pub(super) fn election_deadline(&self, now: Now) -> Instant {
        if self.is_voter() {
            let base = self.config.election_timeout;
            now.instant + base + now.jitter.of(base)
        } else {
            Instant::FAR_FUTURE
        }
    }

    /// The role takes effect; what must outlast a crash is persisted first.
    fn enter(&mut self, role: Role, election: ElectionState, effects: &mut Vec<Effect>) {
        if let Role::Leader(leader) = &self.role
            && leader.announced
        {
            effects.push(Effect::LostLeadership { epoch: self.election.epoch });
        }
        let left = std::mem::replace(&mut self.role, role);
        let told = (self.election.epoch, self.election.leader);
        self.election = election;
        self.persist(election, effects);
        if told != (election.epoch, election.leader) {
            let (epoch, leader) = (election.epoch, election.leader);
            effects.push(Effect::LeaderChanged { epoch, leader });
        }
        if let Role::Leader(leader) = left {
            self.dismiss(leader, effects);
        }
    }

    /// One write for a call that learns an epoch and votes in it: nothing left the replica in between.
    fn persist(&mut self, election: ElectionState, effects: &mut Vec<Effect>) {
        if self.persisted == election {
            return;
        }
        self.persisted = election;
        let news = |effect: &Effect| !matches!(effect, Effect::LeaderChanged { .. });
        if let Some(last) = effects.iter().rposition(news)
            && matches!(effects[last], Effect::Persist(_))
        {
            effects.remove(last);
        }
        effects.push(Effect::Persist(election));
    }

    /// A new epoch without a known leader, or the same one after a pre-vote was lost.
    pub(super) fn become_unattached(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        effects: &mut Vec<Effect>,
    ) {
        debug_assert!(epoch >= self.election.epoch, "an epoch never falls");
        let election_deadline = match &self.role {
            // Who hears of a new epoch again and again must still stand for election at some time.
            Role::Unattached(unattached) => unattached.election_deadline,
            Role::Candidate(candidate) => candidate.election_deadline,
            Role::Prospective(prospective) if !prospective.tally.is_lost() => {
                prospective.election_deadline
            }
            Role::Resigned(resigned) => resigned.election_deadline,
            _ => self.election_deadline(now),
        };
        let voted = if epoch == self.election.epoch { self.election.voted } else { None };
        let election = ElectionState { epoch, leader: None, voted };
        self.enter(Role::Unattached(Unattached { election_deadline }), election, effects);
        self.peers.reset();
    }

    /// Gives this epoch's one vote. Unattached and prospective replicas can; they stay what they are, with a new
    /// election timeout, for the candidate has as good a chance as they.
    pub(super) fn vote_for(&mut self, now: Now, candidate: ReplicaKey, effects: &mut Vec<Effect>) {
        let election = ElectionState { voted: Some(candidate), ..self.election };
        let election_deadline = self.election_deadline(now);
        let role = match &self.role {
            Role::Prospective(prospective) => Role::Prospective(Prospective::new(
                Tally::new(&self.config),
                prospective.retries,
                election_deadline,
            )),
            _ => Role::Unattached(Unattached { election_deadline }),
        };
        self.enter(role, election, effects);
    }

    pub(super) fn become_follower(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        leader: BrokerId,
        effects: &mut Vec<Effect>,
    ) {
        debug_assert!(epoch >= self.election.epoch && leader != self.config.local.id);
        let voted = if epoch == self.election.epoch { self.election.voted } else { None };
        let election = ElectionState { epoch, leader: Some(leader), voted };
        let follower = Follower::new(leader, now.instant + self.config.fetch_timeout);
        self.enter(Role::Follower(follower), election, effects);
        self.peers.reset();
    }

    /// A timeout passed without a leader, or an election was lost.
    pub(super) fn stand_for_election(&mut self, now: Now, effects: &mut Vec<Effect>) {
        match self.config.policies.pre_vote {
            PreVote::On => self.become_prospective(now, effects),
            PreVote::Off => self.become_candidate(now, effects),
        }
    }

    fn next_retries(&self) -> u32 {
        match &self.role {
            Role::Candidate(candidate) => candidate.retries + 1,
            Role::Prospective(prospective) => prospective.retries,
            _ => 1,
        }
    }

    fn become_prospective(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let tally = Tally::new(&self.config);
        let prospective = Prospective::new(tally, self.next_retries(), self.election_deadline(now));
        self.enter(Role::Prospective(prospective), self.election, effects);
        self.peers.reset();
    }

    pub(super) fn become_candidate(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let tally = Tally::new(&self.config);
        let candidate = Candidate::new(tally, self.next_retries(), self.election_deadline(now));
        let election = ElectionState {
            epoch: LeaderEpoch(self.election.epoch.0.saturating_add(1)),
            leader: None,
            voted: Some(self.config.local),
        };
        self.enter(Role::Candidate(candidate), election, effects);
        self.peers.reset();
    }

    /// After a majority's votes. The first record of the epoch is appended at once: nothing can be committed
    /// before it is.
    pub(super) fn become_leader(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        granting: Vec<BrokerId>,
        effects: &mut Vec<Effect>,
    ) {
        let epoch = self.election.epoch;
        let id = self.config.local.id;
        let leader = Leader::new(now.instant, &self.config, log::reach(log).offset);
        let election = ElectionState { epoch, leader: Some(id), voted: None };
        self.enter(Role::Leader(leader), election, effects);
        self.peers.reset();
        self.log_in_flux = true;
        let voters = self.config.voters.keys().copied().collect();
        effects.push(Effect::AppendLeaderChange { epoch, leader: id, voters, granting });
    }

    /// A leader that gives up. It stays the epoch's leader to all who ask, but does nothing as such.
    pub(super) fn become_resigned(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let successors = match &self.role {
            Role::Leader(leader) => leader.successors(self.config.local.id),
            _ => Vec::new(),
        };
        let deadline = self.election_deadline(now);
        let resigned = Resigned::new(self.config.others(), deadline, successors);
        self.enter(Role::Resigned(resigned), self.election, effects);
        self.peers.reset();
    }

    /// Takes in what a request or an answer says of epoch and leader (`maybeTransition`).
    pub(super) fn learn(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        leader: Option<BrokerId>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), InconsistentLeader> {
        let known = self.election;
        let local = self.config.local.id;
        if epoch < known.epoch {
            return Ok(());
        }
        if let Some(leader) = leader {
            let contradicts = epoch == known.epoch && known.leader.is_some_and(|it| it != leader);
            let crowned = leader == local && (epoch > known.epoch || known.leader != Some(local));
            if contradicts || crowned || !self.config.voters.contains_key(&leader) {
                return Err(InconsistentLeader);
            }
            if epoch > known.epoch || known.leader.is_none() {
                self.become_follower(now, epoch, leader, effects);
            }
        } else if epoch > known.epoch {
            self.become_unattached(now, epoch, effects);
        }
        Ok(())
    }

    /// How long a candidate whose vote was lost waits: up to twice as long each time.
    pub(super) fn election_backoff(&self, now: Now, retries: u32) -> Duration {
        // `RETRY_BACKOFF_BASE_MS`, and a bound on the exponent against overflow, as in `KafkaRaftClient`.
        const BASE: Duration = Duration::from_millis(100);
        let steps = 2u64 << retries.saturating_sub(1).min(20);
        let chosen = u32::try_from(now.jitter.below(steps)).expect("below 2^22");
        (BASE * chosen).min(self.config.election_backoff_max)
    }
}
