//! The leader: how far each voter is, what a majority has, and whether a majority is still there (`LeaderState`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    BeginQuorumEpochRequest, Effect, FetchRequest, Now, Quorum, QuorumConfig, QuorumLog,
    ReplicaKey, ReplicaProgress, Request, RequestToken,
    config::CommitRule,
    quorum::{Polled, Role},
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, Offset},
};

/// `OBSERVER_SESSION_TIMEOUT_MS`: after this silence an observer is forgotten.
const OBSERVER_SESSION: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Progress {
    key: ReplicaKey,
    /// Everything before is in its log, and synced if it is a voter.
    end: Option<Offset>,
    last_fetch: Option<Instant>,
    last_caught_up: Option<Instant>,
    /// The leader's own end when it fetched last.
    leader_end: Offset,
}

impl Progress {
    fn new(key: ReplicaKey) -> Self {
        Progress { key, end: None, last_fetch: None, last_caught_up: None, leader_end: Offset(-1) }
    }

    fn fetched(&mut self, now: Instant, offset: Offset, leader_end: Offset) {
        if offset >= leader_end {
            self.last_caught_up = Some(now);
        } else if self.leader_end > Offset(0) && offset >= self.leader_end {
            self.last_caught_up = self.last_caught_up.max(self.last_fetch);
        }
        self.leader_end = leader_end;
        self.last_fetch = Some(now);
        self.end = Some(offset);
    }
}

/// A Fetch that waits for records, or for a higher high watermark.
#[derive(Debug)]
pub(super) struct Parked {
    pub token: RequestToken,
    pub request: FetchRequest,
    pub until: Instant,
}

#[derive(Debug)]
pub(super) struct Leader {
    /// Where the first record of its epoch stands.
    pub epoch_start: Offset,
    /// `None` until a record of its own epoch is committed.
    pub high_watermark: Option<Offset>,
    /// Whether the controller was told.
    pub announced: bool,
    voters: BTreeMap<BrokerId, Progress>,
    observers: BTreeMap<ReplicaKey, Progress>,
    /// Voters but for itself that fetched since the check began anew.
    heard: BTreeSet<BrokerId>,
    check_quorum_deadline: Instant,
    /// When a voter that does not fetch is told (again) who leads.
    begin_due: BTreeMap<BrokerId, Instant>,
    pub parked: Vec<Parked>,
}

impl Leader {
    pub fn new(now: Instant, config: &QuorumConfig, epoch_start: Offset) -> Self {
        let key = |(&id, &directory)| (id, Progress::new(ReplicaKey::new(id, directory)));
        Leader {
            epoch_start,
            high_watermark: None,
            announced: false,
            voters: config.voters.iter().map(key).collect(),
            observers: BTreeMap::new(),
            heard: BTreeSet::new(),
            check_quorum_deadline: now + check_quorum_timeout(config),
            begin_due: config.others().map(|voter| (voter.id, now)).collect(),
            parked: Vec::new(),
        }
    }

    /// The other voters, those with the longest logs first.
    pub fn successors(&self, local: BrokerId) -> Vec<ReplicaKey> {
        let mut others: Vec<&Progress> =
            self.voters.values().filter(|voter| voter.key.id != local).collect();
        others.sort_by_key(|voter| (std::cmp::Reverse(voter.end), voter.key));
        others.into_iter().map(|voter| voter.key).collect()
    }

    /// What a majority of the voters has.
    fn replicated(&self) -> Option<Offset> {
        let mut ends: Vec<Option<Offset>> = self.voters.values().map(|voter| voter.end).collect();
        ends.sort_unstable_by_key(|end| std::cmp::Reverse(*end));
        ends.get(ends.len() / 2).copied().flatten()
    }

    fn may_commit(&self, replicated: Offset, rule: CommitRule) -> bool {
        match rule {
            CommitRule::OwnEpochRecord => replicated > self.epoch_start,
            CommitRule::EpochStart => replicated >= self.epoch_start,
            CommitRule::AnyEpoch => true,
        }
    }

    fn is_check_due(&self, now: Instant) -> bool {
        self.voters.len() > 1 && now >= self.check_quorum_deadline
    }
}

/// `CHECK_QUORUM_TIMEOUT_FACTOR`: longer than followers wait, for the time that messages take.
fn check_quorum_timeout(config: &QuorumConfig) -> Duration {
    config.fetch_timeout * 3 / 2
}

impl Quorum {
    pub(super) fn poll_leader(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) -> Polled {
        let Role::Leader(leader) = &mut self.role else { return Polled::Settled };
        if leader.is_check_due(now.instant) {
            self.become_resigned(now, effects);
            return Polled::Changed;
        }
        if leader.parked.iter().any(|parked| parked.until <= now.instant) {
            let parked = std::mem::take(&mut leader.parked);
            let (due, waiting) = parked.into_iter().partition(|parked| parked.until <= now.instant);
            leader.parked = waiting;
            self.serve_parked(log, due, effects);
        }
        self.begin_epoch(now, effects);
        Polled::Settled
    }

