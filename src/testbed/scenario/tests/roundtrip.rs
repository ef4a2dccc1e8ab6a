//! Plans written and read again.

use indexmap::IndexMap;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::fixture::{GOOD, load};
use crate::{
    kafka::{
        behaviour::{Behaviour, switches},
        types::{Offset, TopicPartition},
    },
    testbed::{
        plan::{
            Action, App, AwaitSend, Cause, ClientFlavour, ClusterPlan, Comparison, ConfigMap,
            Controllers, EffectKind, ElectionType, End, EventName, Expectation, ExpectedVerdict,
            FactKind, GroupPlan, Guarantee, Link, Links, LoopStep, NetworkPlan, NodeRef, OnError,
            OnSendError, Plan, ProducerApp, ProducerExit, ProducerPlan, ReaderPlan, RecordAt,
            RunPlan, SeekTo, Span, SpanRange, SpanShape, Start, Step, TextTemplate, Tolerance,
            TopicPlan, Trigger,
        },
        scenario::{Scenario, to_toml},
    },
};

fn config(pairs: &[(&str, &str)]) -> ConfigMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(partition: i32, offset: i64) -> RecordAt {
    RecordAt { partition: TopicPartition::new("orders", partition), offset: Offset(offset) }
}

/// Any text, quotes and line ends included.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just("\"'''\"\"\"\r\n\t\\".to_owned()), Just(String::new())]
}

fn span() -> impl Strategy<Value = Span> + Clone {
    prop_oneof![0..=50_000u64, (0..=50u64).prop_map(|s| s * 1000)].prop_map(Span::from_millis)
}

fn range() -> impl Strategy<Value = SpanRange> {
    let shape = select(vec![SpanShape::Uniform, SpanShape::Exponential]);
    (0..50u64, 0..50u64, shape).prop_map(|(min, more, shape)| SpanRange {
        min: Span::from_millis(min),
        max: Span::from_millis(min + more),
        shape,
    })
}

fn node() -> impl Strategy<Value = NodeRef> {
    let name = |name: &str| NodeRef::Name(name.to_owned());
    select(vec![
        name("b1"),
        name("b2"),
        name("shop"),
        name("billing/1"),
        name("look"),
        NodeRef::Controller,
        NodeRef::Coordinator("billing".into()),
        NodeRef::Leader(TopicPartition::new("orders", 1)),
        NodeRef::Follower(TopicPartition::new("orders", 1)),
        NodeRef::Followers(TopicPartition::new("orders", 1)),
        NodeRef::Isr(TopicPartition::new("audit.log", 0)),
        NodeRef::Standby,
        NodeRef::Voters,
        NodeRef::Step("step-0".into()),
    ])
}

fn links() -> impl Strategy<Value = Links> {
    let link = (any::<bool>(), any::<bool>()).prop_map(|(both_ways, back)| {
        let (shop, b2) = (NodeRef::Name("shop".into()), NodeRef::Name("b2".into()));
        let (from, to) = if back { (b2, shop) } else { (shop, b2) };
        Link { from, to, both_ways }
    });
    prop_oneof![Just(Links::All), node().prop_map(Links::Of), vec(link, 1..3).prop_map(Links::Some),]
}

fn action() -> impl Strategy<Value = Action> {
    let lasts = || option::of(span());
    let broker = || select(vec![NodeRef::Name("b2".into()), NodeRef::Controller]);
    let member = || Just(NodeRef::Name("billing/1".into()));
    prop_oneof![
        node().prop_map(|node| Action::Crash { node }),
        node().prop_map(|node| Action::PowerLoss { node }),
        node().prop_map(|node| Action::Restart { node }),
        broker().prop_map(|node| Action::ShutDown { node }),
        (node(), lasts()).prop_map(|(node, lasts)| Action::Pause { node, lasts }),
        node().prop_map(|node| Action::Resume { node }),
        (member(), span()).prop_map(|(node, lasts)| Action::Stall { node, lasts }),
        member().prop_map(|node| Action::Throw { node }),
        select(vec!["shop", "billing", "billing/1", "look"])
            .prop_map(|actor| Action::Stop { actor: actor.into() }),
        (links(), lasts()).prop_map(|(links, lasts)| Action::Sever { links, lasts }),
        (links(), lasts()).prop_map(|(links, lasts)| Action::Hold { links, lasts }),
        (links(), span(), lasts()).prop_map(|(links, by, lasts)| Action::Delay {
            links,
            by,
            lasts
        }),
        links().prop_map(|links| Action::Reset { links }),
        links().prop_map(|links| Action::Heal { links }),
        (broker(), span(), lasts()).prop_map(|(node, by, lasts)| Action::SlowDisk {
            node,
            by,
            lasts
        }),
        (broker(), lasts()).prop_map(|(node, lasts)| Action::FullDisk { node, lasts }),
        (broker(), lasts()).prop_map(|(node, lasts)| Action::LyingDisk { node, lasts }),
        broker().prop_map(|node| Action::WipeDisk { node }),
        broker().prop_map(|node| Action::HealDisk { node }),
        (node(), -100_000..100_000i64).prop_map(|(node, by_ms)| Action::Skew { node, by_ms }),
        order(),
        Just(Action::Note),
    ]
}

