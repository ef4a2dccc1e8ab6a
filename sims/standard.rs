//! The standard trial, a scenario like any other: what the benchmark runs and whose digest is kept.

use std::sync::Arc;

use retrial::testbed::{plan::Plan, scenario::Scenario};

pub fn plan() -> Arc<Plan> {
    let text = include_str!("standard.scenario.toml");
    let scenario = Scenario::load("standard", "sims/standard.scenario.toml", text, &[]);
    scenario.unwrap_or_else(|problems| panic!("\n{problems}")).plan
}
