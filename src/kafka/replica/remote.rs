//! What a leader knows of one follower: `Replica` and `ReplicaState` of Kafka.

use std::time::Duration;

use crate::{
    env::Instant,
    kafka::types::{BrokerEpoch, Offset},
};

/// No fetch has told it yet (`UnifiedLog.UnknownOffset`); below every offset.
const UNKNOWN: Offset = Offset(-1);

/// One follower, known by its fetches: an offset it asks for is the end of its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RemoteReplica {
    pub log_start: Offset,
    pub log_end: Offset,
    /// The leader's end when the last fetch came.
    last_fetch_leader_end: Offset,
    last_fetch: Option<Instant>,
    /// The latest time at which the follower is known to have had all the leader had; `None` is long ago.
    last_caught_up: Option<Instant>,
    /// The incarnation that fetched last, -1 if its fetch did not say; `None` before the first fetch.
    pub broker_epoch: Option<BrokerEpoch>,
}

/// One fetch as far as it says how its follower stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub at: Instant,
    pub log_start: Offset,
    pub fetch_offset: Offset,
    pub leader_end: Offset,
    pub broker_epoch: BrokerEpoch,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Membership {
    InSync,
    OutOfSync,
}

impl RemoteReplica {
    /// One that joined the assignment: out of sync until it fetches.
    pub fn unknown() -> Self {
        RemoteReplica {
            log_start: UNKNOWN,
            log_end: UNKNOWN,
            last_fetch_leader_end: UNKNOWN,
            last_fetch: None,
            last_caught_up: None,
            broker_epoch: None,
        }
    }

    /// For a leader that did not lead before: members of the ISR get `replica.lag.time.max.ms` to show up.
    pub fn at_election(now: Instant, membership: Membership) -> Self {
        let mut replica = RemoteReplica::unknown();
        replica.last_caught_up = (membership == Membership::InSync).then_some(now);
        replica
    }

    /// For a leader that leads on in a new epoch; what it knows of its followers holds.
    pub fn reelected(&mut self, now: Instant, leader_end: Offset, membership: Membership) {
        let since = (membership == Membership::InSync).then_some(now);
        self.last_fetch_leader_end = leader_end;
        self.last_fetch = since;
        self.last_caught_up = since;
    }

    /// A follower that asks for the leader's end has caught up; one that asks for what was the end at its
    /// last fetch had caught up then, however fast the leader writes.
    pub fn fetched(&mut self, progress: Progress) {
        let Progress { at, log_start, fetch_offset, leader_end, broker_epoch } = progress;
        if fetch_offset >= leader_end {
            self.last_caught_up = self.last_caught_up.max(Some(at));
        } else if fetch_offset >= self.last_fetch_leader_end {
            self.last_caught_up = self.last_caught_up.max(self.last_fetch);
        }
        self.log_start = log_start;
        self.log_end = fetch_offset;
        self.last_fetch_leader_end = self.last_fetch_leader_end.max(leader_end);
        self.last_fetch = Some(at);
        self.broker_epoch = Some(broker_epoch);
    }

    /// Whether it has all of the leader's log, or had within `lag`.
    pub fn is_caught_up(&self, leader_end: Offset, now: Instant, lag: Duration) -> bool {
        self.log_end == leader_end || self.since_caught_up(now).is_some_and(|since| since <= lag)
    }

    /// `None` is long ago.
    pub fn since_caught_up(&self, now: Instant) -> Option<Duration> {
        self.last_caught_up.map(|then| now.since(then))
    }
}
