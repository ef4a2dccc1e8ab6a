//! Who is in sync: when a follower may join the ISR and when a member is proposed to leave.

use std::collections::BTreeSet;

use super::{
    super::{BrokerStanding, Effect, Facts, IsrJoinGate, isr::Change, remote::RemoteReplica},
    Leader,
};
use crate::kafka::types::{BrokerEpoch, BrokerId};

impl Leader {
    /// Proposes a follower that just fetched, if it has come far enough and nothing else is pending.
    pub(super) fn maybe_expand_isr(
        &mut self,
        facts: Facts<'_>,
        follower: BrokerId,
        effects: &mut Vec<Effect>,
    ) {
        if self.isr.is_pending() || self.isr.members().contains(&follower) {
            return;
        }
        let Some(remote) = self.remotes.get(&follower) else { return };
        if self.is_eligible(facts, follower, remote) && self.has_come_far_enough(facts, remote) {
            self.propose(facts, Change::Expand(follower), effects);
        }
    }

    /// The high watermark alone is not far enough: a new leader inherits it too low, and what was committed
    /// may lie between it and the start of the epoch (KAFKA-7128).
    fn has_come_far_enough(&self, facts: Facts<'_>, remote: &RemoteReplica) -> bool {
        let gate = match self.policy.isr_join_gate {
            IsrJoinGate::HighWatermark => facts.log.high_watermark(),
            IsrJoinGate::EpochStart => facts.log.high_watermark().max(self.epoch_start),
        };
        remote.log_end >= gate
    }

    /// Whether the controller would take it (KIP-841, KIP-903): a broker that is active, in the incarnation
    /// that fetched.
    pub(super) fn is_eligible(
        &self,
        facts: Facts<'_>,
        broker: BrokerId,
        remote: &RemoteReplica,
    ) -> bool {
        let Some(fetched_as) = remote.broker_epoch else { return false };
        facts.brokers.broker(broker).is_some_and(|broker| {
            broker.standing == BrokerStanding::Active
                && (fetched_as == BrokerEpoch(-1) || fetched_as == broker.epoch)
        })
    }

    /// Proposes that those leave that have not caught up for `replica.lag.time.max.ms`.
    pub(super) fn maybe_shrink_isr(&mut self, facts: Facts<'_>, effects: &mut Vec<Effect>) {
        if self.isr.is_pending() {
            return;
        }
        let end = facts.log.end_offset();
        let lags = |member: &BrokerId| {
            let remote = self.remotes.get(member);
            !remote.is_some_and(|remote| remote.is_caught_up(end, facts.now, self.lag_time_max))
        };
        let followers = self.isr.members().iter().filter(|member| **member != self.broker);
        let leaving: BTreeSet<_> = followers.copied().filter(lags).collect();
        if !leaving.is_empty() {
            self.propose(facts, Change::Shrink(leaving), effects);
        }
    }
}
