//! Whom to ask instead: beside an error a client is told the present leader and where it is (KIP-951).

use std::{collections::BTreeSet, sync::Arc};

use super::{BrokerEndpoint, state::Broker};
use crate::kafka::{
    metadata::Image,
    types::{BrokerId, LeaderEpoch},
};

/// Collects the leaders that an answer tells.
pub(super) struct CurrentLeaders<'a> {
    broker: &'a Broker,
    image: Arc<Image>,
    told: BTreeSet<BrokerId>,
}

impl<'a> CurrentLeaders<'a> {
    pub fn new(broker: &'a Broker) -> Self {
        CurrentLeaders { broker, image: broker.metadata.image(), told: BTreeSet::new() }
    }

    /// By the metadata; `None` for a partition that it does not know.
    pub fn tell(&mut self, topic: &str, partition: i32) -> Option<(BrokerId, LeaderEpoch)> {
        let partition = self.image.topic(topic)?.partitions.get(&partition)?;
        self.told.insert(partition.leader);
        Some((partition.leader, partition.leader_epoch))
    }

    pub fn name(&self, id: uuid::Uuid) -> Option<String> {
        Some(self.image.topic_by_id(id)?.name.to_string())
    }

    /// Where those are that were told.
    pub fn endpoints(&self) -> impl Iterator<Item = BrokerEndpoint> + '_ {
        self.told.iter().filter_map(|id| self.broker.endpoint(*id))
    }
}
