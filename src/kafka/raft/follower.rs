//! Who fetches from a known leader, voter or observer (`FollowerState`).

use super::{
    Effect, Fault, FetchRequest, FetchSnapshotRequest, Now, OffsetAndEpoch, Quorum, QuorumLog,
    ReplicaKey, Request,
    fetches::FETCH_MAX_WAIT,
    log::reach,
    quorum::{Polled, Role},
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, Offset},
};

/// A snapshot on its way. No records are fetched meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SnapshotFetch {
    pub snapshot: OffsetAndEpoch,
    pub position: u64,
}

#[derive(Debug)]
pub(super) struct Follower {
    pub leader: BrokerId,
    /// A voter stands for election then; an observer looks for another leader.
    pub fetch_deadline: Instant,
    /// Whether this leader ever answered: then it is alive, and no pre-vote is granted against it.
    pub has_fetched: bool,
    pub fetching: Option<SnapshotFetch>,
    /// What the leader said is committed, also beyond our own end.
    pub leader_high_watermark: Option<Offset>,
}

impl Follower {
    pub fn new(leader: BrokerId, fetch_deadline: Instant) -> Self {
        Follower {
            leader,
            fetch_deadline,
            has_fetched: false,
            fetching: None,
            leader_high_watermark: None,
        }
    }
}

impl Quorum {
    pub(super) fn poll_follower(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) -> Polled {
        let Role::Follower(follower) = &self.role else { return Polled::Settled };
        let timed_out = now.instant >= follower.fetch_deadline;
        if timed_out && self.is_voter() {
            self.stand_for_election(now, effects);
            return Polled::Changed;
        }
        // A leader that does not answer may no longer be it: any other voter may know.
        if timed_out || self.peers.is_failing(follower.leader, now.instant) {
            self.fetch_from_anybody(now, log, effects);
        } else if self.may_show_log() && !self.peers.is_any_in_flight(now.instant) {
            let request = match follower.fetching {
                Some(fetching) => Request::FetchSnapshot(self.snapshot_request(fetching)),
                None => Request::Fetch(self.fetch_request(log)),
            };
            self.send_if_ready(now, follower.leader, || request, effects);
        }
        Polled::Settled
    }

    pub(super) fn follower_deadline(&self, follower: &Follower) -> Instant {
        if self.is_voter() {
            follower.fetch_deadline.min(self.anybody_ready_at())
        } else {
            // Past its timeout an observer goes on to ask; the timeout itself is no event any more.
            self.anybody_ready_at()
        }
    }

    /// One of the voters, drawn by lot, that is ready; none while another request is under way.
    pub(super) fn fetch_from_anybody(
        &mut self,
        now: Now,
        log: &dyn QuorumLog,
        effects: &mut Vec<Effect>,
    ) {
        if !self.may_show_log() || self.peers.is_any_in_flight(now.instant) {
            return;
        }
        let others: Vec<BrokerId> = self.config.others().map(|voter| voter.id).collect();
        let first = usize::try_from(now.jitter.below(others.len() as u64)).unwrap_or(0);
        let turned = others.iter().cycle().skip(first).take(others.len());
        let ready = turned.copied().find(|voter| self.peers.is_ready(*voter, now.instant));
        if let Some(voter) = ready {
            let request = self.fetch_request(log);
            self.send_if_ready(now, voter, || Request::Fetch(request), effects);
        }
    }

    /// When a Fetch can next be sent to any voter. Not while the log is not durable: its sync will call.
    pub(super) fn anybody_ready_at(&self) -> Instant {
        if !self.may_show_log() {
            return Instant::FAR_FUTURE;
        }
        let ready = |voter: ReplicaKey| self.peers.ready_at(voter.id);
        match self.peers.latest_in_flight() {
            Some(until) => until,
            None => self.config.others().map(ready).min().unwrap_or(Instant::FAR_FUTURE),
        }
    }

    fn fetch_request(&self, log: &dyn QuorumLog) -> FetchRequest {
        let reach = reach(log);
        FetchRequest {
            cluster_id: Some(self.config.cluster_id.clone()),
            replica: self.config.local,
            epoch: self.election.epoch,
            last_fetched_epoch: reach.epoch,
            offset: reach.offset,
            max_wait: FETCH_MAX_WAIT,
            max_bytes: self.config.fetch_max_bytes,
            high_watermark: self.high_watermark.unwrap_or(Offset(-1)),
        }
    }

    fn snapshot_request(&self, fetching: SnapshotFetch) -> FetchSnapshotRequest {
        FetchSnapshotRequest {
            cluster_id: Some(self.config.cluster_id.clone()),
            replica: self.config.local,
            epoch: self.election.epoch,
            snapshot: fetching.snapshot,
            position: fetching.position,
            max_bytes: self.config.fetch_snapshot_max_bytes,
        }
    }

    /// The leader answered as a leader does.
    pub(super) fn leader_is_alive(&mut self, now: Now) {
        let deadline = now.instant + self.config.fetch_timeout;
        if let Role::Follower(follower) = &mut self.role {
            follower.has_fetched = true;
            follower.fetch_deadline = deadline;
        }
    }

    /// The leader said what is committed. Of what is being appended it is so once it was.
    pub(super) fn hear_high_watermark(
        &mut self,
        log: &dyn QuorumLog,
        told: Option<Offset>,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(told), Role::Follower(follower)) = (told, &mut self.role) else { return };
        follower.leader_high_watermark = Some(told);
        match self.high_watermark {
            Some(known) if told < known => {
                effects.push(Effect::Halt(Fault::HighWatermarkFell { told, known }));
            }
            _ if !self.log_in_flux => self.follow_high_watermark(log, effects),
            _ => {}
        }
    }

    /// What the leader called committed is so here as far as our log goes.
    pub(super) fn follow_high_watermark(&mut self, log: &dyn QuorumLog, effects: &mut Vec<Effect>) {
        if let Role::Follower(follower) = &self.role
            && let Some(told) = follower.leader_high_watermark
        {
            self.raise_high_watermark(told.min(log.end_offset()), effects);
        }
    }
}
