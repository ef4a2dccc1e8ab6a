//! Who may connect, and how much memory requests that are being read and handled may take.
//!
//! As Kafka's `ConnectionQuotas`: at `max.connections` nobody is turned away, but nobody is let in either
//! before a connection ends; whoever comes waits in the listener's backlog. An address that has
//! `max.connections.per.ip` connections is turned away at once.
//!
//! Kafka lets brokers in beyond `max.connections` and closes its idlest client for them, if they have a
//! listener of their own. Here all come by one listener, for which Kafka makes no exception either.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::state::Broker;
use crate::{env::Address, kafka::config::BrokerConfig};

pub(super) struct Admission {
    max: usize,
    max_per_host: usize,
    /// `max.connections.per.ip.overrides`, as the listener tells addresses: host names are not looked up.
    overrides: BTreeMap<String, usize>,
    open: Mutex<Open>,
    ended: Notify,
    /// `queued.max.request.bytes`, where there is a limit.
    request_bytes: Option<Semaphore>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_host: BTreeMap<String, usize>,
}

/// A connection's place among those the broker allows; free again when it is dropped.
pub(super) struct Place {
    broker: Arc<Broker>,
    host: String,
}

impl Admission {
    pub fn new(config: &BrokerConfig) -> Self {
        let semaphore = |bytes: usize| Semaphore::new(bytes.min(Semaphore::MAX_PERMITS));
        Admission {
            max: config.max_connections,
            max_per_host: config.max_connections_per_ip,
            overrides: config.max_connections_per_ip_overrides.clone(),
            open: Mutex::default(),
            ended: Notify::new(),
            request_bytes: config.queued_max_request_bytes.map(semaphore),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().expect("no panic while it is locked")
    }

    /// Completes once there are fewer connections than `max.connections`. For the one that accepts.
    pub async fn room(&self) {
        while self.lock().total >= self.max {
            self.ended.notified().await;
        }
    }

    /// Takes a place; `None` if that address has all it may have.
    pub fn enter(&self, broker: &Arc<Broker>, peer: &Address) -> Option<Place> {
        let mut open = self.lock();
        let most = self.overrides.get(&peer.host).copied().unwrap_or(self.max_per_host);
        let of_host = open.by_host.entry(peer.host.clone()).or_default();
        if *of_host >= most {
            return None;
        }
        *of_host += 1;
        open.total += 1;
        Some(Place { broker: Arc::clone(broker), host: peer.host.clone() })
    }

    fn leave(&self, host: &str) {
        let mut open = self.lock();
        open.total -= 1;
        if let Some(of_host) = open.by_host.get_mut(host) {
            *of_host -= 1;
            if *of_host == 0 {
                open.by_host.remove(host);
            }
        }
        drop(open);
        self.ended.notify_one();
    }

    /// Waits until a request of that many bytes may be read. The bytes count until the answer is known, as
    /// that is how long the frame is kept; Kafka lets go of some kinds of request earlier, and in return
    /// goes over the limit by one request.
    pub async fn request(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.request_bytes.as_ref()?.acquire_many(bytes).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.broker.admission.leave(&self.host);
    }
}
