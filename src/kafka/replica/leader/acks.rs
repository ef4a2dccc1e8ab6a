//! Produce requests: whether the ISR is large enough to write, and when a write is acknowledged.

use super::{
    super::{Effect, Facts, LogView},
    Leader,
};
use crate::kafka::{
    protocol::ResponseError,
    types::{LeaderEpoch, Offset},
};

/// `acks`, as far as the leader asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequiredAcks {
    /// `acks` 0 or 1.
    Leader,
    All,
}

/// Where a write with `acks=all` stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcksState {
    /// Until the high watermark moves, or this broker leads no longer.
    Waiting,
    Satisfied,
    /// It is committed, but the ISR is smaller than `min.insync.replicas`: NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    TooFewReplicas,
}

impl Leader {
    /// Before records are appended; they are stamped with the epoch returned.
    pub fn check_append(
        &self,
        log: &dyn LogView,
        acks: RequiredAcks,
    ) -> Result<LeaderEpoch, ResponseError> {
        let too_few = self.isr.members().len() < self.effective_min_isr(log);
        if acks == RequiredAcks::All && too_few {
            return Err(ResponseError::NotEnoughReplicas);
        }
        Ok(self.epoch)
    }

    /// After an append, and whenever the acknowledged end of the log moved.
    pub fn handle_appended(&mut self, facts: Facts<'_>, effects: &mut Vec<Effect>) {
        self.maybe_increment_high_watermark(facts, effects);
    }

    /// Whether all in sync have the log up to `required`, the offset behind the write's last record. To be
    /// asked after the append and whenever the high watermark moved; the time limit is the caller's.
    pub fn check_acks(&self, log: &dyn LogView, required: Offset) -> AcksState {
        if log.high_watermark() < required {
            AcksState::Waiting
        } else if self.effective_min_isr(log) <= self.isr.maximal_size() {
            AcksState::Satisfied
        } else {
            AcksState::TooFewReplicas
        }
    }

    pub(super) fn is_under_min_isr(&self, facts: Facts<'_>) -> bool {
        self.isr.members().len() < self.effective_min_isr(facts.log)
    }

    /// `min.insync.replicas`, or the number of replicas if that is smaller.
    fn effective_min_isr(&self, log: &dyn LogView) -> usize {
        log.min_insync_replicas().min(self.remotes.len() + 1)
    }
}
