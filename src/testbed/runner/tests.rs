//! Trials as a whole, from plan to history.

use std::sync::Arc;

use super::{
    TrialEnd, run_trial,
    test_plans::{billing, plan_of},
};
use crate::testbed::{
    history::{EventKind, Outcome},
    plan::Plan,
};

/// Two brokers, a producer of ten records, a group of two.
fn plan(more: &str) -> Arc<Plan> {
    let text = format!(
        r#"
scenario = 1
title = "a trial"
kafka = "4.1"
[run]
seed = 1
end = "quiet"
limit = "5m"
[cluster]
brokers = 2
[cluster.config]
offsets.topic.replication.factor = 1
[topics.orders]
partitions = 2
[producers.shop]
topic = "orders"
records = 10
every = "5ms"
{}
{more}
[[expect]]
guarantee = "processed-exactly-once"
of = "billing"
verdict = "holds"
"#,
        billing(2)
    );
    plan_of(&text)
}

#[test]
fn records_are_sent_processed_committed_and_read_back() {
    let trial = run_trial(&plan(""), None, 1);
    assert_eq!(trial.end, TrialEnd::Finished);
    assert!(trial.passed(), "{:?}", trial.judgements);
    let count = |wanted: fn(&EventKind) -> bool| {
        trial.history.events.iter().filter(|event| wanted(&event.kind)).count()
    };
    assert_eq!(count(|kind| matches!(kind, EventKind::SendEnded { outcome: Outcome::Ok, .. })), 10);
    assert_eq!(count(|kind| matches!(kind, EventKind::Processed { .. })), 10);
    assert_eq!(count(|kind| matches!(kind, EventKind::FinalLog { .. })), 2);
    assert!(count(|kind| matches!(kind, EventKind::OffsetsCommitted { .. })) > 0);
    assert_eq!(run_trial(&plan(""), None, 1).digest, trial.digest);
    assert_ne!(run_trial(&plan(""), None, 2).digest, trial.digest);
}

#[test]
fn every_event_but_a_machines_first_names_its_cause() {
    let trial = run_trial(&plan(""), None, 1);
    let mut known = std::collections::BTreeSet::new();
    for event in &trial.history.events {
        assert!(event.cause.is_some() || !known.contains(&event.node), "{event:?}");
        assert!(event.cause.is_none_or(|cause| cause < event.id), "{event:?}");
        known.insert(event.node.clone());
    }
}

#[test]
fn a_step_that_never_fires_fails_the_trial_and_says_how_close_it_came() {
    let step = r#"
[[step]]
when = "committed"
of = "billing"
count = 900
do = "crash"
node = "b1"
"#;
    let trial = run_trial(&plan(step), None, 1);
    assert!(!trial.passed());
    let progress = &trial.unfired[0].progress;
    assert!(progress.starts_with("committed of billing reached "), "{progress}");
    assert!(progress.ends_with(" of 900"), "{progress}");
}

#[test]
fn a_step_fires_before_anything_else_happens() {
    let step = "[[step]]\nwhen = \"acked\"\nof = \"shop\"\ncount = 3\ndo = \"pause\"\nnode = \"b2\"\nfor = \"1s\"";
    let trial = run_trial(&plan(step), None, 1);
    assert!(trial.passed(), "{:?}", trial.judgements);
    let events = &trial.history.events;
    let fired = events.iter().position(|event| matches!(event.kind, EventKind::Step { .. }));
    let fired = fired.expect("it fired");
    assert!(matches!(events[fired - 1].kind, EventKind::SendEnded { .. }));
    assert_eq!(events[fired].cause, Some(events[fired - 1].id));
    assert_eq!(events[fired + 1].kind, EventKind::MachinePaused);
}

/// Whatever still lives holds the plan.
#[test]
fn a_trial_leaves_nothing_in_memory() {
    let step = |lines: &str| format!("[[step]]\nid = \"s\"\nat = \"1s\"\n{lines}\n");
    let back = "[[step]]\nafter = \"s\"\ndo = \"restart\"\nwait = \"1s\"\nnode = \"b2\"";
    let restart = |lines: &str| format!("{}{back}", step(lines));
    let plans = [
        String::new(),
        restart("do = \"crash\"\nnode = \"b2\""),
        restart("do = \"power-loss\"\nnode = \"b2\""),
        step("do = \"sever\"\nfor = \"1s\"\nlinks = [\"b1 <-> b2\"]"),
        step("do = \"hold\"\nfor = \"1s\"\nlinks = [\"b1 <-> b2\"]"),
        step("do = \"pause\"\nfor = \"1s\"\nnode = \"b2\""),
        step("do = \"reset\"\nlinks = [\"shop <-> b1\"]"),
    ];
    for steps in plans {
        let plan = plan(&steps);
        drop(run_trial(&plan, None, 1));
        assert_eq!(Arc::strong_count(&plan), 1, "{steps}");
    }
}
