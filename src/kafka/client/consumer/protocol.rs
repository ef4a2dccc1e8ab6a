//! What members of a group tell each other inside JoinGroup and SyncGroup (`ConsumerProtocol`).

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription,
        consumer_protocol_assignment::TopicPartition as AssignedTopic,
    },
    protocol::{Encodable, StrBytes},
};

use crate::kafka::{
    protocol::message::decode_versioned,
    types::{GenerationId, TopicName, TopicPartition},
};

/// The `protocol_type` of consumer groups.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";
const VERSION: i16 = 3;

pub(crate) fn encode_subscription<'a>(
    topics: impl Iterator<Item = &'a TopicName>,
    generation: GenerationId,
) -> Bytes {
    let topics = topics.map(|topic| StrBytes::from_string(topic.as_str().to_owned())).collect();
    let subscription = ConsumerProtocolSubscription::default()
        .with_topics(topics)
        .with_generation_id(generation.0);
    versioned(&subscription)
}

pub(crate) fn decode_subscription(bytes: Bytes) -> Result<Vec<TopicName>, String> {
    let subscription: ConsumerProtocolSubscription =
        decode_versioned(bytes).map_err(|error| error.to_string())?;
    Ok(subscription.topics.iter().map(|topic| TopicName::from(topic.as_str())).collect())
}

pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        AssignedTopic::default()
            .with_topic(StrBytes::from_string(topic.as_str().to_owned()).into())
            .with_partitions(partitions)
    });
    let assignment =
        ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect());
    versioned(&assignment)
}

/// Sorted by topic and number. No bytes at all mean no partitions.
pub(crate) fn decode_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment: ConsumerProtocolAssignment =
        decode_versioned(bytes).map_err(|error| error.to_string())?;
    let mut partitions = Vec::new();
    for topic in &assignment.assigned_partitions {
        let name = TopicName::from(topic.topic.as_str());
        let numbers = topic.partitions.iter();
        partitions.extend(numbers.map(|number| TopicPartition::new(name.clone(), *number)));
    }
    partitions.sort();
    Ok(partitions)
}

fn versioned<M: Encodable>(message: &M) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    message.encode(&mut bytes, VERSION).expect("all fields exist in this version");
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_assignment_survives_the_wire_sorted() {
        let partitions =
            [TopicPartition::new("u", 1), TopicPartition::new("t", 2), TopicPartition::new("t", 0)];
        let decoded = decode_assignment(encode_assignment(&partitions)).unwrap();
        let shown: Vec<String> = decoded.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["t-0", "t-2", "u-1"]);
    }

    #[test]
    fn a_subscription_survives_the_wire() {
        let topics = [TopicName::from("a"), TopicName::from("b")];
        let bytes = encode_subscription(topics.iter(), GenerationId(4));
        assert_eq!(&bytes[..2], [0, 3]);
        assert_eq!(decode_subscription(bytes).unwrap(), topics);
    }

    #[test]
    fn bytes_that_are_none_of_it_are_refused() {
        assert!(decode_subscription(Bytes::from_static(&[0])).is_err());
        assert!(decode_subscription(Bytes::from_static(&[0, 3, 0])).is_err());
        // Two thousand million topics in six bytes.
        let absurd = Bytes::from_static(&[0, 3, 0x7f, 255, 255, 255]);
        assert!(decode_subscription(absurd.clone()).is_err());
        assert!(decode_assignment(absurd).is_err());
    }

    proptest! {
        #[test]
        fn what_members_say_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode_subscription(bytes.clone().into());
            let _ = decode_assignment(bytes.into());
        }
    }
}
