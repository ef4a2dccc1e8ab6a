//! Who writes and reads in a drawn plan.

use indexmap::IndexMap;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    kafka::types::TopicPartition,
    testbed::plan::{
        App, AwaitSend, ClientFlavour, ConfigMap, EffectKind, GroupPlan, LoopStep, OnError,
        OnSendError, ProducerApp, ProducerExit, ProducerPlan, Span, SpanRange, SpanShape, Start,
        TextTemplate,
    },
};

/// Sends one record after the other from the beginning, and waits for nothing but the last flush.
pub(super) fn writer(topic: String, records: u64, every: u64, config: ConfigMap) -> ProducerPlan {
    ProducerPlan {
        topic,
        records,
        every: up_to(every),
        key: None,
        value: TextTemplate("{i}".into()),
        partition: None,
        client: ClientFlavour::Java,
        start: Start::At(Span::default()),
        app: ProducerApp {
            flush: true,
            await_send: AwaitSend::None,
            on_error: OnSendError::Ignore,
            exit: ProducerExit::Close,
        },
        config,
    }
}

/// A producer with one of these settings.
pub(super) fn producer(
    topics: usize,
    settings: Vec<ConfigMap>,
) -> impl Strategy<Value = ProducerPlan> {
    let settings = select(settings);
    let keys = select(vec![None, Some("k{i%7}"), Some("k{i%100}")]);
    let awaits = select(vec![AwaitSend::None, AwaitSend::None, AwaitSend::Each]);
    (0..topics, 1..=300u64, 0..=60u64, keys, awaits, settings, 0..=2_000u64).prop_map(
        |(topic, records, every, key, await_send, config, start)| {
            let plan = writer(topic_name(topic), records, every, config);
            ProducerPlan {
                key: key.map(|key| TextTemplate(key.into())),
                start: Start::At(Span::from_millis(start)),
                app: ProducerApp { await_send, ..plan.app },
                ..plan
            }
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

pub(super) fn group(topics: usize) -> impl Strategy<Value = GroupPlan> {
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

pub(super) fn topic_name(index: usize) -> String {
    ["orders", "payments"][index].into()
}

/// The first partition of the first topic.
pub(super) fn first_partition() -> TopicPartition {
    TopicPartition::new(topic_name(0).as_str(), 0)
}

pub(super) fn up_to(millis: u64) -> SpanRange {
    SpanRange { min: Span::default(), max: Span::from_millis(millis), shape: SpanShape::Uniform }
}

pub(super) fn config(pairs: &[(&str, &str)]) -> ConfigMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The plan's groups by name, their members named after them.
pub(super) fn named_groups(groups: Vec<GroupPlan>) -> IndexMap<String, GroupPlan> {
    let named = |(index, group): (usize, GroupPlan)| {
        let name = format!("group{}", index + 1);
        let members = group.members.iter().map(|member| format!("{name}/{member}")).collect();
        (name, GroupPlan { members, ..group })
    };
    groups.into_iter().enumerate().map(named).collect()
}

/// The plan's producers by name.
pub(super) fn named_producers(producers: Vec<ProducerPlan>) -> IndexMap<String, ProducerPlan> {
    (1..).zip(producers).map(|(number, producer)| (format!("producer{number}"), producer)).collect()
}
