//! What an application sends.

use bytes::Bytes;

use crate::kafka::{
    protocol::batch::RecordHeader,
    types::{Timestamp, TopicName},
};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerRecord {
    pub topic: TopicName,
    /// Chosen by the partitioner if `None`; otherwise it beats the key.
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    /// `None` is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    pub headers: Vec<RecordHeader>,
    /// The producer's wall clock if `None`.
    pub timestamp: Option<Timestamp>,
}

impl ProducerRecord {
    pub fn new(topic: impl Into<TopicName>, key: Option<Bytes>, value: Option<Bytes>) -> Self {
        ProducerRecord {
            topic: topic.into(),
            partition: None,
            key,
            value,
            headers: Vec::new(),
            timestamp: None,
        }
    }
}
