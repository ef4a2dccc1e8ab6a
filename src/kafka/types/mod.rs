//! Kafka's words as types: what an offset, an epoch or a partition is, and that they never mix.
//!
//! The `kafka-protocol` crate has wire types for some of these; the ones here are what the broker, the
//! client and the testbed reason with, cheap to clone and ordered.

mod ids;
mod time;

pub use ids::{
    BrokerEpoch, BrokerId, GenerationId, GroupId, LeaderEpoch, MemberId, Offset, PartitionEpoch,
    ProducerEpoch, ProducerId, Sequence, TopicName, TopicPartition,
};
pub use time::Timestamp;
