//! One trial from plan and seed to judgements, and sweeps of many.

mod sweep;
mod trial;

pub use sweep::{Job, sweep};
pub use trial::{Trial, TrialEnd, UnfiredStep};
