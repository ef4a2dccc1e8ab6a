//! Identifiers and counters. `offset` counts records of a partition; bytes of a file are `position`s.

use std::{
    borrow::Borrow,
    fmt,
    ops::{Add, Sub},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// `node.id` of a broker.
    BrokerId, i32
);
number!(
    /// Position of a record in its partition, from 0; never reused within one leader epoch's history.
    Offset, i64
);
number!(
    /// Counts the leaders of one partition.
    LeaderEpoch, i32
);
number!(
    /// Counts the incarnations of one broker: the offset of its registration in the metadata log. -1 where
    /// a request says nothing of it.
    BrokerEpoch, i64
);
number!(
    /// Counts the changes of one partition's registration at the controller.
    PartitionEpoch, i32
);
number!(
    /// Given out by InitProducerId; -1 for a producer that is not idempotent.
    ProducerId, i64
);
number!(
    /// Counts the incarnations of one producer id; fences older ones.
    ProducerEpoch, i16
);
number!(
    /// Number of a record within (producer id, epoch, partition); wraps from `i32::MAX` to 0.
    Sequence, i32
);
number!(
    /// Counts the completed rebalances of one consumer group.
    GenerationId, i32
);
name!(
    /// A topic's name.
    TopicName
);
name!(
    /// A consumer group's `group.id`.
    GroupId
);
name!(
    /// A member of a group, as the coordinator named it.
    MemberId
);

impl BrokerId {
    /// -1: where a partition has no leader.
    pub const NONE: BrokerId = BrokerId(-1);
}

impl BrokerEpoch {
    /// -1: where nothing is known of it.
    pub const NONE: BrokerEpoch = BrokerEpoch(-1);
}

/// Saturates: a damaged file or a stranger's request may hold any offset.
impl Add<i64> for Offset {
    type Output = Offset;

    fn add(self, records: i64) -> Offset {
        Offset(self.0.saturating_add(records))
    }
}

/// Saturates, as addition does.
impl Sub for Offset {
    type Output = i64;

    fn sub(self, other: Offset) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl Sequence {
    /// The sequence `records` further on, wrapping as `DefaultRecordBatch.incrementSequence` does.
    pub fn plus(self, records: i32) -> Sequence {
        let sum = i64::from(self.0) + i64::from(records);
        let wrapped = sum % (i64::from(i32::MAX) + 1);
        Sequence(i32::try_from(wrapped).expect("a remainder of 2^31 fits"))
    }
}

/// One partition of one topic: `orders-0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl From<TopicPartition> for String {
    fn from(partition: TopicPartition) -> String {
        partition.to_string()
    }
}

impl TryFrom<String> for TopicPartition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (topic, partition) =
            text.rsplit_once('-').ok_or_else(|| format!("`{text}` is not topic-partition"))?;
        let partition =
            partition.parse().map_err(|_| format!("`{partition}` is not a partition number"))?;
        Ok(TopicPartition::new(topic, partition))
    }
}
