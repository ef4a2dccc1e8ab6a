//! The broker through the wire, in the simulated world.

mod bench;
mod compaction;
mod configs;
mod descriptions;
mod fetching;
mod groups;
mod quorum;
mod replicas;
mod replication;
mod requests;
mod stopping;
mod storage;
mod topics;
mod versions;
mod wire;