/// What an operator does.
fn order() -> impl Strategy<Value = Action> {
    let partition = || (0..2i32).prop_map(|number| TopicPartition::new("orders", number));
    let replicas = select(vec![vec!["b2".to_owned()], vec!["b2".to_owned(), "b1".to_owned()]]);
    let election = select(vec![ElectionType::Preferred, ElectionType::Unclean]);
    let configs = select(vec![
        config(&[("min.insync.replicas", "2")]),
        config(&[("cleanup.policy", "compact,delete"), ("retention.ms", "60000")]),
    ]);
    prop_oneof![
        (1..9u32, option::of(1..3u32)).prop_map(|(partitions, replication_factor)| {
            Action::CreateTopic { topic: "new".into(), partitions, replication_factor }
        }),
        Just(Action::DeleteTopic { topic: "audit.log".into() }),
        (3..9u32)
            .prop_map(|partitions| Action::AddPartitions { topic: "orders".into(), partitions }),
        configs.prop_map(|config| Action::AlterConfig { topic: "orders".into(), config }),
        (partition(), replicas)
            .prop_map(|(partition, replicas)| Action::Reassign { partition, replicas }),
        partition().prop_map(|partition| Action::CancelReassignment { partition }),
        (option::of(partition()), election)
            .prop_map(|(partition, election)| Action::Elect { partition, election }),
    ]
}

/// Some of what Kafka once did.
fn behaviour() -> impl Strategy<Value = Behaviour> {
    let switch = (0..switches().len(), any::<prop::sample::Index>());
    vec(switch, 0..4).prop_map(|chosen| {
        let mut behaviour = Behaviour::default();
        for (switch, choice) in chosen {
            let switch = &switches()[switch];
            behaviour.set(switch.key, choice.get(switch.choices).name).expect("names of the list");
        }
        behaviour
    })
}

/// Combined controllers, or some apart.
fn controllers(brokers: u32) -> impl Strategy<Value = Controllers> {
    let combined = Controllers::COUNTS.into_iter().filter(move |count| *count <= brokers);
    let combined: Vec<_> = combined.map(Controllers::Combined).collect();
    let apart = Controllers::COUNTS.into_iter().map(Controllers::Apart);
    select(combined.into_iter().chain(apart).collect::<Vec<_>>())
}

