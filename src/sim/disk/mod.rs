//! The simulated disk: a page cache over what is durable, and the ways a disk fails.
//!
//! - `file`: one file's bytes, which of its pages are dirty, and what was durable below them.
//! - `directory`: the tree of names, with changes that are not durable yet.
//! - `storage`: a machine's disk as a whole: capacity, syncs in progress, power loss; `env::Disk`.
//! - [`faults`]: what a nemesis can do to it, and how it looks inside.
//!
//! A write dirties 4 KiB pages; a sync makes the pages that were dirty when it began durable, after its
//! latency, even if the process that asked has died. A power loss keeps of every unsynced page, with
//! [`DiskOptions::survival`], one of its versions since the last sync, now and then torn at 512-byte
//! sectors; of an unsynced length one of its values; of unsynced directory changes a set that a journal
//! could have kept.

mod directory;
pub mod faults;
mod file;
mod storage;
#[cfg(test)]
mod tests;

pub use faults::{DiskControl, DiskFault, DiskOptions, Effect, Operation, Repeat};
pub(super) use storage::{SimDisk, Storage};
