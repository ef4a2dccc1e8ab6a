//! The sessions as the broker's connections share them.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use kafka_protocol::messages::FetchResponse;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    Answered, Demand, Settled, Turn,
    cache::{Limits, SessionCache},
};
use crate::{
    env::{Env, Instant},
    kafka::{config::BrokerConfig, protocol::ResponseError},
};

/// Fixed in Kafka too, in spite of its name: `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`.
const EVICTION: Duration = Duration::from_secs(120);
/// A thousand sessions of a thousand partitions, which is what Kafka's default of slots lets one expect.
const BYTES: usize = 192 << 20;

pub(in super::super) struct FetchSessions {
    state: Mutex<State>,
}

struct State {
    cache: SessionCache,
    ids: ChaCha8Rng,
}

impl FetchSessions {
    pub fn new(env: &Env, config: &BrokerConfig) -> Self {
        let slots = config.max_fetch_sessions;
        let cache = SessionCache::new(Limits { slots, eviction: EVICTION, bytes: BYTES });
        FetchSessions {
            state: Mutex::new(State { cache, ids: env.rng.stream("fetch-session-ids") }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the sessions are locked")
    }

    /// Finds out what a request wants to have read, under this state of the metadata.
    pub fn begin(
        &self,
        now: Instant,
        demand: Demand,
        metadata: u64,
    ) -> Result<Turn, ResponseError> {
        self.lock().cache.begin(now, demand, metadata)
    }

    /// Leaves in the answers what the client has to be told, and gives the head of the response.
    pub fn finish(
        &self,
        now: Instant,
        turn: &Turn,
        answers: &mut Vec<Answered>,
        settled: Vec<(usize, Settled)>,
    ) -> FetchResponse {
        let State { cache, ids } = &mut *self.lock();
        cache.finish(now, turn, answers, settled, || ids.random_range(1..i32::MAX))
    }
}
