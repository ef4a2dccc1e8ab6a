//! Consumers may read from a follower near them (KIP-392): which one a leader sends them to.

use std::cmp::Reverse;

use super::{super::Facts, Leader};
use crate::kafka::types::{BrokerId, Offset};

impl Leader {
    /// The choice of `RackAwareReplicaSelector`: a replica in the client's rack, the leader before any other,
    /// then the one furthest ahead. `None` is the leader. Members of the ISR that have the offset are asked;
    /// a laggard would keep its readers behind.
    pub fn preferred_read_replica(
        &self,
        facts: Facts<'_>,
        client_rack: &str,
        fetch_offset: Offset,
    ) -> Option<BrokerId> {
        if client_rack.is_empty() {
            return None;
        }
        let is_near = |broker: BrokerId| facts.brokers.is_in_rack(broker, client_rack);
        if is_near(self.broker) {
            return None;
        }
        let has_offset = self.remotes.iter().filter(|(broker, remote)| {
            self.isr.members().contains(broker)
                && (remote.log_start..=remote.log_end).contains(&fetch_offset)
        });
        let near = has_offset.filter(|(broker, _)| is_near(**broker));
        near.max_by_key(|(broker, remote)| {
            let since = remote.since_caught_up(facts.now);
            // Long ago is the furthest back.
            (remote.log_end, since.is_some(), Reverse(since), **broker)
        })
        .map(|(broker, _)| *broker)
    }
}
