//! The consumer: groups, positions, fetching and commits (`ClassicKafkaConsumer` and its internals).
//!
//! [`Consumer`] holds a `Core` together with one background task. The core's methods are spread over
//! files by theme (`coordinator`, `rebalance`, `commits`, `positions`) and never wait; `api` and `questions` turn
//! them into calls that do.

mod api;
mod assignor;
mod commits;
mod coordinator;
mod core;
mod fetcher;
mod group;
mod heartbeat;
mod listener;
mod positions;
mod protocol;
mod questions;
mod read_replicas;
mod rebalance;
mod record;
mod subscription;
mod task;

pub use api::{CommitHandle, Consumer, ListenerFuture, WakeupHandle};
pub use assignor::{Assignment, Assignor, MemberSubscription};
pub use listener::RebalanceListener;
pub use record::{ConsumerRecord, ConsumerRecords, PartitionRecords};
