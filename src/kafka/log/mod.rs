//! One partition's log on a disk: segments, indexes, leader epochs, producer state, recovery.
//!
//! Kafka's own formats and file names, so that either side can read what the other wrote. A log is a
//! plain value without tasks, locks or clocks: the broker calls it, passes the time, and performs its
//! syncs ([`PendingFlush`]) without holding it. Appends go to the page cache and are durable only after
//! a flush, as in Kafka, whose durability comes from replication.
//!
//! Read [`Log`] first; `loader.rs` is recovery, `producers.rs` idempotence, `clean/` compaction.

mod append;
mod checkpoint;
mod clean;
mod epochs;
mod error;
mod flush;
mod index;
mod loader;
mod partition_log;
mod policy;
mod producers;
mod read;
mod retention;
mod scan;
mod segment;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;
mod truncate;

pub use append::{AppendInfo, AppendOrigin, Outcome};
pub use checkpoint::{
    CheckpointError, id_from_text, id_to_text, load_offsets, load_partition_metadata, read_text,
    store_offsets, store_partition_metadata, write_atomically,
};
pub use clean::{Cleanable, Cleaned, CleanerLimits, Cleaning, Step, Swap, discard_cleaned};
pub use epochs::EpochEntry;
pub use error::{AppendError, LogError, ReadError};
pub use flush::{PendingFlush, Truncation};
pub use loader::{Cut, Recovery};
pub use partition_log::{Log, OpenOptions, Shutdown};
pub use policy::{
    EpochCheckpointFsync, FirstSequenceOnEmptyState, HighWatermarkCheckpoint, LogPolicy,
    SegmentDirFsync,
};
pub use producers::ActiveProducer;
pub use read::{FoundOffset, MinOneMessage, ReadInfo, Slice};
