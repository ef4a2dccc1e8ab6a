//! What must always hold, quickly: one binary, because link time is the tax.

mod conformance;
mod determinism;
mod log_crashes;
mod scenarios;
mod tidy;
