//! The testbed's own client: has the operator do what steps say, and reads everything back at the end.
//!
//! It works through the same client and network as everybody else, on a machine of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{Notify, mpsc};

use super::{consume::record_id, observe::Journal, operator};
use crate::{
    env::{Address, Env},
    kafka::{
        client::{Admin, AdminConfig, ClientError, Consumer},
        config::{ConsumerConfig, Settings, Side},
        types::{Offset, TopicPartition},
    },
    testbed::{
        cluster::{Program, Stage},
        history::{LoggedRecord, NodeName},
        plan::{Action, Plan, TopicPlan},
    },
};

const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// What the cluster says at the end.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Every partition's log: start, end, records.
    pub logs: BTreeMap<TopicPartition, (Offset, Offset, Vec<LoggedRecord>)>,
    /// Committed offsets by group.
    pub committed: BTreeMap<String, BTreeMap<TopicPartition, Option<Offset>>>,
}

/// Handle to the auditor: asks for the final reading and waits for it.
pub struct Auditor {
    plan: Arc<Plan>,
    bootstrap: Vec<Address>,
    asked: Notify,
    done: Notify,
    findings: Mutex<Option<Result<Findings, String>>>,
}

impl Auditor {
    pub fn new(plan: Arc<Plan>, bootstrap: Vec<Address>) -> Arc<Self> {
        let (asked, done) = (Notify::new(), Notify::new());
        Arc::new(Auditor { plan, bootstrap, asked, done, findings: Mutex::default() })
    }

    /// Reads the cluster. `Err` says what could not be read.
    pub async fn read(&self) -> Result<Findings, String> {
        self.asked.notify_one();
        self.done.notified().await;
        let mut findings = self.findings.lock().expect("no panic while it is locked");
        findings.take().expect("set before done")
    }

    /// All partitions of the plan's topics, or what the cluster has where steps change its topics.
    async fn partitions(&self, env: &Env) -> Result<Vec<TopicPartition>, ClientError> {
        let changes = |action: &Action| {
            matches!(
                action,
                Action::CreateTopic { .. }
                    | Action::DeleteTopic { .. }
                    | Action::AddPartitions { .. }
            )
        };
        if self.plan.steps.iter().any(|step| changes(&step.action)) {
            let admin = Admin::new(env, &self.bootstrap, AdminConfig::default());
            let all = admin.describe_topics().await?.into_iter().map(|one| one.partition);
            return Ok(all.filter(|one| !is_internal(one)).collect());
        }
        let of = |(name, topic): (&String, &TopicPlan)| {
            let name = name.clone();
            (0..topic.partitions as i32).map(move |p| TopicPartition::new(name.as_str(), p))
        };
        Ok(self.plan.topics.iter().flat_map(of).collect())
    }

    async fn audit(&self, env: &Env) -> Result<Findings, ClientError> {
        let mut findings = Findings::default();
        let partitions = self.partitions(env).await?;
        let mut consumer = Consumer::new(env, &self.bootstrap, config("audit", None), None)?;
        let starts = consumer.beginning_offsets(&partitions).await?;
        let ends = consumer.end_offsets(&partitions).await?;
        for partition in &partitions {
            let bounds = (starts[partition], ends[partition], Vec::new());
            findings.logs.insert(partition.clone(), bounds);
        }
        consumer.assign(partitions.iter().cloned()).await?;
        consumer.seek_to_beginning(&partitions)?;
        while !reached(&mut consumer, &ends).await? {
            let polled = consumer.poll(POLL_TIMEOUT).await?;
            for (partition, record) in polled.iter() {
                let key = record.key.as_deref().and_then(|key| str::from_utf8(key).ok());
                let (_, end, records) = findings.logs.get_mut(partition).expect("assigned");
                if record.offset < *end {
                    records.push(LoggedRecord {
                        partition: partition.clone(),
                        offset: record.offset,
                        id: record_id(record),
                        key: key.map(Into::into),
                        timestamp: record.timestamp,
                    });
                }
            }
        }
        consumer.close(Duration::ZERO).await;
        for (name, group) in &self.plan.groups {
            let of_group: Vec<_> = partitions
                .iter()
                .filter(|p| group.topics.iter().any(|topic| topic == p.topic.as_str()))
                .cloned()
                .collect();
            let client = config(&format!("audit-{name}"), Some(name));
            let mut consumer = Consumer::new(env, &self.bootstrap, client, None)?;
            let committed = consumer.committed(&of_group).await?;
            let of_all =
                of_group.into_iter().map(|p| (p.clone(), committed.get(&p).copied().flatten()));
            findings.committed.insert(name.clone(), of_all.collect());
        }
        Ok(findings)
    }
}

/// Kafka's own topics begin with two underscores.
fn is_internal(partition: &TopicPartition) -> bool {
    partition.topic.as_str().starts_with("__")
}

async fn reached(
    consumer: &mut Consumer,
    ends: &BTreeMap<TopicPartition, Offset>,
) -> Result<bool, ClientError> {
    for (partition, end) in ends {
        if consumer.position(partition).await? < *end {
            return Ok(false);
        }
    }
    Ok(true)
}

fn config(client_id: &str, group: Option<&str>) -> ConsumerConfig {
    let mut settings = Settings::new(Side::Consumer);
    let given = [("client.id", client_id), ("enable.auto.commit", "false")];
    let given = given.into_iter().chain(group.map(|group| ("group.id", group)));
    for (name, value) in given.chain([("auto.offset.reset", "earliest")]) {
        settings.set(name, value).expect("the table has these names");
    }
    ConsumerConfig::from_settings(&settings).expect("these settings fit together")
}

/// Takes the operator's orders, and audits when asked; for ever.
pub fn audit_program(
    auditor: Arc<Auditor>,
    orders: mpsc::UnboundedReceiver<Action>,
    stage: &Stage,
    node: &NodeName,
) -> Program {
    let journal = Journal::new(stage.clone(), node.clone());
    let orders = Arc::new(tokio::sync::Mutex::new(orders));
    Arc::new(move |env, _start| {
        let (auditor, orders) = (Arc::clone(&auditor), Arc::clone(&orders));
        let journal = journal.clone();
        Box::pin(async move {
            let mut orders = orders.lock().await;
            loop {
                let order = tokio::select! {
                    biased;
                    () = auditor.asked.notified() => None,
                    order = orders.recv() => order,
                };
                match order {
                    Some(order) => {
                        operator::carry_out(&env, &auditor.bootstrap, &journal, order).await;
                    }
                    None => {
                        let findings = auditor.audit(&env).await.map_err(|e| e.to_string());
                        *auditor.findings.lock().expect("no panic while it is locked") =
                            Some(findings);
                        auditor.done.notify_one();
                    }
                }
            }
        })
    })
}
