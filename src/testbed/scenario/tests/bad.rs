//! What a wrong file is told, mistake by mistake.

use super::{GOOD, load};
use crate::testbed::scenario::Scenario;

#[test]
fn all_mistakes_are_told_at_once() {
    let text = include_str!("../../../../tests/fixtures/scenarios/everything-wrong.scenario.toml");
    let problems = Scenario::load("x", "everything-wrong.scenario.toml", text, &[]).unwrap_err();
    insta::assert_snapshot!(problems);
}

#[test]
fn all_syntax_errors_are_told_at_once() {
    let text = include_str!("../../../../tests/fixtures/scenarios/syntax.scenario.toml");
    let problems = Scenario::load("x", "syntax.scenario.toml", text, &[]).unwrap_err();
    insta::assert_snapshot!(problems);
}
