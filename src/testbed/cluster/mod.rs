//! The machines of a trial: what runs on each, who is up, and how the system's own events become history.

mod brokers;
mod group_events;
mod observe;
mod stage;

pub use brokers::{BROKER_PORT, Placement, add_brokers, bootstrap};
pub use stage::{Exit, Program, Stage, Status};
