//! The leader of a partition: its followers, the ISR, the high watermark.

mod acks;
mod alter_partition;
mod fetch;
mod high_watermark;
mod in_sync;
mod preferred;
mod state;

pub use acks::{AcksState, RequiredAcks};
pub use fetch::{FetchAnswer, FetchOutcome, FollowerFetch};
pub use state::Leader;