/// Triggers that refer to the step before, if there is one.
fn trigger(index: usize) -> BoxedStrategy<Trigger> {
    let before = index.checked_sub(1).map(|index| format!("step-{index}"));
    let of = vec![
        (EventName::Acked, "shop", false),
        (EventName::Appended, "orders-1", true),
        (EventName::Processed, "billing/1", true),
        (EventName::Rebalanced, "billing", false),
        (EventName::Polled, "look", true),
    ];
    let when = (select(of), 1..9u64, any::<bool>(), any::<bool>(), any::<bool>());
    let earlier = before.clone();
    let when =
        when.prop_map(move |((event, of, records), count, named, record, after)| Trigger::When {
            event,
            of: named.then(|| of.to_owned()),
            record: (record && records).then(|| at(0, 3)),
            count,
            after: earlier.clone().filter(|_| after),
        });
    let at = span().prop_map(Trigger::At);
    match before {
        None => prop_oneof![at, when].boxed(),
        Some(step) => {
            let after = span().prop_map(move |wait| Trigger::After { step: step.clone(), wait });
            prop_oneof![at, when, after].boxed()
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = |index: usize| {
        (trigger(index), action(), option::of(words())).prop_map(move |(trigger, action, say)| {
            Step { id: Some(format!("step-{index}")), trigger, action, say }
        })
    };
    (1..5usize).prop_flat_map(move |count| (0..count).map(step).collect::<Vec<_>>())
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        any::<i64>().prop_map(Comparison::Equal),
        any::<i64>().prop_map(Comparison::AtLeast),
        any::<i64>().prop_map(Comparison::AtMost),
    ]
}

fn over() -> impl Strategy<Value = Tolerance> {
    prop_oneof![
        Just(Tolerance::EverySeed),
        Just(Tolerance::SomeSeed),
        (0.0..=1.0).prop_map(Tolerance::Rate),
    ]
}

fn expectation() -> impl Strategy<Value = Expectation> {
    let guarantees = select(vec![
        (Guarantee::ProcessedAtLeastOnce, "billing"),
        (Guarantee::OffsetsAgree, "orders"),
        (Guarantee::PartitionOrder, "orders-1"),
        (Guarantee::AckedRecordsSurvive, "shop"),
    ]);
    let violated = (
        option::of(vec(
            (0..2i32, 0..99i64).prop_map(|(partition, offset)| at(partition, offset)),
            0..4,
        )),
        option::of(comparison()),
        option::of(select(vec![Cause::Resent, Cause::CommittedBeforeProcessing])),
    );
    let guarantee = (guarantees, option::of(violated), over(), option::of(words()));
    let guarantee = guarantee.prop_map(|((guarantee, of), violated, over, say)| {
        let holds = violated.is_none();
        let (records, count, cause) = violated.unwrap_or_default();
        let verdict = if holds { ExpectedVerdict::Holds } else { ExpectedVerdict::Violated };
        Expectation::Guarantee {
            guarantee,
            of: of.into(),
            verdict,
            records,
            count,
            cause,
            over,
            say,
        }
    });
    let facts = select(vec![
        (FactKind::Committed, "billing orders-1", None),
        (FactKind::Error, "look", Some("TimeoutException".to_owned())),
        (FactKind::LogEnd, "audit.log-0", None),
        (FactKind::Retries, "shop", None),
    ]);
    let fact = (facts, comparison(), over(), option::of(words()));
    let fact = fact.prop_map(|((fact, of, name), is, over, say)| Expectation::Fact {
        fact,
        of: of.into(),
        name,
        is,
        after: None,
        over,
        say,
    });
    prop_oneof![guarantee, fact]
}

fn start() -> impl Strategy<Value = Start> {
    let when = (1..9u64).prop_map(|count| Start::When {
        event: EventName::Processed,
        of: "billing".into(),
        count,
    });
    prop_oneof![span().prop_map(Start::At), when]
}

fn app() -> impl Strategy<Value = App> {
    let loops = select(vec![
        vec![LoopStep::Poll, LoopStep::Process, LoopStep::Commit],
        vec![LoopStep::Poll, LoopStep::ProcessThenCommitRecord],
        vec![LoopStep::Poll, LoopStep::HandOff, LoopStep::CommitAsync],
    ]);
    let effect = select(vec![EffectKind::Append, EffectKind::Upsert, EffectKind::None]);
    let on_error = select(vec![OnError::Crash, OnError::Close, OnError::Skip, OnError::Retry]);
    (loops, range(), 1..9u32, effect, on_error).prop_map(
        |(steps, process, workers, effect, on_error)| {
            let workers = if steps.contains(&LoopStep::HandOff) { workers } else { 1 };
            App { steps, process, workers, effect, on_error }
        },
    )
}

fn flavour() -> impl Strategy<Value = ClientFlavour> {
    select(vec![ClientFlavour::Java, ClientFlavour::KafkaPython, ClientFlavour::Librdkafka])
}

fn producer() -> impl Strategy<Value = ProducerPlan> {
    let configs = select(vec![
        config(&[]),
        config(&[("acks", "1"), ("linger.ms", "0"), ("compression.type", "none")]),
    ]);
    let app = (
        any::<bool>(),
        select(vec![AwaitSend::Each, AwaitSend::None]),
        select(vec![OnSendError::Ignore, OnSendError::Stop, OnSendError::Resend]),
        select(vec![ProducerExit::Close, ProducerExit::Abandon]),
    )
        .prop_map(|(flush, await_send, on_error, exit)| ProducerApp {
            flush,
            await_send,
            on_error,
            exit,
        });
    let texts = (option::of(words()), words());
    (100..1000u64, range(), texts, option::of(0..2i32), flavour(), start(), app, configs).prop_map(
        |(records, every, (key, value), partition, client, start, app, config)| ProducerPlan {
            topic: "orders".into(),
            records,
            every,
            key: key.map(TextTemplate),
            value: TextTemplate(value),
            partition,
            client,
            start,
            app,
            config,
        },
    )
}

fn group() -> impl Strategy<Value = GroupPlan> {
    let members = select(vec![
        vec!["billing/1"],
        vec!["billing/1", "billing/2"],
        vec!["billing/x", "billing/1"],
    ]);
    let config = config(&[
        ("enable.auto.commit", "false"),
        ("partition.assignment.strategy", "range,roundrobin"),
        ("max.poll.records", "5"),
    ]);
    (members, flavour(), app()).prop_map(move |(members, client, app)| GroupPlan {
        topics: vec!["orders".into(), "audit.log".into()],
        members: members.into_iter().map(str::to_owned).collect(),
        client,
        start: Start::At(Span::from_millis(10)),
        app,
        config: config.clone(),
    })
}

fn reader() -> impl Strategy<Value = ReaderPlan> {
    let seek = select(vec![SeekTo::Beginning, SeekTo::End, SeekTo::Offset(7)]);
    let group = option::of(Just("looking".to_owned()));
    (option::of(seek), group, flavour(), start(), app()).prop_map(
        |(seek, group_id, client, start, app)| {
            let partition = TopicPartition::new("audit.log", 0);
            ReaderPlan {
                assign: vec![partition.clone(), TopicPartition::new("orders", 1)],
                seek: seek.map(|to| (partition, to)).into_iter().collect(),
                group_id,
                client,
                start,
                app,
                config: ConfigMap::new(),
            }
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let brokers = (2..=14u32).prop_flat_map(|brokers| (Just(brokers), controllers(brokers)));
    let world = (words(), 0..=i64::MAX as u64, any::<bool>(), range(), 0.0..1.0f64, brokers);
    let actors = (producer(), group(), reader());
    let steps = (steps(), option::of(option::of(words())));
    (world, (any::<bool>(), behaviour()), actors, steps, vec(expectation(), 1..4)).prop_map(
        |(
            (title, seed, quiet, latency, loss, brokers),
            (placed, behaviour),
            actors,
            steps,
            expectations,
        )| {
            let (brokers, controllers) = brokers;
            let (mut steps, added) = steps;
            steps.extend(added.map(|rack| Step {
                id: None,
                trigger: Trigger::At(Span::from_millis(1)),
                action: Action::AddBroker { broker: format!("b{}", brokers + 1), rack },
                say: None,
            }));
            let topic = |partitions, replicas: Option<Vec<Vec<String>>>| TopicPlan {
                partitions,
                replication_factor: replicas.as_ref().map_or(2, |lists| lists[0].len() as u32),
                replicas,
                config: config(&[("segment.bytes", "4096")]),
            };
            let placed = placed.then(|| vec![vec!["b2".to_owned(), "b1".to_owned()]]);
            let end = if quiet { End::Quiet } else { End::At(Span::from_millis(60_000)) };
            Plan {
                name: "test".into(),
                title,
                kafka: "4.1".into(),
                run: RunPlan { seed, end, limit: Span::from_millis(90_000) },
                network: NetworkPlan { latency, loss },
                cluster: ClusterPlan {
                    brokers,
                    controllers,
                    racks: Vec::new(),
                    config: config(&[("offsets.topic.replication.factor", "1")]),
                },
                behaviour,
                topics: IndexMap::from([
                    ("orders".to_owned(), topic(2, None)),
                    ("audit.log".to_owned(), topic(1, placed)),
                ]),
                producers: IndexMap::from([("shop".to_owned(), actors.0)]),
                groups: IndexMap::from([("billing".to_owned(), actors.1)]),
                readers: IndexMap::from([("look".to_owned(), actors.2)]),
                steps,
                expectations,
                ignored: vec!["num.io.threads".into()],
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_plan_that_is_written_reads_back_as_it_was(plan in plan()) {
        let text = to_toml(&plan);
        let scenario = Scenario::load("test", "test.toml", &text, &[]);
        let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        prop_assert_eq!(&*scenario.plan, &plan, "{}", text);
    }
}

#[test]
fn a_scenario_that_is_written_reads_back_as_it_was() {
    let scenario = load(GOOD).unwrap();
    for plan in [&scenario.plan, &scenario.variants[0].plan] {
        let text = to_toml(plan);
        let again = load(&text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(again.plan, *plan, "{text}");
    }
}

#[test]
fn a_written_plan_looks_like_a_file_by_hand() {
    insta::assert_snapshot!(to_toml(&load(GOOD).unwrap().plan));
}
