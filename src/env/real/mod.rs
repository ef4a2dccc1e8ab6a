//! The real world: `env` on tokio and `std::fs`.
//!
//! The only module that names `tokio::{net, time, task}` and `std::{fs, time}`; it lives inside a tokio
//! runtime with time and I/O enabled, which its caller makes.

mod clock;
mod disk;
mod machine;
mod network;
mod tasks;
#[cfg(test)]
mod tests;

pub use machine::{draw_seed, env};
pub use network::BoundNetwork;
pub use tasks::OnPanic;
