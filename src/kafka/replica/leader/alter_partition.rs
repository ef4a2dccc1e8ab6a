//! Changing the ISR: a leader proposes, the controller decides (KIP-497).
//!
//! Between the two the leader does not know which ISR holds. It counts both: the high watermark waits for
//! the larger one, `min.insync.replicas` goes by the smaller one.

use super::{
    super::{
        AlterPartition, AlterResponseMatch, AlteredPartition, Effect, Facts, ReplicaEvent,
        isr::{Change, Isr},
    },
    Leader,
};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerEpoch, BrokerId},
};

impl Leader {
    /// Kafka makes the change pending before `AlterPartitionManager` refuses a second request, and then takes
    /// it back: the same to all.
    pub(super) fn propose(&mut self, facts: Facts<'_>, change: Change, effects: &mut Vec<Effect>) {
        let must_wait = match self.policy.alter_response_match {
            AlterResponseMatch::Loose => false,
            AlterResponseMatch::SentState => self.unanswered.is_some(),
        };
        if must_wait {
            return;
        }
        let new_isr = self.isr.after(&change);
        let request = AlterPartition {
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            new_isr: new_isr
                .iter()
                .map(|member| (*member, self.epoch_of(facts, *member)))
                .collect(),
        };
        effects.push(Effect::Observe(match &change {
            Change::Expand(joining) => ReplicaEvent::IsrExpansionProposed { joining: *joining },
            Change::Shrink(leaving) => ReplicaEvent::IsrShrinkProposed { leaving: leaving.clone() },
        }));
        self.isr.propose(change, request.clone());
        self.send(request, effects);
    }

    fn send(&mut self, request: AlterPartition, effects: &mut Vec<Effect>) {
        self.unanswered = Some(request.clone());
        effects.push(Effect::AlterPartition(request));
    }

    /// A member that has not fetched from this leader goes as -1: should it have restarted, the controller
    /// took it out of the ISR and refuses the request by its partition epoch.
    fn epoch_of(&self, facts: Facts<'_>, member: BrokerId) -> BrokerEpoch {
        if member == self.broker {
            return facts.brokers.own_epoch();
        }
        let remote = self.remotes.get(&member);
        remote.and_then(|remote| remote.broker_epoch).unwrap_or(BrokerEpoch(-1))
    }

    pub(in super::super) fn handle_altered(
        &mut self,
        facts: Facts<'_>,
        response: Result<AlteredPartition, ResponseError>,
        effects: &mut Vec<Effect>,
    ) {
        self.unanswered = None;
        // With one request at a time this is what was asked, or nothing: metadata has overtaken it, and will
        // tell what the controller made of it.
        let Some(pending) = self.isr.pending_request().cloned() else { return };
        match response {
            Ok(altered) => self.isr_altered(facts, altered, effects),
            Err(error) => self.alter_failed(pending, error, effects),
        }
    }

    fn isr_altered(
        &mut self,
        facts: Facts<'_>,
        altered: AlteredPartition,
        effects: &mut Vec<Effect>,
    ) {
        if altered.leader_epoch != self.epoch || altered.partition_epoch < self.partition_epoch {
            return;
        }
        // The same partition epoch says that the ISR was so already.
        let (isr, partition_epoch) = (altered.isr, altered.partition_epoch);
        self.isr = Isr::committed(isr.clone());
        self.partition_epoch = partition_epoch;
        effects.push(Effect::Observe(ReplicaEvent::IsrCommitted { isr, partition_epoch }));
        self.maybe_increment_high_watermark(facts, effects);
    }

    fn alter_failed(
        &mut self,
        request: AlterPartition,
        error: ResponseError,
        effects: &mut Vec<Effect>,
    ) {
        match error {
            // The partition epoch was right and the request not carried out, by this controller or any.
            ResponseError::OperationNotAttempted | ResponseError::IneligibleReplica => {
                self.isr.withdraw();
                effects.push(Effect::Observe(ReplicaEvent::IsrProposalRejected));
            }
            // The controller is ahead, or this broker leads no longer; whether the change was made is not
            // known. It stays pending until the metadata tells.
            ResponseError::UnknownTopicOrPartition
            | ResponseError::UnknownTopicId
            | ResponseError::FencedLeaderEpoch
            | ResponseError::InvalidUpdateVersion
            | ResponseError::InvalidRequest
            | ResponseError::NewLeaderElected => {}
            _ => self.send(request, effects),
        }
    }
}
