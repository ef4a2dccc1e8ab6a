//! One trial from plan and seed to judgements, and sweeps of many.

mod trial;

pub use trial::{Trial, TrialEnd, UnfiredStep};
