//! All fetch sessions of a broker, and which of them has to give way to a new one.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use kafka_protocol::messages::FetchResponse;

use super::session::{
    Answered, Asks, FINAL_EPOCH, INITIAL_EPOCH, PartitionKey, Read, Reads, Session, Settled,
    next_epoch,
};
use crate::{env::Instant, kafka::protocol::ResponseError};

/// The session id that is none.
const NO_SESSION: i32 = 0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub slots: usize,
    /// A session unused for longer gives way to any; one younger than that gives way only if it is a client's,
    /// and only to a follower's.
    pub eviction: Duration,
    pub bytes: usize,
}

/// What a request says of sessions and partitions.
#[derive(Debug)]
pub(in super::super) struct Demand {
    pub session_id: i32,
    pub epoch: i32,
    /// From a follower.
    pub privileged: bool,
    /// Whether this version of the request names topics by id.
    pub topic_ids: bool,
    pub asks: Asks,
    pub forgotten: HashSet<PartitionKey>,
}

/// One request, from what it wants to its answer.
pub(in super::super) struct Turn {
    context: Context,
    pub reads: Reads,
}

#[derive(Debug)]
enum Context {
    Sessionless,
    /// Has a session made for it, if there is room.
    Full {
        privileged: bool,
        topic_ids: bool,
        metadata: u64,
    },
    /// Goes on with a session, which must not have gone on with another request meanwhile.
    Incremental {
        id: i32,
        next_epoch: i32,
    },
}

/// What is given up first: a client's session before a follower's, a small one before a large one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Worth {
    privileged: bool,
    partitions: usize,
    id: i32,
}

/// - `last_used` has every session.
/// - `bytes` is the sum of what the sessions were counted as.
pub(super) struct SessionCache {
    limits: Limits,
    sessions: BTreeMap<i32, Cached>,
    last_used: BTreeSet<(Instant, i32)>,
    /// Those that give way to any session worth more.
    evictable_by_all: BTreeSet<Worth>,
    /// Those that give way to a follower's session worth more.
    evictable_by_privileged: BTreeSet<Worth>,
    bytes: usize,
}

/// A session, and how it is counted until it is touched again.
struct Cached {
    session: Session,
    worth: Worth,
    bytes: usize,
}

