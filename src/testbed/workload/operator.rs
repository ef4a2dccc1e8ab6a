//! The operator of a trial: asks the cluster for what steps of the plan want, one thing after the other.
//!
//! What the cluster refuses, or does not do in time, is an error in the history and no more: an operator
//! who is refused goes on as well.

use std::collections::BTreeMap;

use super::observe::Journal;
use crate::{
    env::{Address, Env},
    kafka::{
        client::{
            Admin, AdminConfig, ClientError, ElectionType, NewTopic, PartitionResults, TopicResults,
        },
        types::{BrokerId, TopicPartition},
    },
    testbed::plan::{self, Action},
};

/// Does it, with a client of its own.
pub(super) async fn carry_out(env: &Env, bootstrap: &[Address], journal: &Journal, order: Action) {
    let admin = Admin::new(env, bootstrap, AdminConfig::default());
    if let Err(error) = ask(&admin, order).await {
        journal.error(&error);
    }
}

async fn ask(admin: &Admin, order: Action) -> Result<(), ClientError> {
    match order {
        Action::CreateTopic { topic, partitions, replication_factor } => {
            let topic = NewTopic {
                name: topic.as_str().into(),
                partitions: partitions as i32,
                replication_factor: replication_factor.map_or(-1, |factor| factor as i16),
                settings: BTreeMap::new(),
            };
            of_topics(admin.create_topics(&[topic]).await?)
        }
        Action::DeleteTopic { topic } => {
            of_topics(admin.delete_topics(&[topic.as_str().into()]).await?)
        }
        Action::AddPartitions { topic, partitions } => {
            let counts = [(topic.as_str().into(), partitions as i32)].into();
            of_topics(admin.create_partitions(&counts).await?)
        }
        Action::AlterConfig { topic, config } => {
            let settings = config.into_iter().collect();
            admin.alter_topic_config(&topic.as_str().into(), &settings).await
        }
        Action::Reassign { partition, replicas } => {
            let ids = replicas.iter().filter_map(|name| id(name)).collect();
            reassign(admin, partition, Some(ids)).await
        }
        Action::CancelReassignment { partition } => reassign(admin, partition, None).await,
        Action::Elect { partition, election } => {
            let election = match election {
                plan::ElectionType::Preferred => ElectionType::Preferred,
                plan::ElectionType::Unclean => ElectionType::Unclean,
            };
            let partitions = partition.as_ref().map(std::slice::from_ref);
            of_partitions(admin.elect_leaders(election, partitions).await?)
        }
        // Everything else is the nemesis's.
        _ => Ok(()),
    }
}

async fn reassign(
    admin: &Admin,
    partition: TopicPartition,
    replicas: Option<Vec<BrokerId>>,
) -> Result<(), ClientError> {
    let moves = [(partition, replicas)].into();
    of_partitions(admin.alter_partition_reassignments(&moves).await?)
}

/// Brokers are called by their ids: `b4`.
fn id(broker: &str) -> Option<BrokerId> {
    broker.strip_prefix('b')?.parse().ok().map(BrokerId)
}

fn of_topics(results: TopicResults) -> Result<(), ClientError> {
    results.into_values().collect()
}

fn of_partitions(results: PartitionResults) -> Result<(), ClientError> {
    results.into_values().collect()
}
