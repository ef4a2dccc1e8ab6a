//! Kafka's configuration: one table of names, types, defaults and meanings, and the typed views of it.
//!
//! The table (`table/`) is the single source for the broker, the clients, the scenario loader,
//! `retrial explain` and the documentation. A setting the system does not model is in the table too,
//! marked [`Support::NotModelled`], so that nobody sets it believing that it works.

mod settings;
mod synonyms;
mod table;
mod views;

#[cfg(test)]
mod tests;

pub use settings::{ConfigError, Settings};
pub use synonyms::{ConfigSource, DescribedSetting, describe_broker, describe_topic};
pub use table::{Kind, Row, Side, Support, find, rows};
pub use views::{
    Acks, AssignorKind, BrokerConfig, CleanupPolicy, ConsumerConfig, InFlightLimit,
    MetadataLogConfig, OffsetReset, ProducerConfig, ProducerPolicy, TopicConfig,
};
