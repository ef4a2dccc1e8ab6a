//! Between the wire's words and ours.

use kafka_protocol::{
    messages::{BrokerId as WireBrokerId, TopicName as WireTopicName},
    protocol::StrBytes,
};

use crate::kafka::types::BrokerId;

pub fn broker(id: WireBrokerId) -> BrokerId {
    BrokerId(id.0)
}

pub fn brokers(ids: &[WireBrokerId]) -> Vec<BrokerId> {
    ids.iter().copied().map(broker).collect()
}

pub fn wire_brokers(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| WireBrokerId(id.0)).collect()
}

pub fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

pub fn wire_topic(name: &str) -> WireTopicName {
    WireTopicName(text(name))
}
