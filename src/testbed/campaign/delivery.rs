//! The first campaign: whatever happens to machines, network and disks, safe settings keep their word.
//!
//! Cluster, topics, loops, settings and faults are drawn; what is expected follows from the settings
//! drawn, by the rules in `claims.rs`.

use proptest::{collection::vec, prelude::*};

use super::{
    actors::{config, group, named_groups, named_producers, producer, topic_name},
    blank::{blank, topic},
    claims::claims,
    draw::Campaign,
    faults::{Kinds, Targets, faults, kinds},
};
use crate::testbed::{
    checker::Reached,
    plan::{ClusterPlan, ConfigMap, Controllers, GroupPlan, Plan, ProducerPlan, TopicPlan},
};

pub const DELIVERY: Campaign = Campaign {
    name: "delivery",
    claim: "safe settings keep their delivery guarantees under crashes, power losses, pauses and a bad network",
    strategy: || plans().boxed(),
    must_reach: &[
        Reached::MemberKilledBetweenProcessingAndCommit,
        Reached::RetryWasDuplicate,
        Reached::RecoveryCutTornTail,
        Reached::RebalanceWithRecordsInHand,
        Reached::CommitRejected,
        Reached::CoordinatorReloaded,
        Reached::SendOutcomeUnknown,
        Reached::PollTimeout,
        Reached::DeliveredTwice,
    ],
};

/// Milliseconds of load and faults before everything heals.
const LOAD_MS: u64 = 20_000;
const LATENCY_MS: u64 = 4;

fn plans() -> impl Strategy<Value = Plan> {
    (
        1..=3u32,
        kinds(),
        vec((1..=6u32).prop_map(|partitions| topic(partitions, 1)), 1..=2),
        any::<bool>(),
    )
        .prop_flat_map(|(brokers, kinds, topics, small_segments)| {
            let topic_count = topics.len();
            let producers = vec(producer(topic_count, settings()), 1..=3);
            let groups = vec(group(topic_count), 1..=2);
            (Just((brokers, kinds, topics, small_segments)), producers, groups).prop_flat_map(
                |((brokers, kinds, topics, small_segments), producers, groups)| {
                    let plan = assemble(brokers, kinds, small_segments, topics, producers, groups);
                    let steps = faults(kinds, &targets(&plan), LOAD_MS);
                    (Just(plan), steps).prop_map(|(plan, steps)| Plan { steps, ..plan })
                },
            )
        })
}

fn settings() -> Vec<ConfigMap> {
    vec![
        // The defaults: idempotent, acks=all.
        config(&[]),
        config(&[("linger.ms", "0"), ("max.in.flight.requests.per.connection", "1")]),
        config(&[("linger.ms", "50"), ("batch.size", "512")]),
        config(&[("enable.idempotence", "false")]),
        config(&[
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("max.in.flight.requests.per.connection", "1"),
        ]),
        config(&[("request.timeout.ms", "1000"), ("delivery.timeout.ms", "5000")]),
    ]
}

fn assemble(
    brokers: u32,
    kinds: Kinds,
    small_segments: bool,
    topics: Vec<TopicPlan>,
    producers: Vec<ProducerPlan>,
    groups: Vec<GroupPlan>,
) -> Plan {
    let mut config = config(&[
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "500"),
    ]);
    if kinds.power_losses {
        // With one replica only the disk can keep an acknowledged record.
        config.insert("log.flush.interval.messages".into(), "1".into());
    }
    if small_segments {
        config.insert("log.segment.bytes".into(), "4096".into());
    }
    let cluster = ClusterPlan {
        brokers,
        controllers: Controllers::usual(brokers),
        racks: Vec::new(),
        config,
    };
    let mut plan = Plan {
        topics: topics.into_iter().enumerate().map(|(i, topic)| (topic_name(i), topic)).collect(),
        producers: named_producers(producers),
        groups: named_groups(groups),
        ..blank("a drawn plan", cluster, LOAD_MS, LATENCY_MS)
    };
    plan.expectations = claims(&plan, &[]);
    plan
}

fn targets(plan: &Plan) -> Targets {
    Targets {
        brokers: (1..=plan.cluster.brokers).map(|broker| format!("b{broker}")).collect(),
        members: plan.groups.values().flat_map(|group| group.members.clone()).collect(),
        producers: plan.producers.keys().cloned().collect(),
    }
}
