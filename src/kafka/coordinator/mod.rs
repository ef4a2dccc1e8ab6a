//! State machines of the group coordinator.

pub mod group;

pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
