//! `retrial serve` through its binary: signals, directories, refusals, and what is there after a restart.
//! Ports are the operating system's choice; tests wait for what the process says, never for a time.

mod client;
mod lives;
mod process;
mod refusals;
