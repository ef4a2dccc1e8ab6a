//! The system under test: Kafka's broker and clients over the seam of `env`.
//!
//! The same code runs in the simulated world and in the real one and cannot tell which. Inside, each
//! layer sees only those before it: `types` <- `config` <- `protocol` <- { `log`, `raft`, `metadata` <-
//! `controller`, `coordinator`, `replica` } <- `broker`; `client` sees `protocol` and what is below it, never the
//! broker. `behaviour` names what Kafka once did otherwise in any of them, for files.

pub mod behaviour;
pub mod broker;
pub mod client;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod log;
pub mod metadata;
pub mod protocol;
pub mod raft;
pub mod replica;
pub mod types;
