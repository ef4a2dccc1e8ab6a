//! One trial from plan and seed to judgements, and sweeps of many.

mod drive;
#[cfg(test)]
mod rack_tests;
mod repeat;
#[cfg(test)]
mod replication_tests;
mod run;
mod setup;
#[cfg(test)]
mod step_tests;
mod sweep;
#[cfg(test)]
mod test_plans;
#[cfg(test)]
mod tests;
mod trial;

pub use repeat::difference;
pub use run::run_trial;
pub use sweep::{Job, sweep};
pub use trial::{Trial, TrialEnd, UnfiredStep};
