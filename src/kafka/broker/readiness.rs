//! Whether the cluster is up, as one of its brokers sees it, for whoever has started all of them together and tells
//! clients where they are.
//!
//! Each broker says it of its own metadata, since each applies them with its own lag: a client may ask any of them, and
//! one that knows less would tell of fewer brokers. Once a broker has seen the others it tells no more when one of them
//! goes: this is about the start.

use std::sync::Arc;

use super::{node::Node, state::Broker};
use crate::kafka::{metadata::Image, types::BrokerId};

/// What a broker says of the cluster's start, also while it runs.
pub struct Readiness {
    broker: Arc<Broker>,
}

impl Node {
    pub fn readiness(&self) -> Readiness {
        Readiness { broker: Arc::clone(&self.broker) }
    }
}

impl Readiness {
    /// Completes once the broker serves clients and goes by metadata in which all brokers of the cluster are unfenced,
    /// which makes them leaders and places for replicas. Never, if the broker stops before.
    pub async fn wait(&self) {
        let metadata = &self.broker.metadata;
        metadata.wait_until_open().await;
        metadata.wait_until(|image| self.fenced_in(image).next().is_none()).await;
    }

    /// The brokers that are not unfenced as far as this one knows; all of them while there is no controller.
    pub fn awaited(&self) -> Vec<BrokerId> {
        self.fenced_in(&self.broker.metadata.image()).collect()
    }

    fn fenced_in(&self, image: &Image) -> impl Iterator<Item = BrokerId> {
        let is_fenced = |id: &BrokerId| image.broker(*id).is_none_or(|broker| broker.fenced);
        self.broker.config.brokers.iter().map(|broker| broker.id).filter(is_fenced)
    }
}
