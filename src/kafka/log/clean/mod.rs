//! Compaction: of each key the last record stays, and the log otherwise reads as it did.
//!
//! After Kafka's `LogCleaner` and `Cleaner`. A cleaning maps the keys of the section that was appended
//! since the last one to their last offsets ([`Cleaning`]), copies all segments up to its end without the
//! records that are outdated, and swaps the copies in one by one (`swap.rs`, which also finishes after a
//! crash what it finds begun). Whether a log is worth it is decided in `plan.rs`.
//!
//! Like the rest of the log this is a plain value: the broker calls it step by step and does the syncs.
//!
//! Departures from Kafka: markers of transactions, of which there are none yet, stay for ever; and see
//! `cleaning.rs` for the batches that are kept empty.

mod cleaning;
mod filter;
mod offset_map;
mod plan;
mod swap;

pub use cleaning::{CleanerLimits, Cleaning, Step};
pub use plan::Cleanable;
pub(super) use swap::finish_interrupted;
pub use swap::{Cleaned, Swap, discard_cleaned};
