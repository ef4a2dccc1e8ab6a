//! Which replica a consumer reads a partition from: its leader, or the one in the consumer's own rack that
//! the leader sent it to (KIP-392, `SubscriptionState.preferredReadReplica`).

use std::collections::BTreeMap;

use crate::{
    env::Instant,
    kafka::{
        client::network::Metadata,
        types::{BrokerId, TopicPartition},
    },
};

/// Where leaders have sent this consumer to.
#[derive(Default)]
pub(crate) struct ReadReplicas {
    /// Until when the word holds; after that the leader is asked again.
    chosen: BTreeMap<TopicPartition, (BrokerId, Instant)>,
}

impl ReadReplicas {
    pub(crate) fn choose(&mut self, partition: TopicPartition, replica: BrokerId, until: Instant) {
        self.chosen.insert(partition, (replica, until));
    }

    /// Back to the leader. Says whether it was another one until now.
    pub(crate) fn forget(&mut self, partition: &TopicPartition) -> bool {
        self.chosen.remove(partition).is_some()
    }

    /// Whom to fetch from beside the leader, while the leader's word holds and the broker is there.
    pub(crate) fn replica(
        &mut self,
        partition: &TopicPartition,
        metadata: &Metadata,
        now: Instant,
    ) -> Option<BrokerId> {
        let (replica, until) = *self.chosen.get(partition)?;
        if now < until && metadata.brokers().contains_key(&replica) {
            return Some(replica);
        }
        self.forget(partition);
        None
    }
}
