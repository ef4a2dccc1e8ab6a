//! The broker's async shell: everything that waits, around state machines that never do.
//!
//! One task per connection, one ticker, one storage task, one for the quorum and one for each other voter, one for the
//! metadata, one link to the controller and one for the broker's standing there; never a task or a timer per
//! partition, request or group. A request's way: `connection` (frames) -> `dispatch` (head, version) ->
//! `handlers` (one file per API) -> `partitions` and `groups`, and back, in the order of requests.
//!

mod active_controller;
mod admission;
mod alter_partition;
mod assignments;
mod chores;
mod cleaner;
mod connection;
mod controller_channel;
mod controller_link;
mod current_leader;
mod dispatch;
mod fetch_sessions;
mod fetcher;
mod fetcher_session;
mod groups;
mod handlers;
mod lifecycle;
mod log_facts;
mod meta_properties;
mod metadata;
mod node;
mod observer;
mod operations;
mod partitions;
mod peer;
mod producer_ids;
mod purgatory;
mod quorum;
mod readiness;
mod reading;
mod replication;
mod response;
mod retirement;
mod signal;
mod startup;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod ticker;

pub use meta_properties::{DirectoryError, cluster_of, new_cluster_id};
pub use node::{BrokerEndpoint, InitialTopic, Node, NodeConfig, NodeError};
pub use observer::{BatchMark, Event, MetadataChange, Observer, ReplicaChange};
pub use readiness::Readiness;
