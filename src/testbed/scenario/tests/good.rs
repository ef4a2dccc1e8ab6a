//! What a correct file means.

use std::time::Duration;

use super::fixture::{GOOD, load};
use crate::testbed::{
    plan::{
        Action, Comparison, Controllers, End, EventName, Expectation, Link, Links, LoopStep,
        NodeRef, Plan, SeekTo, Span, SpanShape, Start, Tolerance, Trigger,
    },
    scenario::Scenario,
};

const LESSONS: &[(&str, &str)] = &[
    ("01", include_str!("../../../../scenarios/lessons/01-a-topic-is-a-few-logs.scenario.toml")),
    ("07", include_str!("../../../../scenarios/lessons/07-where-does-a-group-start.scenario.toml")),
    (
        "08",
        include_str!("../../../../scenarios/lessons/08-groups-share-groups-repeat.scenario.toml"),
    ),
    ("12", include_str!("../../../../scenarios/lessons/12-commit-before-processing.scenario.toml")),
    ("13", include_str!("../../../../scenarios/lessons/13-process-first-then-crash.scenario.toml")),
    ("19", include_str!("../../../../scenarios/lessons/19-acks-0-1-all.scenario.toml")),
    ("20", include_str!("../../../../scenarios/lessons/20-acks-1-leader-loss.scenario.toml")),
    ("21", include_str!("../../../../scenarios/lessons/21-all-of-one.scenario.toml")),
    ("22", include_str!("../../../../scenarios/lessons/22-min-insync-replicas.scenario.toml")),
    (
        "23",
        include_str!(
            "../../../../scenarios/lessons/23-a-retry-doubles-a-retry-overtakes.scenario.toml"
        ),
    ),
    (
        "24",
        include_str!("../../../../scenarios/lessons/24-nobody-is-the-leader-broker.scenario.toml"),
    ),
    ("25", include_str!("../../../../scenarios/lessons/25-unclean-election.scenario.toml")),
    ("26", include_str!("../../../../scenarios/lessons/26-power-cut.scenario.toml")),
];

#[test]
fn every_lesson_loads() {
    for (name, text) in LESSONS {
        let scenario = load(text).unwrap_or_else(|problems| panic!("{name}\n{problems}"));
        assert!(!scenario.plan.expectations.is_empty());
        assert_eq!(scenario.seeds, 1..=200, "{name}");
    }
}

#[test]
fn a_file_says_everything_about_its_plan() {
    let scenario = load(GOOD).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(scenario.summary.as_deref(), Some("Two lines\nof it."));
    assert_eq!(scenario.predict.as_ref().unwrap().answer, 1);
    assert_eq!(scenario.seeds, 1..=20);
    let plan = &scenario.plan;
    assert_eq!((plan.run.seed, plan.run.end), (7, End::At(Span::from_millis(90_000))));
    assert_eq!(plan.network.latency.shape, SpanShape::Exponential);
    assert_eq!(plan.cluster.config["num.io.threads"], "2");
    assert_eq!(plan.topics["orders"].config["segment.bytes"], "4096");
    assert_eq!(plan.topics["audit.log"].partitions, 2);
    assert_eq!(plan.topics.keys().collect::<Vec<_>>(), ["orders", "audit.log"]);
    assert_eq!(plan.producers["shop"].config["acks"], "1");
    assert_eq!(plan.producers["shop"].every.max.0, Duration::from_millis(3));
    assert_eq!(plan.producers["late"].start, Start::ByStep);
    let billing = &plan.groups["billing"];
    assert_eq!(billing.members, ["billing/left", "billing/right"]);
    assert_eq!(billing.config["partition.assignment.strategy"], "range,roundrobin");
    let start = Start::When { event: EventName::Acked, of: "shop".into(), count: 3 };
    assert_eq!(billing.start, start);
    assert_eq!(plan.groups["audit"].members, ["audit/1"]);
    let seek: Vec<_> = plan.readers["look"].seek.values().copied().collect();
    assert_eq!(seek, [SeekTo::Offset(5), SeekTo::End]);
}

