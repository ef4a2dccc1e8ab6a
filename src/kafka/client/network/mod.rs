//! Requests and responses over connections to brokers, driven by one task per client.
//!
//! [`NetworkClient`] is Kafka's `NetworkClient` in shape: one connection per node, requests pipelined on
//! it, answers in order, a lost connection fails all that was in flight on it. It owns no task: whoever
//! polls it does the reading, and sending writes at once. [`Metadata`] is the client's picture of the
//! cluster, and [`Cluster`] keeps it fresh.

mod channel;
mod cluster;
mod metadata;
mod multiplexer;
mod timer;
mod versions;

pub(crate) use channel::{Failure, FailureCause, Left};
pub(crate) use cluster::{Cluster, ClusterConfig, Event};
pub(crate) use metadata::{
    AutoCreate, Metadata, PartitionMetadata, WantedTopics, is_stale_metadata,
};
pub(crate) use multiplexer::{Answer, NetworkClient, NetworkConfig, NodeKey, Readiness};
pub(crate) use timer::LazyTimer;
pub(crate) use versions::decode;
