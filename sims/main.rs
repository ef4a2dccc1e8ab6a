//! Seeded campaigns: plans drawn from seeds, searched for a trial that breaks a promise.
//!
//! `RETRIAL_SEEDS=0..=99999` widens a campaign, `RETRIAL_SEED=17` repeats one trial. A failure prints the
//! line that repeats it.

// Tests read settings, and panic where something is wrong.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod delivery;
mod digests;
mod disks;
mod hunt;
mod producers;
mod quorum;
mod replication;
mod seeds;
mod standard;
