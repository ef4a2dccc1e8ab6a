//! Replication and the quorum, followed through a history event by event, and what must be so at each of them.
//!
//! A [`Scene`] keeps, for each partition, what every replica's log holds, who leads, what the controller said
//! and what leaders have shown as committed. The metadata log is a partition like any other, but for what makes
//! its records committed: a majority of the voters instead of the ISR. Each change of state is held against the
//! invariants at once; what breaks one is told with what may excuse it, a setting or faults beyond those that
//! Kafka stands.

mod blame;
mod committed;
mod ends;
mod fork;
mod heal;
mod invariant;
mod log;
mod partition;
mod scene;
mod story;

pub use invariant::{Breach, Invariant};
pub(super) use partition::Partition;
pub(super) use scene::Scene;
pub(super) use story::{LostByElection, lost_by_election};

/// The topic whose one partition is the metadata log.
pub(super) const METADATA: &str = "__cluster_metadata";
