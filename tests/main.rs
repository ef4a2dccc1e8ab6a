//! What must always hold, quickly: one binary, because link time is the tax.

// Tests read files and settings, and panic where something is wrong.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod cleaning_crashes;
mod clients;
mod conformance;
mod determinism;
mod hostile;
mod log_crashes;
mod scenarios;
mod serve;
mod tidy;
