//! Files good and bad.

mod bad;
mod good;
mod mutated;
mod roundtrip;

use super::{Problems, Scenario};

const GOOD: &str = include_str!("../../../../tests/fixtures/scenarios/good.scenario.toml");

fn load(text: &str) -> Result<Scenario, Problems> {
    Scenario::load("test", "test.scenario.toml", text, &[])
}
