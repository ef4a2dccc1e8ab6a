//! Trials of replicated topics: what histories tell of them, and how they are judged.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Trial, TrialEnd, run_trial,
    test_plans::{billing, plan_of},
};
use crate::testbed::{
    history::EventKind,
    plan::{Controllers, Plan},
};

/// Three brokers that are controllers too, one partition on all of them, a producer and a group. Its limit has
/// room for a JoinGroup that nobody answers, whose coordinator lost power: by default that takes 305 seconds.
fn plan(acks: &str, more: &str) -> Arc<Plan> {
    let text = format!(
        r#"
scenario = 1
title = "a trial"
kafka = "4.1"
[run]
seed = 1
end = "quiet"
limit = "10m"
[cluster]
brokers = 3
[cluster.config]
offsets.topic.replication.factor = 3
offsets.topic.num.partitions = 1
min.insync.replicas = 2
[topics.orders]
partitions = 1
replicas = [["b1", "b2", "b3"]]
[producers.shop]
topic = "orders"
records = 40
every = "5ms"
[producers.shop.config]
acks = "{acks}"
enable.idempotence = false
{}
{more}
"#,
        billing(1)
    );
    plan_of(&text)
}

fn expects(guarantees: &[(&str, &str, &str)]) -> String {
    let one = |(guarantee, of, rest): &(&str, &str, &str)| {
        format!("[[expect]]\nguarantee = \"{guarantee}\"\nof = \"{of}\"\n{rest}\n")
    };
    guarantees.iter().map(one).collect()
}

/// From the crash of a step `kill`.
const B1_COMES_BACK: &str = r#"
[[step]]
after = "kill"
wait = "20s"
do = "restart"
node = "b1"
"#;

const HOLDS: &str = "verdict = \"holds\"";

fn sound() -> String {
    expects(&[
        ("replicas-agree", "orders", HOLDS),
        ("committed-reads-stable", "billing", HOLDS),
        ("quorum-agrees", "cluster", HOLDS),
        ("cluster-heals", "cluster", HOLDS),
        ("acked-records-survive", "shop", HOLDS),
    ])
}

fn actuals(trial: &Trial) -> Vec<String> {
    trial.judgements.iter().map(|judgement| judgement.actual.clone()).collect()
}

#[test]
fn a_quiet_cluster_is_judged_and_sound() {
    let text = sound() + &expects(&[("writes-accepted", "shop", HOLDS)]);
    let trial = run_trial(&plan("all", &text), None, 1);
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for event in &trial.history.events {
        let name = format!("{:?}", event.kind);
        let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
        *kinds.entry(name).or_default() += 1;
    }
    assert_eq!(trial.end, TrialEnd::Finished, "{kinds:?}");
    assert!(trial.passed(), "{:#?} {kinds:?}", actuals(&trial));
    for told in ["Leads", "Follows", "HighWatermark", "Replicated", "PartitionCreated", "Voted"] {
        assert!(kinds.contains_key(told), "nothing of {told}: {kinds:?}");
    }
    assert_eq!(run_trial(&plan("all", &text), None, 1).digest, trial.digest);
}

#[test]
fn a_leader_that_crashes_gives_way_and_comes_back() {
    let steps = r#"
[[step]]
id = "kill"
when = "acked"
of = "shop"
count = 20
do = "crash"
node = "b1"
"#;
    let text = format!(
        "{steps}{B1_COMES_BACK}{}[[expect]]\nfact = \"elections\"\nof = \"orders-0\"\nis = \">= 1\"\n",
        sound()
    );
    let trial = run_trial(&plan("all", &text), None, 1);
    assert_eq!(trial.end, TrialEnd::Finished);
    assert!(trial.passed(), "{:#?}", actuals(&trial));
    let elected = |kind: &EventKind| matches!(kind, EventKind::Elected { .. });
    assert!(trial.history.events.iter().any(|event| elected(&event.kind)));
}

#[test]
fn what_only_the_leader_had_is_lost_by_the_election_after_it() {
    let steps = r#"
[[step]]
id = "slow"
when = "acked"
of = "shop"
count = 10
do = "delay"
links = ["b1 <-> b2", "b1 <-> b3"]
by = "2s"
[[step]]
id = "kill"
when = "acked"
of = "shop"
count = 25
do = "crash"
node = "b1"
"#;
    let violated = "verdict = \"violated\"\ncause = \"truncated-after-election\"";
    let text = format!(
        "{steps}{B1_COMES_BACK}{}",
        expects(&[
            ("acked-records-survive", "shop", violated),
            ("replicas-agree", "orders", HOLDS),
            ("committed-reads-stable", "billing", HOLDS),
            ("cluster-heals", "cluster", HOLDS),
        ])
    );
    let trial = run_trial(&plan("1", &text), None, 1);
    assert!(trial.passed(), "{:?} {:#?}", trial.end, actuals(&trial));
    let crate::testbed::checker::Verdict::Violated { violations } =
        trial.judgements[0].verdict.as_ref().expect("a guarantee has one")
    else {
        panic!("it is violated");
    };
    let says: Vec<&str> = violations[0].why.iter().map(|link| &*link.says).collect();
    let told = |part: &str| assert!(says.iter().any(|says| says.contains(part)), "{says:#?}");
    told("was acked at orders-0@");
    told("had fetched up to");
    told("b1 stopped");
    told("is elected: epoch");
    told("b1 truncates");
}

/// Another disk is another directory. The controller knew the replica in the old one, which is offline for ever, and
/// never let the broker lead again, until brokers came to tell where their replicas are (KIP-858).
#[test]
fn a_broker_whose_disk_was_wiped_can_lead_again() {
    let steps = r#"
[[step]]
id = "kill"
when = "acked"
of = "shop"
count = 20
do = "crash"
node = "b1"
[[step]]
id = "wipe"
after = "kill"
wait = "1s"
do = "wipe-disk"
node = "b1"
[[step]]
id = "back"
after = "wipe"
wait = "15s"
do = "restart"
node = "b1"
[[step]]
id = "joined"
when = "isr-grown"
of = "b1"
after = "back"
do = "note"
[[step]]
id = "elect"
after = "joined"
wait = "1s"
do = "elect"
partition = "orders-0"
election = "preferred"
[[expect]]
fact = "leader"
of = "orders-0"
is = "1"
"#;
    let mut plan = Plan::clone(&plan("all", &(steps.to_owned() + &sound())));
    // A voter without its disk is another matter.
    plan.cluster.controllers = Controllers::Apart(1);
    let trial = run_trial(&Arc::new(plan), None, 1);
    assert_eq!(trial.end, TrialEnd::Finished);
    assert!(trial.passed(), "{:?} {:#?}", trial.unfired, actuals(&trial));
}
