//! The broker through the wire, in the simulated world.

mod administration;
mod apart;
mod bench;
mod cluster;
mod compaction;
mod configs;
mod damage;
mod descriptions;
mod fetching;
mod groups;
mod lifecycle;
mod quorum;
mod replicas;
mod replication;
mod requests;
mod retirement;
mod snapshots;
mod stopping;
mod storage;
mod topics;
mod versions;
mod wire;
