//! The simulated world: machines, clocks, network and disks, driven by one seed.
//!
//! Implements `env` on madsim's executor and virtual time, and knows nothing of what runs on it.
//! [`World::run`] makes a world on the current thread; [`World`] is the handle by which a test or a
//! nemesis adds machines, starts and stops them, and lays faults on links, disks and clocks.
//!
//! What costs simulated time is timers and polls, so a message is one timer and one poll: there are no
//! tasks per connection, and a packet's arrival runs inside the timer's own wake (`timers`).

mod chance;
mod clock;
mod crash;
pub mod disk;
mod lock;
mod machine;
pub mod network;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
mod trace;
mod world;

pub use chance::{Chance, Latency};
pub use clock::{EPOCH_MS, WallClock};
pub use crash::Crash;
pub use disk::{DiskControl, DiskFault, DiskOptions, Effect, Operation, Repeat};
pub use machine::{Ending, MachineOptions};
pub use network::{LinkControl, LinkOptions};
#[cfg(test)]
pub use tests::run_beside;
pub use timers::time_on_this_thread;
pub use trace::{Digest, Trace};
pub use world::{World, WorldOptions};
