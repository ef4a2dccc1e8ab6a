//! Plans of this folder's tests, written as scenario files are.

use std::sync::Arc;

use super::{Trial, TrialEnd, run_trial};
use crate::testbed::{history::EventKind, plan::Plan, scenario::Scenario};

pub(super) fn plan_of(text: &str) -> Arc<Plan> {
    let scenario = Scenario::load("trial", "trial", text, &[]);
    scenario.unwrap_or_else(|problems| panic!("{problems}")).plan
}

/// A group that reads `orders` and commits what it has handled.
pub(super) fn billing(members: u32) -> String {
    format!(
        r#"
[groups.billing]
topics = ["orders"]
members = {members}
[groups.billing.app]
loop = ["poll", "process", "commit"]
process = "1ms"
[groups.billing.config]
enable.auto.commit = false
auto.offset.reset = "earliest"
"#
    )
}

/// The plan's trial, which ends and keeps what it promises.
pub(super) fn passing(plan: &Arc<Plan>) -> Trial {
    let trial = run_trial(plan, None, 1);
    let judged: Vec<_> = trial.judgements.iter().map(|judgement| &judgement.actual).collect();
    assert_eq!(trial.end, TrialEnd::Finished, "{judged:?}");
    assert!(trial.passed(), "{:?} {judged:?}", trial.unfired);
    trial
}

/// Whether the event is the firing of the plan's step.
pub(super) fn is_step(kind: &EventKind, step: usize) -> bool {
    matches!(kind, EventKind::Step { step: fired, .. } if *fired == step)
}
