//! Sessions of brokers: when each was last heard of and how far it has read the metadata
//! (`BrokerHeartbeatManager`). All of it is lost with the controller's leadership.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    env::Instant,
    kafka::types::{BrokerId, Offset},
};

/// A session has ended once its last sign of life is this much older than the timeout.
const PAST: Duration = Duration::from_nanos(1);

#[derive(Debug)]
struct Session {
    last_contact: Instant,
    /// How far the broker has read, as it said last; `None` where it has not said since it was registered or
    /// its registration changed.
    metadata_offset: Option<Offset>,
    fenced: bool,
    /// Once the others have read this far the broker may stop; set when its controlled shutdown begins.
    shutdown_offset: Option<Offset>,
}

/// What a broker is to the controller (`BrokerControlState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BrokerState {
    Fenced,
    Unfenced,
    ControlledShutdown,
    /// May stop at once, and is fenced.
    ShutdownNow,
}

impl BrokerState {
    pub fn is_fenced(self) -> bool {
        matches!(self, BrokerState::Fenced | BrokerState::ShutdownNow)
    }
}

#[derive(Debug)]
pub(super) struct Heartbeats {
    timeout: Duration,
    sessions: BTreeMap<BrokerId, Session>,
}

impl Heartbeats {
    pub fn new(timeout: Duration) -> Self {
        Heartbeats { timeout, sessions: BTreeMap::new() }
    }

    /// Opens a session, or notes that the registration says this of fencing.
    pub fn register(&mut self, now: Instant, broker: BrokerId, fenced: bool) {
        // A change that `touch` has made already takes the offset back, until the next heartbeat: Kafka's.
        let offset = self.sessions.get(&broker).filter(|session| session.fenced != fenced);
        let offset = offset.and_then(|session| session.metadata_offset);
        self.touch(now, broker, fenced, offset);
    }

    pub fn remove(&mut self, broker: BrokerId) {
        self.sessions.remove(&broker);
    }

    /// A sign of life.
    pub fn touch(
        &mut self,
        now: Instant,
        broker: BrokerId,
        fenced: bool,
        metadata_offset: Option<Offset>,
    ) {
        let earlier = self.sessions.get(&broker);
        // A fenced broker has left its controlled shutdown: it stops at its next heartbeat.
        let shutdown_offset =
            earlier.filter(|_| !fenced).and_then(|session| session.shutdown_offset);
        let session = Session { last_contact: now, metadata_offset, fenced, shutdown_offset };
        self.sessions.insert(broker, session);
    }

    pub fn fence(&mut self, broker: BrokerId) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.fenced = true;
        }
    }

    /// Fenced brokers have none.
    pub fn has_valid_session(&self, now: Instant, broker: BrokerId) -> bool {
        let session = self.sessions.get(&broker);
        session.is_some_and(|session| !session.fenced && session.last_contact + self.timeout >= now)
    }

    pub fn state(&self, broker: BrokerId) -> BrokerState {
        match self.sessions.get(&broker) {
            Some(session) if session.shutdown_offset.is_some() => BrokerState::ControlledShutdown,
            Some(session) if !session.fenced => BrokerState::Unfenced,
            _ => BrokerState::Fenced,
        }
    }

    pub fn begin_shutdown(&mut self, broker: BrokerId, offset: Offset) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.shutdown_offset.get_or_insert(offset);
        }
    }

    /// Whether all brokers that go on have read of what a broker's shutdown changed.
    pub fn others_know_of_shutdown(&self, broker: BrokerId) -> bool {
        let Some(offset) = self.sessions.get(&broker).and_then(|s| s.shutdown_offset) else {
            return true;
        };
        let goes_on = |session: &&Session| !session.fenced && session.shutdown_offset.is_none();
        self.sessions
            .values()
            .filter(goes_on)
            .all(|session| session.metadata_offset.is_some_and(|read| read >= offset))
    }

    /// Replicas can be placed on these: not those that shut down. With whether each is fenced.
    pub fn usable(&self) -> impl Iterator<Item = (BrokerId, bool)> {
        let goes_on = self.sessions.iter().filter(|(_, s)| s.shutdown_offset.is_none());
        goes_on.map(|(id, session)| (*id, session.fenced))
    }

    fn oldest(&self) -> Option<(BrokerId, Instant)> {
        let unfenced = self.sessions.iter().filter(|(_, session)| !session.fenced);
        unfenced.map(|(id, s)| (*id, s.last_contact)).min_by_key(|(_, contact)| *contact)
    }

    /// When the next session can end.
    pub fn next_end(&self) -> Instant {
        let end = |(_, contact)| contact + self.timeout + PAST;
        self.oldest().map_or(Instant::FAR_FUTURE, end)
    }

    /// One whose session has ended.
    pub fn stale(&self, now: Instant) -> Option<BrokerId> {
        self.oldest().map(|(id, _)| id).filter(|id| !self.has_valid_session(now, *id))
    }
}
