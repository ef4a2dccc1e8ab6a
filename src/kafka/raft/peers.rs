//! The voters as somebody to send requests to: one request at a time each, and a pause after a failure
//! (`RequestManager`).

use std::{collections::BTreeMap, time::Duration};

use super::Correlation;
use crate::{env::Instant, kafka::types::BrokerId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Peer {
    Awaiting { correlation: Correlation, until: Instant },
    BackingOff { until: Instant },
}

/// - A peer has at most one request that is waited for.
/// - An answer that is no longer waited for changes nothing: a change of role forgets all requests.
#[derive(Debug)]
pub(super) struct Peers {
    /// Those that are ready are not in it.
    busy: BTreeMap<BrokerId, Peer>,
    next: u64,
    request_timeout: Duration,
    retry_backoff: Duration,
}

impl Peers {
    pub fn new(request_timeout: Duration, retry_backoff: Duration) -> Self {
        Peers { busy: BTreeMap::new(), next: 0, request_timeout, retry_backoff }
    }

    pub fn is_ready(&self, peer: BrokerId, now: Instant) -> bool {
        self.ready_at(peer) <= now
    }

    /// When the next request may go to `peer`; a time that has passed if it is ready.
    pub fn ready_at(&self, peer: BrokerId) -> Instant {
        match self.busy.get(&peer) {
            None => Instant::from_nanos(0),
            Some(Peer::Awaiting { until, .. } | Peer::BackingOff { until }) => *until,
        }
    }

    /// Whether the last request to `peer` failed, or was not answered in time.
    pub fn is_failing(&self, peer: BrokerId, now: Instant) -> bool {
        match self.busy.get(&peer) {
            None => false,
            Some(Peer::Awaiting { until, .. }) => *until <= now,
            Some(Peer::BackingOff { until }) => *until > now,
        }
    }

    /// Whether any request is waited for.
    pub fn is_any_in_flight(&self, now: Instant) -> bool {
        self.latest_in_flight().is_some_and(|until| until > now)
    }

    /// When the latest request that is (or was) waited for will have taken too long.
    pub fn latest_in_flight(&self) -> Option<Instant> {
        let awaited = |peer: &Peer| match peer {
            Peer::Awaiting { until, .. } => Some(*until),
            Peer::BackingOff { .. } => None,
        };
        self.busy.values().filter_map(awaited).max()
    }

    /// Requests that took too long are forgotten with it: their answers must not mix with later ones.
    pub fn sent(&mut self, peer: BrokerId, now: Instant) -> Correlation {
        self.busy.retain(|_, peer| !matches!(peer, Peer::Awaiting { until, .. } if *until <= now));
        let correlation = Correlation(self.next);
        self.next += 1;
        let until = now + self.request_timeout;
        self.busy.insert(peer, Peer::Awaiting { correlation, until });
        correlation
    }

    /// An answer came, or none will. `false` if it is not waited for.
    pub fn answered(&mut self, peer: BrokerId, correlation: Correlation) -> bool {
        let awaited = |state: &Peer| matches!(state, Peer::Awaiting { correlation: awaited, .. } if *awaited == correlation);
        if !self.busy.get(&peer).is_some_and(awaited) {
            return false;
        }
        self.busy.remove(&peer);
        true
    }

    pub fn back_off(&mut self, peer: BrokerId, now: Instant) {
        let until = now + self.retry_backoff;
        self.busy.insert(peer, Peer::BackingOff { until });
    }

    /// After a change of role nothing that was asked before matters.
    pub fn reset(&mut self) {
        self.busy.clear();
    }
}
