//! Asking the controller for other ISRs: `AlterPartitionManager`.
//!
//! One request at a time is on its way, with all that was asked for since the last one. It is repeated until
//! the controller answers for each partition.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kafka_protocol::messages::{
    AlterPartitionRequest, AlterPartitionResponse, BrokerId as WireBrokerId,
    alter_partition_request::{BrokerState, PartitionData, TopicData},
    alter_partition_response::PartitionData as PartitionAnswer,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{controller_channel::ControllerChannel, state::Broker};
use crate::kafka::{
    metadata::LeaderRecoveryState,
    protocol::ResponseError,
    replica::{AlterPartition, AlteredPartition, Brokers},
    types::{BrokerId, LeaderEpoch, PartitionEpoch, TopicPartition},
};

/// As brokers of one version speak it to each other.
const VERSION: i16 = 3;
/// Pause before a request that failed as a whole is repeated (`AlterPartitionManager`).
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What leaders asked for and no request has taken yet, in order.
#[derive(Default)]
pub(super) struct AlterPartitions {
    asked: Mutex<Vec<Item>>,
    more: Notify,
}

struct Item {
    id: TopicPartition,
    topic_id: Uuid,
    wanted: AlterPartition,
}

impl AlterPartitions {
    pub fn add(&self, id: TopicPartition, topic_id: Uuid, wanted: AlterPartition) {
        self.lock().push(Item { id, topic_id, wanted });
        self.more.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Item>> {
        self.asked.lock().expect("no panic while it is locked")
    }
}

/// Runs until the broker stops.
pub(super) async fn run(broker: &Arc<Broker>) {
    let mut channel =
        ControllerChannel::new("alter-partition", broker.config.config.request_timeout);
    loop {
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = broker.replication.alter_partitions.more.notified() => {}
        }
        let items = std::mem::take(&mut *broker.replication.alter_partitions.lock());
        if items.is_empty() {
            continue;
        }
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = carry_through(broker, &mut channel, items) => {}
        }
    }
}

/// Asks until the controller has answered for all.
async fn carry_through(
    broker: &Arc<Broker>,
    channel: &mut ControllerChannel,
    mut items: Vec<Item>,
) {
    loop {
        let answers = ask(broker, channel, &items).await;
        items.retain(|item| match answers.get(&(item.topic_id, item.id.partition)) {
            Some(answer) => {
                tell(broker, item, answer);
                false
            }
            None => true,
        });
        if items.is_empty() {
            return;
        }
        broker.env.clock.sleep_until(broker.env.clock.now() + RETRY_PAUSE).await;
    }
}

/// The controller's answers by partition; none if it did not take the request.
async fn ask(
    broker: &Arc<Broker>,
    channel: &mut ControllerChannel,
    items: &[Item],
) -> BTreeMap<(Uuid, i32), PartitionAnswer> {
    let request = request(broker, items);
    match channel.ask(broker, VERSION, &request).await {
        Ok(response) => answers(response),
        Err(error) => {
            tracing::debug!(%error, "controller not reached");
            BTreeMap::new()
        }
    }
}

fn answers(response: AlterPartitionResponse) -> BTreeMap<(Uuid, i32), PartitionAnswer> {
    if response.error_code != 0 {
        return BTreeMap::new();
    }
    let of_topic = |topic: kafka_protocol::messages::alter_partition_response::TopicData| {
        let id = topic.topic_id;
        topic.partitions.into_iter().map(move |data| ((id, data.partition_index), data))
    };
    response.topics.into_iter().flat_map(of_topic).collect()
}

fn request(broker: &Broker, items: &[Item]) -> AlterPartitionRequest {
    let mut topics: BTreeMap<Uuid, Vec<PartitionData>> = BTreeMap::new();
    for Item { id, topic_id, wanted } in items {
        let member = |(id, epoch): &(BrokerId, crate::kafka::types::BrokerEpoch)| {
            BrokerState::default().with_broker_id(WireBrokerId(id.0)).with_broker_epoch(epoch.0)
        };
        let data = PartitionData::default()
            .with_partition_index(id.partition)
            .with_leader_epoch(wanted.leader_epoch.0)
            .with_partition_epoch(wanted.partition_epoch.0)
            .with_leader_recovery_state(LeaderRecoveryState::Recovered.code())
            .with_new_isr_with_epochs(wanted.new_isr.iter().map(member).collect());
        topics.entry(*topic_id).or_default().push(data);
    }
    let topic =
        |(id, partitions)| TopicData::default().with_topic_id(id).with_partitions(partitions);
    AlterPartitionRequest::default()
        .with_broker_id(WireBrokerId(broker.id().0))
        .with_broker_epoch(broker.own_epoch().0)
        .with_topics(topics.into_iter().map(topic).collect())
}

fn tell(broker: &Arc<Broker>, item: &Item, answer: &PartitionAnswer) {
    let response = match answer.error_code {
        0 => Ok(AlteredPartition {
            leader_epoch: LeaderEpoch(answer.leader_epoch),
            partition_epoch: PartitionEpoch(answer.partition_epoch),
            isr: answer.isr.iter().map(|id| BrokerId(id.0)).collect(),
        }),
        code => {
            Err(ResponseError::try_from_code(code).unwrap_or(ResponseError::UnknownServerError))
        }
    };
    // Its topic may have been deleted meanwhile.
    let partition = broker.partitions.get(&item.id).filter(|p| p.topic_id == item.topic_id);
    if let Some(partition) = partition {
        let mut held = partition.held();
        let driven = held.drive(broker, &partition, &[], |replica, facts, effects| {
            replica.handle_alter_partition_response(facts, response, effects);
        });
        drop(held);
        partition.follow_up(broker, driven);
    }
}
