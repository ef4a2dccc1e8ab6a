//! Scenario files: TOML to a plan and back, with every mistake reported at once.
//!
//! The way of a file: `tree` (TOML with places) -> `variants` (what `[variant.set]` and `--set` lay over
//! it) -> `decode` (section by section into a [`Plan`](crate::testbed::plan::Plan)) -> [`Scenario`], or
//! [`Problems`], rendered as rustc renders its own. Nothing runs unless there are none. The words a file
//! may use and what they mean stand in `words`; Kafka's settings in `kafka::config`.
//!
//! [`to_toml`] goes the other way, so that what a campaign finds can be kept as a file.

mod about;
mod decode;
mod explain;
mod load;
mod problem;
mod tree;
mod variants;
mod words;
mod write;

#[cfg(test)]
mod tests;

pub use about::Prediction;
pub use explain::{Explanation, explain, explanations};
pub use load::{Scenario, Variant};
pub use problem::{Finding, Problems};
pub use words::nearest;
pub use write::to_toml;
