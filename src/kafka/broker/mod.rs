//! The broker's async shell: everything that waits, around state machines that never do.
//!
//! One task per connection, one ticker, one storage task, one link to the controller; never a task or a timer per
//! partition, request or group. A request's way: `connection` (frames) -> `dispatch` (head, version) ->
//! `handlers` (one file per API) -> `partitions` and `groups`, and back, in the order of requests.
//!
//! Departure from Kafka in this version: the controller is the broker with the lowest id and does not change,
//! and it elects no leader but the first.

mod admission;
mod alter_partition;
mod chores;
mod cleaner;
mod connection;
mod controller;
mod controller_configs;
mod controller_link;
mod controller_partitions;
mod controller_topics;
mod current_leader;
mod dispatch;
mod fetch_sessions;
mod fetcher;
mod fetcher_session;
mod follower;
mod groups;
mod handlers;
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
mod replication;
mod response;
mod retirement;
mod startup;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod ticker;

pub use meta_properties::{DirectoryError, cluster_of, new_cluster_id};
pub use node::{BrokerEndpoint, InitialTopic, Node, NodeConfig, NodeError};
pub use observer::{Event, Observer, ReplicaChange};
