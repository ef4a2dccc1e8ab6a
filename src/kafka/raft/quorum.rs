//! The state of one replica and what drives it.

use std::time::Duration;

use super::{
    Correlation, Effect, ElectionState, OffsetAndEpoch, QuorumConfig, QuorumLog, ReplicaKey,
    Request, RequestToken, Response, SyncToken, candidate::Candidate, config::QuorumFlush,
    follower::Follower, leader::Leader, peers::Peers, prospective::Prospective, resigned::Resigned,
    unattached::Unattached,
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch, Offset},
};

/// What chance gives a call: uniform over all values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Jitter(pub u32);

impl Jitter {
    /// From 0 up to, not including, `bound`.
    pub(super) fn below(self, bound: u64) -> u64 {
        let scaled = (u128::from(self.0) * u128::from(bound)) >> 32;
        u64::try_from(scaled).expect("a part of a u64")
    }

    pub(super) fn of(self, bound: Duration) -> Duration {
        Duration::from_nanos(self.below(u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The moment of a call. The jitter is drawn anew for each; it spreads elections and retries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    pub instant: Instant,
    pub jitter: Jitter,
}

#[derive(Debug)]
pub(super) enum Role {
    Unattached(Unattached),
    Prospective(Prospective),
    Candidate(Candidate),
    Leader(Leader),
    Follower(Follower),
    Resigned(Resigned),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleName {
    Unattached,
    Prospective,
    Candidate,
    Leader,
    Follower,
    Resigned,
}

/// One replica of the metadata quorum.
///
/// - Its epoch never falls, and it votes at most once in each.
/// - Whatever depends on epoch or vote leaves only after both were persisted.
/// - It acknowledges and offers (Fetch, Vote) only what of its log is durable.
/// - The high watermark it tells never falls.
#[derive(Debug)]
pub struct Quorum {
    pub(super) config: QuorumConfig,
    pub(super) role: Role,
    pub(super) election: ElectionState,
    /// What `quorum-state` holds, or will before any later effect.
    pub(super) persisted: ElectionState,
    /// The highest known to this process.
    pub(super) high_watermark: Option<Offset>,
    pub(super) peers: Peers,
    /// Everything before is durable.
    pub(super) synced: Offset,
    pub(super) syncing: Option<(SyncToken, Offset)>,
    pub(super) next_sync: u64,
    /// An effect changed the log, and `handle_log_changed` did not come yet.
    pub(super) log_in_flux: bool,
}

/// How far a replica is, as its leader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplicaProgress {
    pub replica: ReplicaKey,
    pub end: Option<Offset>,
    pub last_fetch: Option<Instant>,
    pub last_caught_up: Option<Instant>,
}

impl Quorum {
    /// Takes up where the replica stood when it ended. `stored` is what its `quorum-state` holds, if there is
    /// such a file. Who leads, as far as it says, is not told as an effect: [`Self::leader`] knows.
    pub fn start(
        now: Now,
        config: QuorumConfig,
        stored: Option<ElectionState>,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut quorum = Quorum {
            peers: Peers::new(config.request_timeout, config.retry_backoff),
            role: Role::Unattached(Unattached { election_deadline: Instant::FAR_FUTURE }),
            election: stored.unwrap_or_default(),
            persisted: stored.unwrap_or_default(),
            high_watermark: None,
            synced: log.start_offset(),
            syncing: None,
            next_sync: 0,
            log_in_flux: false,
            config,
        };
        quorum.resume(now, log, effects);
        quorum.want_sync(log, effects);
        quorum.poll(now, log, effects);
        quorum
    }

    pub fn handle_request(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        token: RequestToken,
        request: Request,
        effects: &mut Vec<Effect>,
    ) {
        match request {
            Request::Vote(request) => self.vote_requested(now, log, token, &request, effects),
            Request::BeginQuorumEpoch(request) => self.begun(now, token, &request, effects),
            Request::EndQuorumEpoch(request) => self.ended(now, token, &request, effects),
            Request::Fetch(request) => self.fetch_requested(now, log, token, request, effects),
            Request::FetchSnapshot(request) => {
                self.snapshot_requested(now, log, token, &request, effects);
            }
        }
        self.poll(now, log, effects);
    }

    /// The answer of voter `from`. Fine to give if it is no longer waited for.
    pub fn handle_response(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        from: BrokerId,
        correlation: Correlation,
        response: Response,
        effects: &mut Vec<Effect>,
    ) {
        if self.peers.answered(from, correlation) {
            self.answered(now, log, from, response, effects);
        }
        self.poll(now, log, effects);
    }

    /// The request will have no answer: refused, cut off, or unreadable.
    pub fn handle_request_failed(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        to: BrokerId,
        correlation: Correlation,
        effects: &mut Vec<Effect>,
    ) {
        if self.peers.answered(to, correlation) {
            self.peers.back_off(to, now.instant);
        }
        self.poll(now, log, effects);
    }

    /// The log's end or start is another than at the last call: an effect was done, the controller appended
    /// as leader, or a snapshot of our own took the place of old records.
    pub fn handle_log_changed(&mut self, now: Now, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        self.log_in_flux = false;
        self.want_sync(log, effects);
        self.follow_high_watermark(log, effects);
        self.advance_leader(log, effects);
        self.poll(now, log, effects);
    }

    /// Everything that was in the log when `sync` was asked for is durable.
    pub fn handle_log_synced(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        sync: SyncToken,
        effects: &mut Vec<Effect>,
    ) {
        // One that was asked for before a truncation says nothing of what was appended since.
        if let Some((_, end)) = self.syncing.take_if(|(token, _)| *token == sync) {
            self.synced = self.synced.max(end);
            self.want_sync(log, effects);
            self.advance_leader(log, effects);
        }
        self.poll(now, log, effects);
    }

    /// Gives leadership up: the node shuts down, or its controller cannot go on. Voters are told who should
    /// follow; a node that shuts down can go once [`Self::role`] is no longer `Resigned`, or time is up.
    pub fn handle_resignation(&mut self, now: Now, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        if matches!(self.role, Role::Leader(_)) {
            self.become_resigned(now, effects);
        }
        self.poll(now, log, effects);
    }

    /// Does all that is due. Fine to call at any time.
    pub fn handle_deadline(&mut self, now: Now, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        self.poll(now, log, effects);
    }

    /// When to call [`Self::handle_deadline`] if nothing else happens before.
    pub fn next_deadline(&self) -> Instant {
        match &self.role {
            Role::Unattached(_) => self.unattached_deadline(),
            Role::Prospective(prospective) => self.prospective_deadline(prospective),
            Role::Candidate(candidate) => self.candidate_deadline(candidate),
            Role::Leader(leader) => self.leader_deadline(leader),
            Role::Follower(follower) => self.follower_deadline(follower),
            Role::Resigned(resigned) => self.resigned_deadline(resigned),
        }
    }

    /// Lets time pass: each role's timers, and what it has to send. A change of role is polled again, for what
    /// the new one sends first.
    pub(super) fn poll(&mut self, now: Now, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        // Each turn but the last changed the role; a lone voter takes the longest way, to leader.
        loop {
            let changed = match &self.role {
                Role::Unattached(_) => self.poll_unattached(now, log, effects),
                Role::Prospective(_) => self.poll_prospective(now, log, effects),
                Role::Candidate(_) => self.poll_candidate(now, log, effects),
                Role::Leader(_) => self.poll_leader(now, log, effects),
                Role::Follower(_) => self.poll_follower(now, log, effects),
                Role::Resigned(_) => self.poll_resigned(now, effects),
            };
            if changed == Polled::Settled {
                return;
            }
        }
    }

    pub fn role(&self) -> RoleName {
        match &self.role {
            Role::Unattached(_) => RoleName::Unattached,
            Role::Prospective(_) => RoleName::Prospective,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
            Role::Follower(_) => RoleName::Follower,
            Role::Resigned(_) => RoleName::Resigned,
        }
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// The leader of [`Self::epoch`], if it is known. One that resigned is still named.
    pub fn leader(&self) -> Option<BrokerId> {
        self.election.leader
    }

    pub fn election(&self) -> ElectionState {
        self.election
    }

    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    pub fn is_voter(&self) -> bool {
        self.config.is_voter(self.config.local)
    }

    pub fn config(&self) -> &QuorumConfig {
        &self.config
    }

    /// The epoch that the controller may append under, if this replica leads and has caught up with itself.
    pub fn writable_epoch(&self) -> Option<LeaderEpoch> {
        match &self.role {
            Role::Leader(leader) if leader.announced => Some(self.election.epoch),
            _ => None,
        }
    }

    /// Snapshot that is being fetched, and how many bytes of it are there.
    pub fn fetching_snapshot(&self) -> Option<(OffsetAndEpoch, u64)> {
        match &self.role {
            Role::Follower(follower) => {
                follower.fetching.map(|fetching| (fetching.snapshot, fetching.position))
            }
            _ => None,
        }
    }

    /// Up to where this replica's log counts towards a majority.
    pub(super) fn acknowledged(&self, log: &dyn QuorumLog) -> Offset {
        match self.config.policies.quorum_flush {
            QuorumFlush::BeforeAcknowledging => self.synced,
            QuorumFlush::Never => log.end_offset(),
        }
    }

    /// Whether what a Fetch or Vote would say of the log is sure to be there after a power loss: no change of
    /// it is under way, and no sync (none ever is at an observer, whose log counts for nothing).
    ///
    /// Kafka syncs within the append and so never asks.
    pub(super) fn may_show_log(&self) -> bool {
        !self.log_in_flux && self.syncing.is_none()
    }

    /// Asks for a sync if one is needed and none is under way.
    ///
    /// A departure: what a start finds in the log counts as not synced. Kafka takes it for durable, also what
    /// it had appended and not yet synced when its process was killed.
    pub(super) fn want_sync(&mut self, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        let end = log.end_offset();
        // What a snapshot of our own took the place of is durable with it.
        self.synced = self.synced.max(log.start_offset());
        if self.is_voter() && self.acknowledged(log) < end && self.syncing.is_none() {
            let sync = SyncToken(self.next_sync);
            self.next_sync += 1;
            self.syncing = Some((sync, end));
            effects.push(Effect::SyncLog(sync));
        }
    }
}

/// Whether a role has done what it can, or became another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Polled {
    Settled,
    Changed,
}
