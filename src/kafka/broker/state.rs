//! What all connections and tasks of one broker share.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use super::{
    admission::Admission,
    cleaner::Cleaner,
    controller_link::ControllerLink,
    fetch_sessions::FetchSessions,
    groups::Groups,
    lifecycle::Lifecycle,
    metadata::MetadataStore,
    node::NodeConfig,
    observer::{Event, Observer},
    partitions::Partitions,
    producer_ids::ProducerIds,
    quorum::Quorum,
    replication::Replication,
    startup::DataDir,
    storage::Storage,
    ticker::Ticker,
};
use crate::{
    env::Env,
    kafka::{log::LogError, types::BrokerId},
};

pub(super) struct Broker {
    pub env: Env,
    pub config: NodeConfig,
    pub observer: Arc<dyn Observer>,
    pub metadata: MetadataStore,
    pub partitions: Partitions,
    pub groups: Groups,
    pub fetch_sessions: FetchSessions,
    pub producer_ids: ProducerIds,
    pub quorum: Quorum,
    pub lifecycle: Lifecycle,
    pub link: ControllerLink,
    pub replication: Replication,
    pub ticker: Ticker,
    pub storage: Storage,
    pub admission: Admission,
    pub cleaner: Cleaner,
    pub ending: Ending,
    pub data_dir: DataDir,
}

/// Whether and why the broker is to stop.
#[derive(Default)]
pub(super) struct Ending {
    stopping: AtomicBool,
    failure: Mutex<Option<String>>,
    changed: Notify,
}

impl Ending {
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Completes once the broker is to stop.
    pub async fn wait(&self) {
        let changed = self.changed.notified();
        if !self.is_stopping() {
            changed.await;
        }
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.lock().expect("no panic while it is locked").clone()
    }
}

impl Broker {
    pub fn id(&self) -> BrokerId {
        self.config.broker_id
    }

    pub fn observe(&self, event: Event) {
        self.observer.observe(event);
    }

    /// Takes the broker down: as Kafka's, it stops when its only log directory fails.
    pub fn fail(&self, error: &LogError) {
        self.fail_with(error);
    }

    /// The same for what a broker cannot go on with otherwise.
    pub fn fail_with(&self, error: &dyn std::fmt::Display) {
        let mut failure = self.ending.failure.lock().expect("no panic while it is locked");
        if failure.is_none() {
            tracing::error!(broker = self.id().0, %error, "storage failed, stopping");
            *failure = Some(error.to_string());
            drop(failure);
            self.observe(Event::StorageFailed { error: error.to_string() });
            self.ending.stop();
        }
    }
}
