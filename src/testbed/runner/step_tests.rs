//! Steps of a replicated cluster: who is hit when a role is named, which events wake them, what the operator
//! gets done.

use std::sync::Arc;

use super::{
    Trial, TrialEnd, run_trial,
    test_plans::{is_step, passing, plan_of},
};
use crate::testbed::{
    history::{EventKind, FaultKind, Loss},
    plan::{Controllers, Plan},
};

/// Three brokers that are controllers too, two partitions of three replicas each, first on b1 and b2.
fn plan(steps: &str) -> Arc<Plan> {
    let text = format!(
        r#"
scenario = 1
title = "steps of a cluster"
[run]
end = "60s"
limit = "5m"
[cluster]
brokers = 3
controllers = 3
[cluster.config]
min.insync.replicas = 2
offsets.topic.num.partitions = 1
[topics.orders]
partitions = 2
replication-factor = 3
[producers.shop]
topic = "orders"
records = 600
every = "50ms"
{steps}
[[expect]]
guarantee = "acked-records-survive"
of = "shop"
verdict = "holds"
[[expect]]
guarantee = "cluster-heals"
of = "cluster"
verdict = "holds"
"#
    );
    plan_of(&text)
}

fn passes(steps: &str) -> Trial {
    passing(&plan(steps))
}

/// What the plan's step did at once: the machines and what befell them.
fn done_by(trial: &Trial, step: usize) -> Vec<String> {
    let events = &trial.history.events;
    let id = events.iter().find(|event| is_step(&event.kind, step)).expect("it fired").id;
    let done = events.iter().filter(|event| event.cause == Some(id));
    let text = |kind: &EventKind| match kind {
        EventKind::MachineStopped { .. } => Some("stopped".to_owned()),
        EventKind::MachineStarted { .. } => Some("started".to_owned()),
        EventKind::MachinePaused => Some("paused".to_owned()),
        EventKind::MachineResumed => Some("resumed".to_owned()),
        EventKind::Fault { fault: FaultKind::Sever, what } => Some(what.to_string()),
        EventKind::Healed { what } => Some(format!("healed {what}")),
        _ => None,
    };
    done.filter_map(|event| Some(format!("{}: {}", event.node, text(&event.kind)?))).collect()
}

#[test]
fn a_step_restarts_whom_another_took_down_though_the_role_has_gone_on() {
    let trial = passes(
        r#"
[[step]]
id = "kill"
when = "acked"
of = "orders-0"
count = 20
do = "crash"
node = "leader:orders-0"
[[step]]
id = "elected"
when = "elected"
of = "orders-0"
after = "kill"
do = "sever"
links = ["leader:orders-0 -> followers:orders-0"]
for = "1s"
[[step]]
after = "elected"
wait = "15s"
do = "restart"
node = "step:kill"
"#,
    );
    assert_eq!(done_by(&trial, 0), ["b1: stopped"]);
    let severed =
        ["b2: sever b2 -> b1", "b2: sever b2 -> b3", "b2: healed b2 -> b1", "b2: healed b2 -> b3"];
    assert_eq!(done_by(&trial, 1), severed);
    assert_eq!(done_by(&trial, 2), ["b1: started"]);
}

#[test]
fn a_pause_of_a_role_ends_where_it_began() {
    let trial = passes(
        r#"
[[step]]
id = "pause"
at = "10s"
do = "pause"
node = "leader:orders-0"
for = "20s"
[[step]]
when = "fenced"
of = "b1"
after = "pause"
do = "note"
[[step]]
id = "asked"
when = "elected"
of = "b2"
after = "pause"
do = "pause"
node = "controller"
for = "100ms"
[[step]]
when = "isr-grown"
of = "b1"
after = "asked"
do = "note"
"#,
    );
    assert_eq!(done_by(&trial, 0), ["b1: paused", "b1: resumed"]);
    let fired = |step: usize| trial.history.events.iter().any(|event| is_step(&event.kind, step));
    assert!((0..4).all(fired), "fenced, elected, and in the ISR again");
}

