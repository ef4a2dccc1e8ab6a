//! Consumers that read from a follower in their rack, while it is there (KIP-392).

use super::test_plans::{passing, plan_of};
use crate::testbed::history::EventKind;

const NEAR: &str = r#"
scenario = 1
title = "near"
[run]
end = "60s"
limit = "5m"
[cluster]
brokers = 3
racks = ["north", "east", "south"]
[cluster.config]
offsets.topic.num.partitions = 1
replica.selector.class = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
[topics.orders]
replicas = [["b1", "b2", "b3"]]
[producers.shop]
topic = "orders"
records = 400
every = "100ms"
[groups.near]
topics = ["orders"]
[groups.near.app]
loop = ["poll", "process", "commit"]
[groups.near.config]
enable.auto.commit = false
auto.offset.reset = "earliest"
client.rack = "south"
[[step]]
id = "kill"
when = "polled"
of = "near"
count = 20
do = "crash"
node = "b3"
[[step]]
after = "kill"
wait = "20s"
do = "restart"
node = "b3"
[[expect]]
guarantee = "processed-exactly-once"
of = "near"
verdict = "holds"
[[expect]]
guarantee = "committed-reads-stable"
of = "near"
verdict = "holds"
[[expect]]
fact = "sent-to-follower"
of = "near"
is = ">= 2"
[[expect]]
fact = "delivered"
of = "near"
is = "400"
"#;

#[test]
fn a_consumer_reads_from_the_follower_in_its_rack_and_from_the_leader_without_one() {
    let trial = passing(&plan_of(NEAR));
    let events = &trial.history.events;
    let stopped = |kind: &EventKind| matches!(kind, EventKind::MachineStopped { .. });
    let crash = events.iter().position(|event| &*event.node == "b3" && stopped(&event.kind));
    let (before, after) = events.split_at(crash.unwrap());
    let sent = |events: &[crate::testbed::history::Event]| -> Vec<String> {
        let broker = |kind: &EventKind| match kind {
            EventKind::ReadsFrom { broker, .. } => Some(broker.to_string()),
            _ => None,
        };
        events.iter().filter_map(|event| broker(&event.kind)).collect()
    };
    assert_eq!(sent(before), ["b3"]);
    assert!(!sent(after).is_empty() && sent(after).iter().all(|broker| broker == "b3"));
}
