//! Records of the metadata log, in Kafka's own encoding.
//!
//! Each is framed by a frame version (1), its type and its version, all unsigned varints
//! (`AbstractApiMessageSerde`), and is a flexible message after that. The schemas are Kafka's
//! `metadata/src/main/resources/common/metadata/*.json`. Left out: records of ACLs, quotas, SCRAM,
//! delegation tokens, controllers and the migration from ZooKeeper, and transactions of records (KIP-868).

mod decode;
mod encode;
#[cfg(test)]
pub(super) mod tests;
mod wire;

use uuid::Uuid;

use super::{BrokerRegistration, PartitionChange, PartitionImage, RegistrationChange};
use crate::kafka::types::{BrokerEpoch, BrokerId, ProducerId, TopicName};

const FRAME_VERSION: u32 = 1;

/// `apiKey` of each schema.
mod kind {
    pub const REGISTER_BROKER: u32 = 0;
    pub const UNREGISTER_BROKER: u32 = 1;
    pub const TOPIC: u32 = 2;
    pub const PARTITION: u32 = 3;
    pub const CONFIG: u32 = 4;
    pub const PARTITION_CHANGE: u32 = 5;
    pub const FENCE_BROKER: u32 = 7;
    pub const UNFENCE_BROKER: u32 = 8;
    pub const REMOVE_TOPIC: u32 = 9;
    pub const FEATURE_LEVEL: u32 = 12;
    pub const PRODUCER_IDS: u32 = 15;
    pub const REGISTRATION_CHANGE: u32 = 17;
    pub const NO_OP: u32 = 20;
}

/// `ConfigResource.Type`.
mod resource {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
}

/// One change of the cluster's metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataRecord {
    /// A broker, or a new incarnation of it.
    RegisterBroker(BrokerRegistration),
    UnregisterBroker {
        id: BrokerId,
        epoch: BrokerEpoch,
    },
    RegistrationChange {
        id: BrokerId,
        epoch: BrokerEpoch,
        change: RegistrationChange,
    },
    /// Written before metadata version 3.3, and read still.
    FenceBroker {
        id: BrokerId,
        epoch: BrokerEpoch,
    },
    UnfenceBroker {
        id: BrokerId,
        epoch: BrokerEpoch,
    },
    Topic {
        name: TopicName,
        id: Uuid,
    },
    Partition {
        topic_id: Uuid,
        partition: i32,
        image: PartitionImage,
    },
    PartitionChange {
        topic_id: Uuid,
        partition: i32,
        change: PartitionChange,
    },
    /// The topic goes, with its partitions and settings.
    RemoveTopic {
        id: Uuid,
    },
    /// A setting; `None` takes it back to the default.
    Config {
        resource: ConfigResource,
        name: String,
        value: Option<String>,
    },
    /// The first producer id that no block has given out.
    ProducerIds {
        broker: BrokerId,
        epoch: BrokerEpoch,
        next: ProducerId,
    },
    /// The level at which the cluster uses a feature; 0 for not at all.
    FeatureLevel {
        name: String,
        level: i16,
    },
    /// Nothing: lets the log's end move on (KIP-835).
    NoOp,
}

/// What a setting belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConfigResource {
    Topic(TopicName),
    /// A node by its id; empty for all brokers together.
    Broker(String),
}

impl ConfigResource {
    fn code(&self) -> i8 {
        match self {
            ConfigResource::Topic(_) => resource::TOPIC,
            ConfigResource::Broker(_) => resource::BROKER,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            ConfigResource::Topic(name) => name.as_str(),
            ConfigResource::Broker(name) => name,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    #[error("metadata record ends too early")]
    CutOff,
    #[error("metadata record has frame version {0}")]
    FrameVersion(u32),
    #[error("metadata record of type {kind} in version {version} is not known")]
    Unknown { kind: u32, version: u32 },
    #[error("metadata record holds text that is not UTF-8")]
    NotText,
    #[error("metadata record says {value} where {field} is meant")]
    Value { field: &'static str, value: i8 },
    #[error("metadata record is followed by {0} stray bytes")]
    Stray(usize),
}
