//! The first campaign: whatever happens to machines, network and disks, safe settings keep their word.
//!
//! Cluster, topics, loops, settings and faults are drawn; what is expected follows from the settings
//! drawn, by the rules in `claims`.

use indexmap::IndexMap;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    draw::Campaign,
    faults::{Kinds, Targets, faults, kinds},
};
use crate::testbed::{
    checker::Reached,
    plan::{
        App, AwaitSend, ClientFlavour, ClusterPlan, ConfigMap, Controllers, EffectKind, End,
        Expectation, ExpectedVerdict, GroupPlan, Guarantee, LoopStep, NetworkPlan, OnError,
        OnSendError, Plan, ProducerApp, ProducerExit, ProducerPlan, RunPlan, Span, SpanRange,
        SpanShape, Start, TextTemplate, Tolerance, TopicPlan,
    },
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

fn plans() -> impl Strategy<Value = Plan> {
    (1..=3u32, kinds(), vec(topic(), 1..=2), any::<bool>()).prop_flat_map(
        |(brokers, kinds, topics, small_segments)| {
            let topic_count = topics.len();
            let producers = vec(producer(topic_count), 1..=3);
            let groups = vec(group(topic_count), 1..=2);
            (Just((brokers, kinds, topics, small_segments)), producers, groups).prop_flat_map(
                |((brokers, kinds, topics, small_segments), producers, groups)| {
                    let plan = assemble(brokers, kinds, small_segments, topics, producers, groups);
                    let steps = faults(kinds, &targets(&plan), LOAD_MS);
                    (Just(plan), steps).prop_map(|(plan, steps)| Plan { steps, ..plan })
                },
            )
        },
    )
}

fn topic() -> impl Strategy<Value = TopicPlan> {
    (1..=6u32).prop_map(|partitions| TopicPlan {
        partitions,
        replication_factor: 1,
        replicas: None,
        config: ConfigMap::new(),
    })
}

fn producer(topics: usize) -> impl Strategy<Value = ProducerPlan> {
    let settings = select(vec![
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
    ]);
    let keys = select(vec![None, Some("k{i%7}"), Some("k{i%100}")]);
    let awaits = select(vec![AwaitSend::None, AwaitSend::None, AwaitSend::Each]);
    (0..topics, 1..=300u64, 0..=60u64, keys, awaits, settings, 0..=2_000u64).prop_map(
        |(topic, records, every, key, await_send, config, start)| ProducerPlan {
            topic: topic_name(topic),
            records,
            every: up_to(every),
            key: key.map(|key| TextTemplate(key.into())),
            value: TextTemplate("{i}".into()),
            partition: None,
            client: ClientFlavour::Java,
            start: Start::At(Span::from_millis(start)),
            app: ProducerApp {
                flush: true,
                await_send,
                on_error: OnSendError::Ignore,
                exit: ProducerExit::Close,
            },
            config,
        },
    )
}

/// Loops that keep a guarantee, with the setting each needs.
fn loops() -> Vec<(Vec<LoopStep>, bool)> {
    use LoopStep::{Commit, CommitAsync, Poll, Process, ProcessThenCommitRecord};
    vec![
        (vec![Poll, Process, Commit], false),
        (vec![Poll, Process, CommitAsync], false),
        (vec![Poll, ProcessThenCommitRecord], false),
        (vec![Poll, Commit, Process], false),
        (vec![Poll, Process], true),
    ]
}

fn group(topics: usize) -> impl Strategy<Value = GroupPlan> {
    let effect = select(vec![EffectKind::Append, EffectKind::Upsert]);
    (
        vec(0..topics, 1..=topics),
        1..=4usize,
        select(loops()),
        0..=8u64,
        effect,
        select(vec!["1", "5", "500"]),
        select(vec!["3000", "60000"]),
        0..=3_000u64,
    )
        .prop_map(
            |(
                topics,
                members,
                (steps, auto_commit),
                process,
                effect,
                batch,
                poll_interval,
                start,
            )| {
                let mut topics: Vec<_> = topics.into_iter().map(topic_name).collect();
                topics.sort_unstable();
                topics.dedup();
                let auto_commit = if auto_commit { "true" } else { "false" };
                GroupPlan {
                    topics,
                    members: (1..=members).map(|member| member.to_string()).collect(),
                    client: ClientFlavour::Java,
                    start: Start::At(Span::from_millis(start)),
                    app: App {
                        steps,
                        process: up_to(process),
                        workers: 1,
                        effect,
                        on_error: OnError::PollAgain,
                    },
                    config: config(&[
                        ("enable.auto.commit", auto_commit),
                        ("auto.commit.interval.ms", "1000"),
                        ("auto.offset.reset", "earliest"),
                        ("max.poll.records", batch),
                        ("max.poll.interval.ms", poll_interval),
                        ("session.timeout.ms", "6000"),
                        ("heartbeat.interval.ms", "1000"),
                    ]),
                }
            },
        )
}

fn topic_name(index: usize) -> String {
    ["orders", "payments"][index].into()
}

fn up_to(millis: u64) -> SpanRange {
    SpanRange { min: Span::default(), max: Span::from_millis(millis), shape: SpanShape::Uniform }
}

fn config(pairs: &[(&str, &str)]) -> ConfigMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn assemble(
    brokers: u32,
    kinds: Kinds,
    small_segments: bool,
    topics: Vec<TopicPlan>,
    producers: Vec<ProducerPlan>,
    groups: Vec<GroupPlan>,
) -> Plan {
    let mut cluster = config(&[
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "500"),
    ]);
    if kinds.power_losses {
        // With one replica only the disk can keep an acknowledged record.
        cluster.insert("log.flush.interval.messages".into(), "1".into());
    }
    if small_segments {
        cluster.insert("log.segment.bytes".into(), "4096".into());
    }
    let named = |prefix: &str, index: usize| format!("{prefix}{}", index + 1);
    let groups = groups.into_iter().enumerate().map(|(index, group)| {
        let name = named("group", index);
        let members = group.members.iter().map(|member| format!("{name}/{member}")).collect();
        (name, GroupPlan { members, ..group })
    });
    let mut plan = Plan {
        name: String::new(),
        title: "a drawn plan".into(),
        kafka: "4.1".into(),
        run: RunPlan {
            seed: 0,
            end: End::At(Span::from_millis(LOAD_MS)),
            limit: Span::from_millis(600_000),
        },
        network: NetworkPlan {
            latency: SpanRange {
                min: Span::from_millis(1),
                max: Span::from_millis(4),
                shape: SpanShape::Uniform,
            },
            loss: 0.0,
        },
        cluster: ClusterPlan {
            brokers,
            controllers: Controllers::usual(brokers),
            racks: Vec::new(),
            config: cluster,
        },
        behaviour: Default::default(),
        topics: topics.into_iter().enumerate().map(|(i, topic)| (topic_name(i), topic)).collect(),
        producers: (0..).zip(producers).map(|(i, p)| (named("producer", i), p)).collect(),
        groups: groups.collect(),
        readers: IndexMap::new(),
        steps: Vec::new(),
        expectations: Vec::new(),
        ignored: Vec::new(),
    };
    plan.expectations = claims(&plan);
    plan
}

