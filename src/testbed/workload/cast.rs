//! From a plan's actors to programs on machines.

use std::sync::{Arc, atomic::AtomicU64};

use super::{
    Actors,
    consume::{self, ConsumerApp, Reads},
    observe::Journal,
    produce::{self, ProducerApp},
};
use crate::{
    env::Address,
    kafka::config::{ConfigError, ConsumerConfig, ProducerConfig, ProducerPolicy, Settings, Side},
    testbed::{
        cluster::Stage,
        history::NodeName,
        plan::{ConfigMap, GroupPlan, Plan, ProducerPlan, ReaderPlan},
    },
};

/// Puts every producer, member and reader of the plan on its machine, not started yet.
///
/// # Errors
/// What Kafka's clients refuse; a scenario file or a campaign never gets that far with it.
pub fn cast(
    plan: &Plan,
    stage: &Stage,
    actors: &Actors,
    bootstrap: &[Address],
) -> Result<(), Vec<ConfigError>> {
    for (name, producer) in &plan.producers {
        let policy = plan.behaviour.producer;
        let app = producer_app(name, producer, policy, stage, actors, bootstrap)?;
        let program = produce::program(Arc::new(app));
        stage.add(name.as_str().into(), program);
    }
    for (name, group) in &plan.groups {
        for member in &group.members {
            let app = member_app(name, member, group, stage, actors, bootstrap)?;
            stage.add(member.as_str().into(), consume::program(Arc::new(app)));
        }
    }
    for (name, reader) in &plan.readers {
        let app = reader_app(name, reader, stage, actors, bootstrap)?;
        stage.add(name.as_str().into(), consume::program(Arc::new(app)));
    }
    Ok(())
}

/// The plan's settings with the actor's name as `client.id`.
fn settings(side: Side, config: &ConfigMap, client_id: &str) -> Result<Settings, Vec<ConfigError>> {
    let given = config.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = config.contains_key("client.id").then_some(()).is_none();
    let name = named.then_some(("client.id", client_id));
    Settings::from_pairs(side, given.chain(name))
}

fn producer_app(
    name: &str,
    plan: &ProducerPlan,
    policy: ProducerPolicy,
    stage: &Stage,
    actors: &Actors,
    bootstrap: &[Address],
) -> Result<ProducerApp, Vec<ConfigError>> {
    let settings = settings(Side::Producer, &plan.config, name)?;
    let name: NodeName = name.into();
    Ok(ProducerApp {
        config: ProducerConfig { policy, ..ProducerConfig::from_settings(&settings)? },
        plan: plan.clone(),
        bootstrap: bootstrap.to_vec(),
        journal: Journal::new(stage.clone(), name.clone()),
        control: actors.control(&name),
        name,
        next: AtomicU64::new(0),
    })
}

fn member_app(
    group: &str,
    member: &str,
    plan: &GroupPlan,
    stage: &Stage,
    actors: &Actors,
    bootstrap: &[Address],
) -> Result<ConsumerApp, Vec<ConfigError>> {
    let mut settings = settings(Side::Consumer, &plan.config, member)?;
    settings.set("group.id", group).map_err(|error| vec![error])?;
    let node: NodeName = member.into();
    Ok(ConsumerApp {
        group: group.into(),
        reads: Reads::Topics(plan.topics.clone()),
        app: plan.app.clone(),
        client: plan.client,
        config: ConsumerConfig::from_settings(&settings)?,
        bootstrap: bootstrap.to_vec(),
        control: actors.control(&node),
        journal: Journal::new(stage.clone(), node),
    })
}

fn reader_app(
    name: &str,
    plan: &ReaderPlan,
    stage: &Stage,
    actors: &Actors,
    bootstrap: &[Address],
) -> Result<ConsumerApp, Vec<ConfigError>> {
    let mut settings = settings(Side::Consumer, &plan.config, name)?;
    if let Some(group) = &plan.group_id {
        settings.set("group.id", group).map_err(|error| vec![error])?;
    }
    let node: NodeName = name.into();
    Ok(ConsumerApp {
        group: name.into(),
        reads: Reads::Partitions(plan.assign.clone(), plan.seek.clone()),
        app: plan.app.clone(),
        client: plan.client,
        config: ConsumerConfig::from_settings(&settings)?,
        bootstrap: bootstrap.to_vec(),
        control: actors.control(&node),
        journal: Journal::new(stage.clone(), node),
    })
}
