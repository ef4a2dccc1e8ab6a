//! The clients over the simulated network, against a broker that does as it is told.
//!
//! [`broker::Broker`] keeps logs in memory and answers as Kafka does, but can be made to lose an answer
//! or to give an error: what a real broker does only in rare moments.

mod bench;
mod broker;
mod cluster;
mod consume;
mod groups;
mod produce;
