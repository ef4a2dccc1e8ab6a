//! What is committed, and how far all replicas have deleted.

use super::{
    super::{BrokerStanding, Effect, Facts, HighWatermarkOver, UnderMinIsr, remote::RemoteReplica},
    Leader,
};
use crate::kafka::types::{BrokerId, Offset};

impl Leader {
    /// Moves the high watermark to the smallest end among this broker, the maximal ISR, and followers that
    /// have caught up and may join: waiting for these lets a follower ever reach a busy leader's ISR.
    pub(super) fn maybe_increment_high_watermark(
        &self,
        facts: Facts<'_>,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_under_min_isr(facts) && self.policy.under_min_isr == UnderMinIsr::Holds {
            return;
        }
        let leader_end = facts.log.end_offset();
        let mut high_watermark = facts.log.acknowledged_end();
        for (broker, remote) in &self.remotes {
            if remote.log_end < high_watermark && self.waits_for(facts, *broker, remote, leader_end)
            {
                high_watermark = remote.log_end;
            }
        }
        if high_watermark > facts.log.high_watermark() {
            effects.push(Effect::SetHighWatermark(high_watermark));
        }
    }

    fn waits_for(
        &self,
        facts: Facts<'_>,
        broker: BrokerId,
        remote: &RemoteReplica,
        leader_end: Offset,
    ) -> bool {
        match self.policy.high_watermark_over {
            HighWatermarkOver::CommittedIsr => self.isr.members().contains(&broker),
            HighWatermarkOver::MaximalIsr => {
                let joining = || {
                    remote.is_caught_up(leader_end, facts.now, self.lag_time_max)
                        && self.is_eligible(facts, broker, remote)
                };
                self.isr.may_hold(broker) || joining()
            }
        }
    }

    /// The smallest log start among the live replicas: DeleteRecords is done when it reaches the offset asked
    /// for. -1 while a live follower has not fetched.
    pub fn low_watermark(&self, facts: Facts<'_>) -> Offset {
        let live = |broker: &BrokerId| {
            let broker = facts.brokers.broker(*broker);
            broker.is_some_and(|broker| broker.standing != BrokerStanding::Fenced)
        };
        let remotes = self.remotes.iter().filter(|(broker, _)| live(broker));
        let start = facts.log.start_offset();
        remotes.fold(start, |lowest, (_, remote)| lowest.min(remote.log_start))
    }
}
