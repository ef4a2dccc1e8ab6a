//! Coordinators: the state machines that keep their state in an internal topic.
//!
//! [`group`] is the classic group coordinator; [`records`] is the format of what it writes into
//! `__consumer_offsets`; [`placement`] says which partition of that topic a group belongs to.

pub mod group;
pub mod placement;
pub mod records;

pub use placement::OFFSETS_TOPIC;
