//! This node's part in the metadata quorum: the shell around the sans-io core of `kafka/raft`.
//!
//! One task (`task`) gives inputs to the core and does what it says, in order; one task for each other voter (`peers`)
//! carries requests there. Handlers put what they have received into the task's queue and wait for their answer, which
//! comes by a token. The active controller (`active_controller`) lives in the same task, since its records go to the
//! log at exactly the offsets it has decided for.
//!
//! Departure: Kafka gives the quorum and the controller a thread each; here neither ever waits but for `quorum-state`.

mod disk;
mod handle;
mod peers;
mod schedule;
mod snapshot_file;
mod snapshots;
mod task;
mod upkeep;

pub(super) use handle::{Description, NotController, Quorum, step_down};
pub(super) use schedule::SnapshotSchedule;
#[cfg(test)]
pub(super) use snapshot_file::decode as decode_snapshot;
pub(super) use snapshot_file::{Contents, encode as encode_snapshot};
pub(super) use task::{prepare, spawn};
