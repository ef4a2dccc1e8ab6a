//! What must always hold, quickly.
mod conformance;
