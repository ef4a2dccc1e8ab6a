//! Typed views of the table: what the broker and the clients read.
//!
//! Each is built once from [`Settings`] and checks what Kafka's constructors check across settings.

mod broker;
mod consumer;
mod metadata_log;
mod producer;
mod replication;
mod topic;

pub use broker::BrokerConfig;
pub use consumer::{AssignorKind, ConsumerConfig, OffsetReset};
pub use metadata_log::MetadataLogConfig;
pub use producer::{Acks, InFlightLimit, ProducerConfig, ProducerPolicy};
pub use topic::{CleanupPolicy, TopicConfig};
