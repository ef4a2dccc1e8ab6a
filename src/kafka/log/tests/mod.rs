//! The log on a disk in memory. Crashes are in the `tests/` binary, on the simulated disk.

mod appending;
mod cleaning;
mod fixture;
mod flushing;
mod memory_disk;
mod model;
mod reading;
mod recovering;
mod trimming;
