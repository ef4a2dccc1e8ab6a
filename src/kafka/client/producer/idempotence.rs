//! The sequence numbers of an idempotent producer: who it is, what comes next, what to do when a broker
//! disagrees (`TransactionManager`, its part without transactions).
//!
//! Brokers accept a batch only if it follows the last one of its partition and producer, so that a retry
//! neither doubles nor reorders. When an error leaves a gap that the producer cannot close, it raises its
//! own epoch and numbers what is still to be sent from 0 again (KIP-360). A batch of the old epoch that a
//! broker had appended after all is then appended a second time: Kafka's idempotence ends there, and so
//! does this one.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

use super::batch::{BatchId, Identity, ProducerBatch};
use crate::{
    env::Instant,
    kafka::types::{Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition},
};

/// What was sent under which number; outlives the batch, which may expire before the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SentBatch {
    pub(crate) id: BatchId,
    pub(crate) partition: TopicPartition,
    pub(crate) sequence: Option<(Identity, Sequence)>,
    pub(crate) count: i32,
}

#[derive(Default, Debug)]
struct PartitionState {
    /// Whose numbers these are; another identity starts again from 0.
    identity: Option<Identity>,
    next: Sequence,
    /// -1 before the first.
    last_acked: Option<Sequence>,
    last_acked_offset: Option<Offset>,
    /// Numbered and not ended: on the wire or waiting for a retry.
    in_flight: BTreeMap<(Identity, Sequence), BatchId>,
}

impl PartitionState {
    fn is_next(&self, sequence: Sequence) -> bool {
        sequence.0 - self.last_acked.map_or(-1, |acked| acked.0) == 1
    }
}

/// Where the producer id comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InitProducerId {
    /// To be sent, not before this instant.
    Due(Instant),
    InFlight,
    Done,
}

#[derive(Debug)]
pub(crate) struct Idempotence {
    identity: Option<Identity>,
    pub(crate) init: InitProducerId,
    partitions: BTreeMap<TopicPartition, PartitionState>,
    /// Partitions where a sent batch expired unanswered, with the sequence after it.
    unresolved: BTreeMap<TopicPartition, Sequence>,
    to_rewrite: BTreeSet<TopicPartition>,
}

/// A batch's new number after a bump.
pub(crate) type Rewrite<'a> = dyn FnMut(BatchId, Identity, Sequence) -> i32 + 'a;

impl Idempotence {
    pub(crate) fn new() -> Self {
        Idempotence {
            identity: None,
            init: InitProducerId::Due(Instant::default()),
            partitions: BTreeMap::new(),
            unresolved: BTreeMap::new(),
            to_rewrite: BTreeSet::new(),
        }
    }

    pub(crate) fn obtained(&mut self, id: ProducerId, epoch: ProducerEpoch) {
        self.identity = Some(Identity { id, epoch });
        self.init = InitProducerId::Done;
    }

    fn state(&mut self, partition: &TopicPartition) -> &mut PartitionState {
        self.partitions.entry(partition.clone()).or_default()
    }

