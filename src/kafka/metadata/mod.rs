//! The cluster's metadata: a log of records, replayed into an immutable image. Pure, no I/O.

mod delta;
mod image;
mod record;
mod registration;

pub use delta::PartitionDelta;
pub use image::{Image, TopicImage};
pub use record::{ConfigResource, MetadataRecord, RecordError};
pub use registration::{
    BrokerEndpoint, BrokerFeature, BrokerRegistration, LeaderRecoveryState, PartitionChange,
    PartitionImage, RegistrationChange, directory,
};

/// The log that holds it: Kafka's name.
pub const METADATA_TOPIC: &str = "__cluster_metadata";
/// Kafka's id for it.
pub const METADATA_TOPIC_ID: uuid::Uuid = uuid::Uuid::from_u128(1);
