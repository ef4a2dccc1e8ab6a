//! The coordinator of classic consumer groups, sans-io.
//!
//! A [`GroupCoordinator`] keeps the groups and committed offsets of one partition of
//! `__consumer_offsets`. It follows Kafka 4.0's `GroupMetadataManager` and `OffsetMetadataManager` for
//! groups of the classic protocol (join, sync, heartbeat). Left out: groups of KIP-848 and of KIP-932,
//! and offsets committed within transactions.
//!
//! A group's life: `Empty` -> `PreparingRebalance` (members join) -> `CompletingRebalance` (the leader
//! computes the assignment) -> `Stable`, and back to `PreparingRebalance` whenever membership changes.
//! Kafka's `Dead` is a group that is not there, or a coordinator that was [resigned](GroupCoordinator::resign).
//!
//! **Durability.** What must outlast a crash is appended to the log first ([`Effect::Append`]) and takes
//! effect when the shell reports it committed (`handle_append_done`): offsets are visible to fetches,
//! and replies that promise something are sent, from then on. Kafka applies records as it writes them,
//! reads below the high watermark, and rolls back when a write fails: the same to every client.
//! Membership itself lives in memory; the log holds the generations that were completed.
//!
//! To read in order: `coordinator` (the state and its verbs), `group_state` and `member`, `join`,
//! `rebalance`, `sync`, `heartbeat`, `leave`, `commit`, `fetch`.

mod admin;
mod commit;
mod config;
mod coordinator;
mod deadlines;
mod effect;
mod events;
mod expiry;
mod fetch;
mod group_state;
mod heartbeat;
mod join;
mod leave;
mod load;
mod member;
mod offsets;
mod rebalance;
mod subscription;
mod sync;
mod turn;
mod writes;

#[cfg(test)]
mod tests;

pub use config::GroupConfig;
pub use coordinator::GroupCoordinator;
pub use effect::{
    AppendToken, Caller, Effect, GroupResponse, Now, OffsetsVisible, Request, RequestToken,
};
pub use events::{GroupEvent, LeaveReason, Participant};
pub use group_state::GroupState;
