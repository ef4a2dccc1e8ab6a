//! The simulated network: directed links between machines, and TCP's behaviour over them.
//!
//! - [`link`]: one direction from one machine to another: delays, bandwidth, loss, severed, held.
//! - `connection`: the two byte queues of a connection and everything that travels in them.
//! - `stream`: a process's end of a connection, as `AsyncRead + AsyncWrite`.
//! - `listener`: ports, backlogs, and `env::Network` for one process.
//! - `fabric`: all hosts, links and connections of a world; kills and power losses act on it.
//!
//! A packet is a write: it travels whole (or in two, see [`LinkOptions::split`]), arrives after those
//! sent before it, and costs one timer. Whether the way is open is decided when it arrives. What cannot
//! arrive waits at the sender and is retransmitted as TCP does. Left out, as nothing above can tell or
//! it takes longer than a trial: acknowledgements as packets of their own (a way severed in one
//! direction only stops that direction's bytes), keep-alive, and giving up after 15 minutes.

mod connection;
mod fabric;
pub mod link;
mod listener;
#[cfg(test)]
mod properties;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use fabric::{Fabric, Host};
pub use link::{LinkControl, LinkOptions};
pub(super) use listener::SimNetwork;
