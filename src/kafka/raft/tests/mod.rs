//! Tests of the quorum: transcripts of a few replicas on a small network, and a simulation that searches.

mod answers;
mod memory_log;
mod observers;
mod quorum_state;
mod show;
mod simulation;
mod stories;
mod votes;
mod watcher;
mod wire;
mod world;
