//! A file that uses every part of the format.

use crate::testbed::scenario::{Problems, Scenario};

pub const GOOD: &str = include_str!("../../../../tests/fixtures/scenarios/good.scenario.toml");

pub fn load(text: &str) -> Result<Scenario, Problems> {
    Scenario::load("test", "test.scenario.toml", text, &[])
}