impl SessionCache {
    pub fn new(limits: Limits) -> Self {
        SessionCache {
            limits,
            sessions: BTreeMap::new(),
            last_used: BTreeSet::new(),
            evictable_by_all: BTreeSet::new(),
            evictable_by_privileged: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Finds out what a request wants to have read, under this state of the metadata.
    pub fn begin(
        &mut self,
        now: Instant,
        demand: Demand,
        metadata: u64,
    ) -> Result<Turn, ResponseError> {
        let Demand { session_id: id, epoch, privileged, topic_ids, asks, forgotten } = demand;
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            self.remove(id);
            let context = match epoch {
                FINAL_EPOCH => Context::Sessionless,
                _ => Context::Full { privileged, topic_ids, metadata },
            };
            return Ok(Turn { context, reads: asks.into_iter().map(Read::new).collect() });
        }
        let cached = self.sessions.get_mut(&id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        let session = &mut cached.session;
        if session.epoch != epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.topic_ids != topic_ids {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        session.update(&asks, &forgotten);
        if session.len() == 0 {
            self.remove(id);
            let reads = asks.into_iter().map(Read::new).collect();
            return Ok(Turn { context: Context::Sessionless, reads });
        }
        session.epoch = next_epoch(epoch);
        let (next_epoch, reads) = (session.epoch, session.reads(metadata));
        self.touch(id, now);
        if self.bytes > self.limits.bytes {
            // As if it had been evicted: the client comes back with a full request.
            self.remove(id);
            return Err(ResponseError::FetchSessionIdNotFound);
        }
        Ok(Turn { context: Context::Incremental { id, next_epoch }, reads })
    }

    /// Leaves in the answers what the client has to be told, and gives the head of the response. `draw`
    /// gives random ids.
    pub fn finish(
        &mut self,
        now: Instant,
        turn: &Turn,
        answers: &mut Vec<Answered>,
        settled: Vec<(usize, Settled)>,
        draw: impl FnMut() -> i32,
    ) -> FetchResponse {
        let head = FetchResponse::default();
        match turn.context {
            Context::Sessionless => head,
            Context::Full { privileged, topic_ids, metadata } => {
                let reads = &turn.reads;
                let session = Session::new(now, privileged, topic_ids, metadata, reads, answers);
                head.with_session_id(self.add(now, session, draw).unwrap_or(NO_SESSION))
            }
            Context::Incremental { id, next_epoch } => {
                let head = head.with_session_id(id);
                // One that was evicted while the request waited: everything is told, and the next request
                // hears of the end of the session.
                let Some(cached) = self.sessions.get_mut(&id) else { return head };
                if cached.session.epoch != next_epoch {
                    answers.clear();
                    return head.with_error_code(ResponseError::InvalidFetchSessionEpoch.code());
                }
                cached.session.settle(settled);
                cached.session.keep_news(answers);
                head
            }
        }
    }

    /// Keeps a session if there is room for it, or can be made.
    fn add(
        &mut self,
        now: Instant,
        session: Session,
        mut draw: impl FnMut() -> i32,
    ) -> Option<i32> {
        let bytes = session.bytes();
        if self.limits.slots == 0 || bytes > self.limits.bytes {
            return None;
        }
        let partitions = session.len();
        let worth = Worth { privileged: session.privileged, partitions, id: NO_SESSION };
        while self.sessions.len() >= self.limits.slots || self.bytes + bytes > self.limits.bytes {
            if !self.evict_for(now, worth) {
                return None;
            }
        }
        let id = loop {
            let id = draw();
            if id > NO_SESSION && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.sessions.insert(id, Cached { session, worth: Worth { id, ..worth }, bytes: 0 });
        self.touch(id, now);
        Some(id)
    }

    /// Gives up one session for a new one of that worth. False if none has to give way.
    fn evict_for(&mut self, now: Instant, new: Worth) -> bool {
        let Some(&(last_used, id)) = self.last_used.first() else { return false };
        if now.since(last_used) > self.limits.eviction {
            self.remove(id);
            return true;
        }
        let evictable =
            if new.privileged { &self.evictable_by_privileged } else { &self.evictable_by_all };
        match evictable.first().copied() {
            Some(least) if least <= new => {
                self.remove(least.id);
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(cached) = self.sessions.remove(&id) {
            self.last_used.remove(&(cached.session.last_used, id));
            self.evictable_by_all.remove(&cached.worth);
            self.evictable_by_privileged.remove(&cached.worth);
            self.bytes -= cached.bytes;
        }
    }

    /// Counts a session anew.
    fn touch(&mut self, id: i32, now: Instant) {
        let Some(cached) = self.sessions.get_mut(&id) else { return };
        let session = &mut cached.session;
        self.last_used.remove(&(session.last_used, id));
        session.last_used = now;
        self.last_used.insert((now, id));
        self.evictable_by_all.remove(&cached.worth);
        self.evictable_by_privileged.remove(&cached.worth);
        cached.worth.partitions = session.len();
        let is_settled = now.since(session.created) > self.limits.eviction;
        if is_settled {
            self.evictable_by_all.insert(cached.worth);
        }
        if is_settled || !session.privileged {
            self.evictable_by_privileged.insert(cached.worth);
        }
        self.bytes -= cached.bytes;
        cached.bytes = session.bytes();
        self.bytes += cached.bytes;
    }

    #[cfg(test)]
    pub fn counted(&self) -> (usize, usize) {
        (self.sessions.len(), self.bytes)
    }
}