#[test]
fn everybody_in_an_isr_is_hit_its_leader_first() {
    let trial = passes(
        r#"
[[step]]
at = "5s"
do = "crash"
node = "b2"
[[step]]
id = "back"
when = "elected"
of = "orders-1"
do = "restart"
node = "b2"
[[step]]
id = "cut"
when = "isr-grown"
of = "orders-1"
after = "back"
do = "crash"
node = "isr:orders-1"
[[step]]
after = "cut"
wait = "2s"
do = "restart"
node = "step:cut"
"#,
    );
    assert_eq!(done_by(&trial, 2), ["b3: stopped", "b1: stopped", "b2: stopped"]);
    assert_eq!(done_by(&trial, 3), ["b3: started", "b1: started", "b2: started"]);
}

#[test]
fn an_operator_adds_a_broker_moves_a_partition_to_it_and_adds_another() {
    let trial = passes(
        r#"
[[step]]
at = "5s"
do = "add-broker"
node = "b4"
[[step]]
id = "in"
when = "unfenced"
of = "b4"
do = "reassign"
partition = "orders-0"
replicas = ["b4", "b3"]
[[step]]
after = "in"
wait = "10s"
do = "elect"
partition = "orders-0"
election = "preferred"
[[step]]
after = "in"
wait = "15s"
do = "add-partitions"
topic = "orders"
partitions = 3
[[step]]
after = "in"
wait = "16s"
do = "alter-config"
topic = "orders"
config.min.insync.replicas = 1
[[step]]
at = "50s"
do = "sever"
links = ["leader:orders-0 -> follower:orders-0"]
for = "1s"
"#,
    );
    let refused = trial.history.events.iter().filter_map(|event| match &event.kind {
        EventKind::Error { message, .. } if &*event.node == "trial" => Some(&**message),
        _ => None,
    });
    // The move took the leader away, and b4 was elected at once.
    assert_eq!(refused.collect::<Vec<_>>(), ["the broker answered ElectionNotNeeded"]);
    assert_eq!(done_by(&trial, 5), ["b4: sever b4 -> b3", "b4: healed b4 -> b3"]);
    let logs: Vec<_> = trial
        .history
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::FinalLog { partition, .. } => Some(partition.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(logs, ["orders-0", "orders-1", "orders-2"]);
    let looked_into =
        trial.history.events.iter().any(|event| {
            &*event.node == "b4" && matches!(event.kind, EventKind::LogContents { .. })
        });
    assert!(looked_into, "b4 was added, and holds orders-0");
}

#[test]
fn the_controller_may_be_a_machine_that_is_no_broker() {
    let steps = r#"
[[step]]
id = "kill"
at = "10s"
do = "crash"
node = "controller"
[[step]]
when = "controller-elected"
after = "kill"
do = "restart"
node = "step:kill"
[[step]]
at = "30s"
do = "pause"
node = "standby"
for = "1s"
"#;
    let mut plan = Plan::clone(&plan(steps));
    plan.cluster.controllers = Controllers::Apart(3);
    let trial = passing(&Arc::new(plan));
    let hit = done_by(&trial, 0);
    assert!(hit.len() == 1 && hit[0].starts_with('c') && hit[0].ends_with(": stopped"), "{hit:?}");
    assert_eq!(done_by(&trial, 1), [hit[0].replace("stopped", "started")]);
    let paused = done_by(&trial, 2);
    assert!(paused.len() == 2 && paused[0].starts_with('c'), "{paused:?}");
}

#[test]
fn a_broker_that_is_stopped_gives_its_leaderships_away_and_starts_again_when_it_has_ended() {
    let trial = passes(
        r#"
[[step]]
id = "leave"
when = "acked"
of = "orders-0"
count = 20
do = "stop"
node = "leader:orders-0"
[[step]]
after = "leave"
wait = "1ms"
do = "restart"
node = "step:leave"
[[expect]]
guarantee = "writes-accepted"
of = "shop"
verdict = "holds"
"#,
    );
    let position = |wanted: &dyn Fn(&EventKind) -> bool| {
        let events = trial.history.events.iter();
        events.filter(|event| event.node == "b1".into()).position(|event| wanted(&event.kind))
    };
    let stopped =
        position(&|kind| matches!(kind, EventKind::MachineStopped { loss: Loss::Nothing }));
    let again = position(&|kind| matches!(kind, EventKind::MachineStarted { incarnation: 2 }));
    assert!(stopped.is_some() && stopped < again, "{stopped:?} {again:?}");
    let id = |wanted: &dyn Fn(&EventKind) -> bool| {
        trial.history.events.iter().find(|event| wanted(&event.kind)).map(|event| event.id)
    };
    let moved = id(
        &|kind| matches!(kind, EventKind::Elected { was: Some(was), leader: Some(leader), .. } if *was == "b1".into() && leader != was),
    );
    let ended = id(&|kind| matches!(kind, EventKind::MachineStopped { .. }));
    assert!(moved.is_some() && moved < ended, "{moved:?} {ended:?}");
    // Until the others know of it b1 waits, for as long as they may take to their next heartbeat, and replicates no
    // more: it is out of the ISR and shall not come back to it.
    let follows = |kind: &EventKind| matches!(kind, EventKind::Replicated { partition, .. } if partition.to_string() == "orders-0");
    let appends = |kind: &EventKind| matches!(kind, EventKind::Appended { partition, .. } if partition.to_string() == "orders-0");
    let between = |node: &str, of: &dyn Fn(&EventKind) -> bool| {
        let events = trial.history.events.iter().filter(|event| event.node == node.into());
        let within = |id| moved < Some(id) && Some(id) < ended;
        events.filter(|event| within(event.id) && of(&event.kind)).count()
    };
    assert!(between("b2", &appends) > 10, "{}", between("b2", &appends));
    assert_eq!(between("b1", &follows), 0);
}

#[test]
fn a_crash_ends_the_wait_for_a_broker_that_leaves() {
    let trial = passes(
        r#"
[[step]]
id = "leave"
at = "10s"
do = "stop"
node = "b1"
[[step]]
id = "again"
after = "leave"
wait = "1ms"
do = "restart"
node = "b1"
[[step]]
id = "killed"
after = "again"
wait = "1ms"
do = "crash"
node = "b1"
[[step]]
after = "killed"
wait = "20s"
do = "restart"
node = "b1"
"#,
    );
    assert_eq!(done_by(&trial, 2), ["b1: stopped"]);
    assert_eq!(done_by(&trial, 3), ["b1: started"]);
}

#[test]
fn a_step_on_a_role_that_nobody_plays_fails_the_trial() {
    let steps = r#"
[[step]]
id = "kill"
at = "0s"
do = "crash"
node = "controller"
[[step]]
after = "kill"
wait = "1s"
do = "restart"
node = "step:kill"
[[step]]
id = "pause"
at = "10s"
do = "pause"
node = "leader:orders-0"
for = "1s"
[[step]]
at = "20s"
do = "sever"
links = ["step:pause -> step:pause"]
for = "1s"
"#;
    let told = [
        (0, "nobody was `controller` at 0.000s"),
        (1, "step `kill` did not fire"),
        (3, "its links joined no two machines at 20.000s"),
    ];
    misses(steps, &told);
}

/// It ended the driver with a panic.
#[test]
fn a_step_that_wipes_the_disk_of_a_machine_that_is_up_fails_the_trial() {
    let steps = r#"
[[step]]
id = "wipe"
at = "10s"
do = "wipe-disk"
node = "b2"
[[step]]
after = "wipe"
wait = "1s"
do = "restart"
node = "b2"
[[step]]
id = "pause"
at = "20s"
do = "pause"
node = "followers:orders-0"
for = "1s"
[[step]]
after = "pause"
wait = "10ms"
do = "wipe-disk"
node = "step:pause"
"#;
    let told = [
        (0, "b2, whose disk it wipes, was up at 10.000s"),
        (1, "step `wipe` did not fire"),
        (3, "b2, whose disk it wipes, was up at 20.010s"),
    ];
    misses(steps, &told);
}

/// It was marked as down and ran, so that its restart ended the driver with a panic.
#[test]
fn a_machine_may_crash_as_soon_as_it_has_started() {
    let steps = r#"
[[step]]
id = "kill"
when = "started"
of = "b2"
do = "crash"
node = "b2"
[[step]]
after = "kill"
wait = "1s"
do = "restart"
node = "b2"
"#;
    let trial = run_trial(&plan(steps), None, 1);
    assert_eq!(trial.end, TrialEnd::Finished);
    assert!(trial.unfired.is_empty(), "{:?}", trial.unfired);
}

/// The trial ends with these steps unfired and fails for it.
#[track_caller]
fn misses(steps: &str, told: &[(usize, &str)]) {
    let trial = run_trial(&plan(steps), None, 1);
    assert_eq!(trial.end, TrialEnd::Finished);
    assert!(!trial.passed());
    let unfired = trial.unfired.iter().map(|it| (it.step, it.progress.as_str()));
    assert_eq!(unfired.collect::<Vec<_>>(), told);
}
