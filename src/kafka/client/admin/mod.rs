//! The admin client, as far as the testbed needs it: topics made, changed and deleted, elections, moves of
//! replicas, the cluster described, offsets listed.

mod changes;
mod client;

pub use changes::{ElectionType, PartitionResults};
pub use client::{
    Admin, AdminConfig, BrokerDescription, NewTopic, OffsetSpec, PartitionDescription, TopicResults,
};