#[test]
fn steps_and_expectations_are_read_whole() {
    let plan = load(GOOD).unwrap().plan;
    let trigger = |index: usize| plan.steps[index].trigger.clone();
    assert_eq!(trigger(0), Trigger::At(Span::from_millis(1500)));
    assert!(
        matches!(&plan.steps[0].action, Action::PowerLoss { node: NodeRef::Leader(of) } if of.to_string() == "orders-0")
    );
    assert_eq!(trigger(1), Trigger::After { step: "kill".into(), wait: Span::from_millis(2000) });
    assert!(
        matches!(trigger(2), Trigger::When { count: 2, after: Some(after), .. } if after == "kill")
    );
    assert!(
        matches!(&plan.steps[2].action, Action::Delay { links: Links::Some(links), .. } if links.len() == 2)
    );
    assert!(matches!(&plan.steps[3].action, Action::Sever { links: Links::All, .. }));
    assert!(matches!(&plan.steps[4].action, Action::Hold { links: Links::Of(_), lasts: None }));
    assert!(matches!(&plan.steps[5].action, Action::Skew { by_ms: -90_000, .. }));
    assert!(matches!(
        &plan.expectations[0],
        Expectation::Guarantee { over: Tolerance::Rate(share), count: Some(Comparison::AtLeast(1)), .. }
            if *share == 0.25
    ));
    assert!(matches!(&plan.expectations[2], Expectation::Fact { is: Comparison::Equal(0), .. }));
}

#[test]
fn a_variant_lies_over_the_base() {
    let scenario = load(GOOD).unwrap();
    let variant = &scenario.variants[0];
    assert_eq!(variant.id, "patient");
    let (base, changed) = (&scenario.plan, &variant.plan);
    assert_eq!(
        changed.groups["billing"].app.steps,
        [LoopStep::Poll, LoopStep::Process, LoopStep::Commit]
    );
    assert_eq!(changed.groups["billing"].config["max.poll.interval.ms"], "600000");
    assert_eq!(changed.groups["billing"].config["enable.auto.commit"], "false");
    assert_eq!(changed.run.end, End::Quiet);
    assert_eq!(changed.steps.len(), base.steps.len() + 1);
    assert_eq!(changed.expectations.len(), 1);
}

#[test]
fn a_variant_without_expectations_keeps_those_of_the_base() {
    let text = GOOD.split("[[variant.expect]]").next().unwrap();
    let scenario = load(text).unwrap();
    assert_eq!(scenario.variants[0].plan.expectations, scenario.plan.expectations);
}

