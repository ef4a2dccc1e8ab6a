//! The log on a disk in memory. Crashes are in the `tests/` binary, on the simulated disk, but for
//! those that only a former policy turns into harm (`historical`).

mod appending;
mod cleaning;
mod fixture;
mod flushing;
mod historical;
pub mod memory_disk;
mod model;
mod reading;
mod recovering;
mod trimming;
