//! The broker through the wire, in the simulated world.

mod bench;
mod descriptions;
mod requests;
mod stopping;
mod storage;
mod versions;
mod wire;