#[test]
fn the_command_line_has_the_last_word() {
    let sets = [
        "producers.shop.config.acks=all",
        "run.end = \"10s\"",
        "topics.\"audit.log\".config.segment.bytes=2048",
    ]
    .map(str::to_owned);
    let scenario = Scenario::load("test", "test.toml", GOOD, &sets)
        .unwrap_or_else(|problems| panic!("{problems}"));
    for plan in [&scenario.plan, &scenario.variants[0].plan] {
        assert_eq!(plan.producers["shop"].config["acks"], "all");
        assert_eq!(plan.run.end, End::At(Span::from_millis(10_000)));
        assert_eq!(plan.topics["audit.log"].config["segment.bytes"], "2048");
    }
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_are_accepted() {
    let dos = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(load(&dos).unwrap().plan, load(GOOD).unwrap().plan);
    assert!(Scenario::load_bytes("test", "test.toml", dos.as_bytes(), &[]).is_ok());
}

const CLUSTER: &str = r#"scenario = 1
title = "a cluster"
[cluster]
brokers = 3
[topics.orders]
partitions = 2
replication-factor = 3
[producers.shop]
topic = "orders"
records = 10
every = "5ms"
[[step]]
at = "1s"
do = "add-broker"
node = "b4"
rack = "c"
[[step]]
at = "2s"
do = "reassign"
partition = "orders-0"
replicas = ["b4", "b1"]
[[step]]
at = "3s"
do = "add-partitions"
topic = "orders"
partitions = 4
[[step]]
at = "3s"
do = "alter-config"
topic = "orders"
say = "less is enough"
[step.config]
min.insync.replicas = 1
retention.ms = 60000
[[step]]
id = "cut"
when = "appended"
of = "orders-3"
do = "sever"
links = ["leader:orders-3 -> followers:orders-3"]
[[step]]
at = "9s"
do = "elect"
partition = "orders-1"
election = "unclean"
[[step]]
at = "9s"
do = "crash"
node = "voters"
[[expect]]
guarantee = "partition-order"
of = "orders"
verdict = "holds"
[[variant]]
id = "apart"
[variant.set.cluster]
controllers = { apart = 3 }
[[variant.step]]
at = "4s"
do = "alter-config"
topic = "orders"
config.min.insync.replicas = 2
[[variant.step]]
at = "5s"
do = "pause"
node = "c2"
"#;

#[test]
fn a_cluster_has_controllers_replicas_and_an_operator() {
    let scenario = load(CLUSTER).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = &scenario.plan;
    assert_eq!(plan.cluster.controllers, Controllers::Combined(3));
    assert_eq!(plan.topics["orders"].replication_factor, 3);
    assert_eq!(plan.added_brokers(), [("b4", Some("c"))]);
    let Action::AlterConfig { config, .. } = &plan.steps[3].action else { panic!("no alteration") };
    let config: Vec<_> = config.iter().map(|(name, value)| (&**name, &**value)).collect();
    let set = [("min.insync.replicas", "1"), ("retention.ms", "60000")];
    assert_eq!(config, set);
    assert!(matches!(
        &plan.steps[4].action,
        Action::Sever { links: Links::Some(links), .. }
            if matches!(&links[0], Link { from: NodeRef::Leader(_), to: NodeRef::Followers(_), both_ways: false })
    ));
    let apart = &scenario.variants[0].plan;
    assert_eq!(apart.cluster.controllers, Controllers::Apart(3));
    assert_eq!(apart.cluster.controllers.names().collect::<Vec<_>>(), ["c1", "c2", "c3"]);
    assert!(matches!(
        &apart.steps[7].action,
        Action::AlterConfig { config, .. } if config["min.insync.replicas"] == "2"
    ));
    for plan in [plan, apart] {
        let text = crate::testbed::scenario::to_toml(plan);
        let again = load(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(again.plan.steps, plan.steps, "{text}");
    }
}

#[test]
fn a_variant_goes_without_steps_of_the_base() {
    let text = CLUSTER.replace("id = \"apart\"", "id = \"apart\"\nwithout = [\"cut\"]");
    let scenario = load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let cuts = |plan: &Plan| plan.steps.iter().any(|step| step.id.as_deref() == Some("cut"));
    assert!(cuts(&scenario.plan) && !cuts(&scenario.variants[0].plan));
    let steps = |plan: &Plan| plan.steps.len();
    assert_eq!(steps(&scenario.variants[0].plan), steps(&scenario.plan) - 1 + 2);
}

#[test]
fn where_a_file_names_no_controllers_the_first_brokers_are() {
    let voters = |brokers: u32| {
        let text = CLUSTER.replace("brokers = 3", &format!("brokers = {brokers}"));
        let text = text
            .replace("replication-factor = 3\n", "")
            .replace("b4", &format!("b{}", brokers + 1));
        let scenario = load(&text).unwrap_or_else(|problems| panic!("{problems}"));
        scenario.plan.cluster.controllers
    };
    let combined = |count| Controllers::Combined(count);
    let usual: Vec<_> = [1, 2, 3, 4, 5, 9].map(voters).into();
    assert_eq!(usual, [1, 1, 3, 3, 5, 5].map(combined));
}

#[test]
fn a_variant_or_the_command_line_brings_a_behaviour_back() {
    let text = CLUSTER.replace(
        "[[variant.step]]\nat = \"4s\"",
        "[variant.set.behaviour]\ntruncation = \"high-watermark\"\n[[variant.step]]\nat = \"4s\"",
    );
    let changed = |plan: &Plan| -> Vec<_> {
        plan.behaviour.changed().map(|(switch, choice)| (switch.key, choice.name)).collect()
    };
    let scenario = load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(changed(&scenario.plan), []);
    assert_eq!(changed(&scenario.variants[0].plan), [("truncation", "high-watermark")]);
    let set = ["behaviour.quorum-flush=never".to_owned()];
    let scenario = Scenario::load("test", "test.toml", &text, &set);
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(changed(&scenario.plan), [("quorum-flush", "never")]);
    let both = [("truncation", "high-watermark"), ("quorum-flush", "never")];
    assert_eq!(changed(&scenario.variants[0].plan), both);
}
