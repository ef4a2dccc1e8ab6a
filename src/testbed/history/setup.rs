//! What a checker must know beforehand: who was in the trial and what was asked of them.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Setup {
    pub seed: u64,
    pub topics: IndexMap<Arc<str>, TopicSetup>,
    pub producers: IndexMap<Arc<str>, ProducerSetup>,
    pub groups: IndexMap<Arc<str>, GroupSetup>,
    /// Whether the network drops packets all the time.
    pub loses_packets: bool,
    /// Names of the historical behaviours that were switched on.
    #[serde(default)]
    pub behaviours: Vec<Arc<str>>,
    /// Machines that vote in the metadata quorum.
    #[serde(default)]
    pub voters: Vec<Arc<str>>,
    /// `min.insync.replicas` where a topic does not say.
    #[serde(default = "one")]
    pub min_insync_replicas: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TopicSetup {
    pub partitions: u32,
    pub replication_factor: u32,
    /// `min.insync.replicas`, where the plan gives the topic its own.
    #[serde(default)]
    pub min_insync_replicas: Option<u32>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProducerSetup {
    pub topic: Arc<str>,
    pub records: u64,
    pub idempotent: bool,
    /// `0`, `1` or `all`, as Kafka writes them.
    pub acks: Arc<str>,
    pub keyed: bool,
}

/// A consumer group, or a reader without membership (its own "group" for the ledgers).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupSetup {
    pub topics: Vec<Arc<str>>,
    pub members: Vec<Arc<str>>,
    /// Whether the application leaves an effect in the sink, and how.
    pub effect: crate::testbed::plan::EffectKind,
    pub auto_commit: bool,
    /// `assign()` instead of `subscribe()`.
    pub reader: bool,
}

fn one() -> u32 {
    1
}