fn targets(plan: &Plan) -> Targets {
    Targets {
        brokers: (1..=plan.cluster.brokers).map(|broker| format!("b{broker}")).collect(),
        members: plan.groups.values().flat_map(|group| group.members.clone()).collect(),
        producers: plan.producers.keys().cloned().collect(),
    }
}

/// What the drawn settings promise.
fn claims(plan: &Plan) -> Vec<Expectation> {
    let mut claims = Vec::new();
    let mut claim = |guarantee, of: &str| {
        claims.push(Expectation::Guarantee {
            guarantee,
            of: of.into(),
            verdict: ExpectedVerdict::Holds,
            records: None,
            count: None,
            cause: None,
            over: Tolerance::EverySeed,
            say: None,
        });
    };
    let is = |config: &ConfigMap, name: &str, value: &str| {
        config.get(name).is_some_and(|given| given == value)
    };
    let writers = |topic: &str| {
        let topic = topic.to_owned();
        plan.producers.values().filter(move |producer| producer.topic == topic)
    };
    let idempotent = |producer: &ProducerPlan| !is(&producer.config, "enable.idempotence", "false");
    for topic in plan.topics.keys() {
        claim(Guarantee::OffsetsAgree, topic);
        if writers(topic).count() == 0 {
            continue;
        }
        let one_in_flight = |producer: &ProducerPlan| {
            is(&producer.config, "max.in.flight.requests.per.connection", "1")
        };
        if writers(topic).all(idempotent) {
            claim(Guarantee::NoDuplicateAppend, topic);
        }
        if writers(topic).all(|producer| idempotent(producer) || one_in_flight(producer)) {
            claim(Guarantee::PartitionOrder, topic);
        }
    }
    for name in plan.producers.keys() {
        claim(Guarantee::AckedRecordsSurvive, name);
    }
    for (name, group) in &plan.groups {
        let commits_first = group.app.steps.get(1) == Some(&LoopStep::Commit);
        if commits_first {
            claim(Guarantee::ProcessedAtMostOnce, name);
        } else {
            claim(Guarantee::ProcessedAtLeastOnce, name);
            claim(Guarantee::NoCommitPassesUnprocessed, name);
            claim(Guarantee::LagDrains, name);
            // A retry that is not recognised puts a record where no upsert finds it again.
            let single = group.topics.iter().all(|topic| writers(topic).all(idempotent));
            match group.app.effect {
                EffectKind::Upsert if single => claim(Guarantee::EffectExactlyOnce, name),
                EffectKind::Upsert => claim(Guarantee::EffectAtLeastOnce, name),
                _ => {}
            }
        }
        for guarantee in [Guarantee::MonotonePolls, Guarantee::OneOwner, Guarantee::GroupSettles] {
            claim(guarantee, name);
        }
    }
    claims
}
