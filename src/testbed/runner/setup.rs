//! What checkers must know of a plan beforehand.

use std::sync::Arc;

use crate::testbed::{
    history::{GroupSetup, ProducerSetup, Setup, TopicSetup},
    plan::{ConfigMap, Plan},
};

pub(super) fn setup(plan: &Plan, seed: u64) -> Setup {
    let name = |name: &String| -> Arc<str> { name.as_str().into() };
    let is = |config: &ConfigMap, setting: &str, value: &str, default: bool| {
        config.get(setting).map_or(default, |given| given == value)
    };
    let topic = |(topic, plan): (&String, &crate::testbed::plan::TopicPlan)| {
        let (partitions, replication_factor) = (plan.partitions, plan.replication_factor);
        let min_insync_replicas = min_insync_replicas(&plan.config);
        (name(topic), TopicSetup { partitions, replication_factor, min_insync_replicas })
    };
    let producer = |(producer, plan): (&String, &crate::testbed::plan::ProducerPlan)| {
        let setup = ProducerSetup {
            topic: name(&plan.topic),
            records: plan.records,
            idempotent: is(&plan.config, "enable.idempotence", "true", true),
            acks: plan.config.get("acks").map_or_else(|| "all".into(), |acks| acks.as_str().into()),
            keyed: plan.key.is_some(),
        };
        (name(producer), setup)
    };
    let groups = plan.groups.iter().map(|(group, plan)| {
        let setup = GroupSetup {
            topics: plan.topics.iter().map(name).collect(),
            members: plan.members.iter().map(name).collect(),
            effect: plan.app.effect,
            auto_commit: is(&plan.config, "enable.auto.commit", "true", true),
            reader: false,
        };
        (name(group), setup)
    });
    let readers = plan.readers.iter().map(|(reader, plan)| {
        let mut topics: Vec<Arc<str>> =
            plan.assign.iter().map(|partition| partition.topic.0.clone()).collect();
        topics.dedup();
        let setup = GroupSetup {
            topics,
            members: vec![name(reader)],
            effect: plan.app.effect,
            auto_commit: false,
            reader: true,
        };
        (name(reader), setup)
    });
    Setup {
        seed,
        topics: plan.topics.iter().map(topic).collect(),
        producers: plan.producers.iter().map(producer).collect(),
        groups: groups.chain(readers).collect(),
        loses_packets: plan.network.loss > 0.0,
        behaviours: plan.behaviour.changed().map(|(switch, _)| switch.key.into()).collect(),
        voters: plan.cluster.controllers.names().map(Into::into).collect(),
        min_insync_replicas: min_insync_replicas(&plan.cluster.config).unwrap_or(1),
    }
}

fn min_insync_replicas(config: &ConfigMap) -> Option<u32> {
    config.get("min.insync.replicas").and_then(|value| value.parse().ok())
}