    fn has_in_flight(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|state| !state.in_flight.is_empty())
    }

    /// Whether the first waiting batch of its partition may go (`shouldStopDrainBatchesForPartition`).
    pub(crate) fn may_send(&self, batch: &ProducerBatch) -> bool {
        let Some(identity) = self.identity else { return false };
        let state = self.partitions.get(&batch.partition);
        match batch.sequence {
            // New batches wait until those of an older identity have ended, and until it is known
            // whether an expired one was appended.
            None => {
                let stale = state.is_some_and(|state| state.identity != Some(identity));
                let waits_for_old = stale && self.has_in_flight(&batch.partition);
                !waits_for_old && !self.unresolved.contains_key(&batch.partition)
            }
            // Retries go in the order of their numbers, one at a time.
            Some((_, base)) => {
                let first = state.and_then(|state| state.in_flight.keys().next());
                first.is_none_or(|(_, first)| *first == base)
            }
        }
    }

    /// Gives the batch its number when it is first sent.
    pub(crate) fn assign(&mut self, batch: &mut ProducerBatch) {
        let identity = self.identity.expect("checked by may_send");
        let state = self.state(&batch.partition);
        if state.identity != Some(identity) && state.in_flight.is_empty() {
            state.identity = Some(identity);
            state.next = Sequence(0);
            state.last_acked = None;
        }
        let sequence = state.next;
        state.next = sequence.plus(batch.count);
        state.in_flight.insert((identity, sequence), batch.id);
        batch.set_sequence(identity, sequence);
    }

    /// A part of a batch that was cut takes over its share of the numbers.
    pub(crate) fn track(&mut self, batch: &ProducerBatch) {
        if let Some(sequence) = batch.sequence {
            self.state(&batch.partition).in_flight.insert(sequence, batch.id);
        }
    }

    pub(crate) fn forget(&mut self, batch: &ProducerBatch) {
        if let Some(sequence) = batch.sequence {
            let state = self.state(&batch.partition);
            if state.in_flight.get(&sequence) == Some(&batch.id) {
                state.in_flight.remove(&sequence);
            }
        }
    }

    /// The broker has the batch, which may have expired meanwhile: then its own number counts.
    pub(crate) fn acked(
        &mut self,
        sent: &SentBatch,
        batch: Option<&ProducerBatch>,
        base_offset: Option<Offset>,
    ) {
        let last = match batch {
            Some(batch) => batch.last_sequence(),
            None => sent.sequence.map(|(_, base)| base.plus(sent.count - 1)),
        };
        let state = self.state(&sent.partition);
        state.last_acked = state.last_acked.max(last);
        if let Some(base_offset) = base_offset {
            let last_offset = base_offset + i64::from(sent.count - 1);
            state.last_acked_offset = state.last_acked_offset.max(Some(last_offset));
        }
        if let Some(batch) = batch {
            self.forget(batch);
        }
    }

    /// The batch is given up. `error` is the broker's last word, if it had one; `gap` whether its
    /// numbers are surely missing at the broker.
    pub(crate) fn failed(
        &mut self,
        batch: &ProducerBatch,
        error: Option<ResponseError>,
        gap: SequenceGap,
    ) {
        self.forget(batch);
        match error {
            Some(ResponseError::UnknownProducerId) => {
                self.partitions.remove(&batch.partition);
                self.unresolved.remove(&batch.partition);
            }
            Some(ResponseError::OutOfOrderSequenceNumber) => self.request_bump(&batch.partition),
            _ if gap == SequenceGap::Left => self.request_bump(&batch.partition),
            _ => {}
        }
    }

    /// An expired batch may or may not be in the log: its successors wait for the others in flight to
    /// tell (`markSequenceUnresolved`).
    pub(crate) fn mark_unresolved(&mut self, batch: &ProducerBatch) {
        if let Some(last) = batch.last_sequence() {
            let next = last.plus(1);
            let entry = self.unresolved.entry(batch.partition.clone()).or_insert(next);
            *entry = (*entry).max(next);
        }
    }

    fn request_bump(&mut self, partition: &TopicPartition) {
        self.to_rewrite.insert(partition.clone());
    }

    /// Whether an error of the broker is worth another attempt (`TransactionManager.canRetry`).
    /// `log_start` is -1 when the broker did not say.
    pub(crate) fn can_retry(
        &mut self,
        batch: &ProducerBatch,
        error: ResponseError,
        log_start: Offset,
    ) -> bool {
        let partition = &batch.partition;
        match error {
            ResponseError::UnknownProducerId => {
                // Without the log start nobody can tell retention from loss. With it, a producer whose
                // records were all deleted starts again; so does, under a new epoch, any other.
                if log_start.0 >= 0 && !batch.sequence_reset {
                    self.request_bump(partition);
                }
                true
            }
            ResponseError::OutOfOrderSequenceNumber => {
                let base = batch.sequence.map_or(Sequence(-1), |(_, base)| base);
                let is_next = match self.partitions.get(partition) {
                    Some(state) => state.is_next(base),
                    None => base == Sequence(0),
                };
                let unresolved = self.unresolved.get(partition).copied();
                if unresolved.is_none() && (batch.sequence_reset || !is_next) {
                    // An earlier batch failed and is retried first; this one will fit after it.
                    return true;
                }
                if unresolved.is_none_or(|next| next == base) {
                    self.request_bump(partition);
                }
                true
            }
            other => other.is_retriable(),
        }
    }

    /// Looks again at partitions with an expired batch once nothing of them is in flight: if the last
    /// acknowledgement was for a later number, the expired batch was there after all; otherwise there is
    /// a gap, and the epoch must rise.
    pub(crate) fn resolve(&mut self) {
        let settled: Vec<TopicPartition> = self
            .unresolved
            .keys()
            .filter(|partition| !self.has_in_flight(partition))
            .cloned()
            .collect();
        for partition in settled {
            self.unresolved.remove(&partition);
            let state = self.state(&partition);
            if !state.is_next(state.next) {
                self.request_bump(&partition);
            }
        }
    }

    /// Raises the epoch if some error asked for it and renumbers the batches of the partitions at fault,
    /// through `rewrite`, which returns the batch's record count. An epoch at its end means a new
    /// producer id. Returns the new epoch with the partitions.
    pub(crate) fn bump_if_required(
        &mut self,
        rewrite: &mut Rewrite<'_>,
    ) -> Option<(Identity, Vec<TopicPartition>)> {
        let current = self.identity?;
        if self.to_rewrite.is_empty() {
            return None;
        }
        if current.epoch.0 == i16::MAX {
            // The partitions keep their numbers until the new id is there; `assign` then restarts them.
            self.identity = None;
            self.init = InitProducerId::Due(Instant::default());
            self.to_rewrite.clear();
            return None;
        }
        let bumped = Identity { id: current.id, epoch: ProducerEpoch(current.epoch.0 + 1) };
        self.identity = Some(bumped);
        let partitions: Vec<TopicPartition> =
            std::mem::take(&mut self.to_rewrite).into_iter().collect();
        for partition in &partitions {
            self.restart(partition, bumped, rewrite);
            self.unresolved.remove(partition);
        }
        Some((bumped, partitions))
    }

    fn restart(
        &mut self,
        partition: &TopicPartition,
        identity: Identity,
        rewrite: &mut Rewrite<'_>,
    ) {
        let state = self.state(partition);
        let mut next = Sequence(0);
        let batches = std::mem::take(&mut state.in_flight);
        for id in batches.into_values() {
            let count = rewrite(id, identity, next);
            state.in_flight.insert((identity, next), id);
            next = next.plus(count);
        }
        state.identity = Some(identity);
        state.next = next;
        state.last_acked = None;
    }
}

/// What giving a batch up does to the run of numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SequenceGap {
    /// The broker refused the batch: whatever follows it is out of order.
    Left,
    /// Not known (the batch expired); see [`Idempotence::mark_unresolved`].
    Undecided,
}
