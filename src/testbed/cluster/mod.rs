//! The machines of a trial: what runs on each, who is up, and how the system's own events become history.

mod brokers;
mod contents;
mod group_events;
mod metadata_events;
mod observe;
mod replica_events;
mod stage;

pub use brokers::{BROKER_PORT, Placement, add_brokers, bootstrap};
pub use contents::contents;
pub use stage::{Exit, Program, Stage, Status};
