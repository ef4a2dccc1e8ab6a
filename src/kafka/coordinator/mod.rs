//! Coordinators: the state machines that keep their state in an internal topic.
//!
//! [`group`] is the classic group coordinator; [`records`] is the format of what it writes into
//! `__consumer_offsets`.

pub mod group;
pub mod records;

/// `Topic.GROUP_METADATA_TOPIC_NAME`.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