    pub(super) fn leader_deadline(&self, leader: &Leader) -> Instant {
        let begin = leader.begin_due.iter().map(|(id, due)| (*due).max(self.peers.ready_at(*id)));
        let parked = leader.parked.iter().map(|parked| parked.until);
        let check = (leader.voters.len() > 1).then_some(leader.check_quorum_deadline);
        begin.chain(parked).chain(check).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Tells the voters that do not fetch: at first all of them.
    fn begin_epoch(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Role::Leader(leader) = &self.role else { return };
        let due = leader.begin_due.iter().filter(|(_, due)| **due <= now.instant);
        for voter in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            if !self.peers.is_ready(voter, now.instant) {
                continue;
            }
            let request = BeginQuorumEpochRequest {
                cluster_id: Some(self.config.cluster_id.clone()),
                voter: Some(self.voter_key(voter)),
                leader: self.config.local.id,
                epoch: self.election.epoch,
            };
            self.send_if_ready(now, voter, || Request::BeginQuorumEpoch(request), effects);
            self.begin_later(now, voter);
        }
    }

    /// Half a fetch timeout, so that no voter gives up between two of them.
    fn begin_later(&mut self, now: Now, voter: BrokerId) {
        let due = now.instant + self.config.fetch_timeout / 2;
        if let Role::Leader(leader) = &mut self.role
            && let Some(begin) = leader.begin_due.get_mut(&voter)
        {
            *begin = due;
        }
    }

    /// A replica fetched: its log agrees with ours up to `offset`.
    pub(super) fn note_fetch(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        replica: ReplicaKey,
        offset: Offset,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        if replica.id.0 < 0 {
            return;
        }
        let end = log.end_offset();
        if !self.config.is_voter(replica) {
            let progress =
                leader.observers.entry(replica).or_insert_with(|| Progress::new(replica));
            progress.fetched(now.instant, offset, end);
            let recent = |_: &ReplicaKey, it: &mut Progress| {
                it.last_fetch.is_some_and(|last| now.instant - last < OBSERVER_SESSION)
            };
            leader.observers.retain(recent);
            return;
        }
        if let Some(progress) = leader.voters.get_mut(&replica.id) {
            progress.fetched(now.instant, offset, end);
        }
        self.note_voter(now, replica);
        self.advance_leader(log, effects);
    }

    /// A voter gave a sign of life. Once a majority has, the check begins anew.
    pub(super) fn note_voter(&mut self, now: Now, replica: ReplicaKey) {
        if !self.config.is_voter(replica) {
            return;
        }
        let Role::Leader(leader) = &mut self.role else { return };
        leader.heard.insert(replica.id);
        // The leader counts as one of the majority.
        if leader.heard.len() + 1 >= self.config.majority() {
            leader.heard.clear();
            leader.check_quorum_deadline = now.instant + check_quorum_timeout(&self.config);
        }
        self.begin_later(now, replica.id);
    }

    /// The leader's own log, or a voter's, is longer: moves the high watermark, and serves those who wait.
    pub(super) fn advance_leader(&mut self, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        let own = self.acknowledged(log);
        let rule = self.config.policies.commit_rule;
        let local = self.config.local.id;
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(progress) = leader.voters.get_mut(&local) {
            progress.end = Some(own);
        }
        if let Some(replicated) = leader.replicated()
            && leader.may_commit(replicated, rule)
            && leader.high_watermark.is_none_or(|known| replicated > known)
        {
            leader.high_watermark = Some(replicated);
            // The controller begins behind the record that its epoch begins with, whatever counts as committed
            // (KafkaRaftClient.ListenerContext.maybeFireLeaderChange).
            let announce = !leader.announced && replicated > leader.epoch_start;
            leader.announced |= announce;
            self.raise_high_watermark(replicated, effects);
            if announce {
                effects.push(Effect::BecameLeader { epoch: self.election.epoch });
            }
        }
        self.serve_ready(log, effects);
    }

    pub(super) fn raise_high_watermark(&mut self, offset: Offset, effects: &mut Vec<Effect>) {
        if self.high_watermark.is_none_or(|known| offset > known) {
            self.high_watermark = Some(offset);
            effects.push(Effect::HighWatermarkMoved(offset));
        }
    }

    /// Voters, then observers, as their leader sees them: DescribeQuorum. Empty at all others.
    pub fn progress(&self) -> (Vec<ReplicaProgress>, Vec<ReplicaProgress>) {
        let Role::Leader(leader) = &self.role else { return (Vec::new(), Vec::new()) };
        let tell = |it: &Progress| ReplicaProgress {
            replica: it.key,
            end: it.end,
            last_fetch: it.last_fetch,
            last_caught_up: it.last_caught_up,
        };
        (leader.voters.values().map(tell).collect(), leader.observers.values().map(tell).collect())
    }
}
