//! Where records wait to be sent: batches per partition, within `buffer.memory` (`RecordAccumulator`).
//!
//! Invariants:
//! - every batch is in the store from its first record until [`Accumulator::finish`], and is in at most
//!   one queue; one that is on the wire is in none;
//! - a partition's queue is in the order of sequence numbers, those without one last;
//! - the memory taken is the sum over the stored batches.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use rand_chacha::ChaCha8Rng;

use super::{
    batch::{BatchId, ProducerBatch},
    delivery::SendFuture,
    idempotence::Idempotence,
    partitioner::{LastBatch, StickyPartitioner},
    record::ProducerRecord,
};
use crate::{
    env::{Instant, Rng},
    kafka::{
        client::{
            network::{Metadata, PartitionMetadata},
            retry::Backoff,
        },
        protocol::batch::{BatchBuilder, Compression},
        types::{BrokerId, Timestamp, TopicName, TopicPartition},
    },
};

#[derive(Clone, Debug)]
pub(crate) struct AccumulatorConfig {
    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) retry: Backoff,
    pub(crate) compression: Compression,
}

/// Whether the sender has something new to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SenderNews {
    Yes,
    No,
}

pub(crate) enum Appended {
    To(SendFuture, SenderNews),
    /// `buffer.memory` is used up, or others wait for it already: try again when some is released.
    MemoryFull,
}

/// Whom records can be sent to.
#[derive(Default, Debug)]
pub(crate) struct Ready {
    pub(crate) nodes: BTreeSet<BrokerId>,
    /// When another partition becomes ready by lingering or by the end of a backoff.
    pub(crate) next_check: Option<Instant>,
    /// Topics with records and a partition without a leader.
    pub(crate) leaderless: BTreeSet<TopicName>,
}

struct TopicQueues {
    sticky: StickyPartitioner,
    queues: BTreeMap<i32, VecDeque<BatchId>>,
}

pub(crate) struct Accumulator {
    config: AccumulatorConfig,
    rng: Rng,
    backoff_rng: ChaCha8Rng,
    topics: BTreeMap<TopicName, TopicQueues>,
    batches: BTreeMap<BatchId, ProducerBatch>,
    next_id: u64,
    used_memory: usize,
    /// Appenders that found the memory full, first come first served.
    waiting: VecDeque<u64>,
    next_ticket: u64,
    muted: BTreeSet<TopicPartition>,
    /// Where the next drain of a node starts, so that no partition starves.
    drain_start: BTreeMap<BrokerId, usize>,
    pub(crate) flushes: usize,
    pub(crate) closed: bool,
}

impl Accumulator {
    pub(crate) fn new(config: AccumulatorConfig, rng: Rng) -> Self {
        Accumulator {
            config,
            backoff_rng: rng.stream("retry"),
            rng,
            topics: BTreeMap::new(),
            batches: BTreeMap::new(),
            next_id: 0,
            used_memory: 0,
            waiting: VecDeque::new(),
            next_ticket: 0,
            muted: BTreeSet::new(),
            drain_start: BTreeMap::new(),
            flushes: 0,
            closed: false,
        }
    }

    pub(crate) fn config(&self) -> &AccumulatorConfig {
        &self.config
    }

    fn topic(&mut self, topic: &TopicName) -> &mut TopicQueues {
        if !self.topics.contains_key(topic) {
            let stream = self.rng.stream(&format!("sticky/{topic}"));
            let sticky = StickyPartitioner::new(self.config.batch_size, stream);
            self.topics.insert(topic.clone(), TopicQueues { sticky, queues: BTreeMap::new() });
        }
        self.topics.get_mut(topic).expect("inserted just above")
    }

    /// Appends to the partition's last batch or to a new one. Without `explicit` the sticky partitioner
    /// chooses, which needs the topic's metadata. `ticket` is the caller's place among those that wait
    /// for memory.
    pub(crate) fn append(
        &mut self,
        record: &ProducerRecord,
        explicit: Option<i32>,
        timestamp: Timestamp,
        metadata: &Metadata,
        ticket: &mut Option<u64>,
        now: Instant,
    ) -> Appended {
        let partitions = metadata.partitions(&record.topic).unwrap_or_default();
        loop {
            let topic = self.topic(&record.topic);
            let number = explicit.unwrap_or_else(|| topic.sticky.current(partitions));
            let last = topic.queues.entry(number).or_default().back().copied();
            if let Some(batch) = last.and_then(|id| self.batches.get_mut(&id)) {
                let before = batch.estimated_size();
                if let Some(future) = batch.try_append(record, timestamp) {
                    let bytes = batch.estimated_size() - before;
                    self.after_append(&record.topic, number, explicit, bytes, partitions);
                    let queue = &self.topics[&record.topic].queues[&number];
                    let news = queue.len() > 1 || self.last_batch(queue) == LastBatch::Full;
                    let news = if news { SenderNews::Yes } else { SenderNews::No };
                    return Appended::To(future, news);
                }
                // The last batch just turned out full: the sticky partitioner may leave for another.
                if explicit.is_none() {
                    let sticky = &mut self.topic(&record.topic).sticky;
                    sticky.appended(0, LastBatch::Full, partitions);
                    if sticky.current(partitions) != number {
                        continue;
                    }
                }
            }
            let Some((future, bytes)) = self.append_new(record, number, timestamp, ticket, now)
            else {
                return Appended::MemoryFull;
            };
            self.after_append(&record.topic, number, explicit, bytes, partitions);
            return Appended::To(future, SenderNews::Yes);
        }
    }

    /// Starts a batch with the record and returns its size; `None` while there is no memory for it.
    fn append_new(
        &mut self,
        record: &ProducerRecord,
        number: i32,
        timestamp: Timestamp,
        ticket: &mut Option<u64>,
        now: Instant,
    ) -> Option<(SendFuture, usize)> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let upper = BatchBuilder::upper_bound(key, value, &record.headers);
        let reserved = upper.max(self.config.batch_size);
        if !self.reserve(reserved, ticket) {
            return None;
        }
        let builder = BatchBuilder::new(self.config.compression, reserved);
        let place = TopicPartition { topic: record.topic.clone(), partition: number };
        let id = self.next_batch_id();
        let mut batch = ProducerBatch::new(id, place, builder, reserved, now);
        let future = batch.try_append(record, timestamp).expect("an empty batch takes any record");
        let size = batch.estimated_size();
        self.batches.insert(id, batch);
        self.topic(&record.topic).queues.entry(number).or_default().push_back(id);
        Some((future, size))
    }

    fn after_append(
        &mut self,
        topic: &TopicName,
        number: i32,
        explicit: Option<i32>,
        bytes: usize,
        partitions: &[PartitionMetadata],
    ) {
        if explicit.is_none() {
            let last = self.last_batch(&self.topics[topic].queues[&number]);
            self.topic(topic).sticky.appended(bytes, last, partitions);
        }
    }

    fn last_batch(&self, queue: &VecDeque<BatchId>) -> LastBatch {
        match queue.back() {
            Some(id) if !self.batches[id].is_full() => LastBatch::Open,
            _ => LastBatch::Full,
        }
    }

    fn next_batch_id(&mut self) -> BatchId {
        self.next_id += 1;
        BatchId(self.next_id)
    }

    fn reserve(&mut self, bytes: usize, ticket: &mut Option<u64>) -> bool {
        let first = self.waiting.front().copied();
        let my_turn = first.is_none() || first == *ticket;
        if my_turn && self.used_memory + bytes <= self.config.buffer_memory {
            self.used_memory += bytes;
            self.leave_queue(ticket);
            return true;
        }
        if ticket.is_none() {
            self.next_ticket += 1;
            *ticket = Some(self.next_ticket);
            self.waiting.push_back(self.next_ticket);
        }
        false
    }

    /// Gives up a place among those waiting for memory.
    pub(crate) fn leave_queue(&mut self, ticket: &mut Option<u64>) {
        if let Some(ticket) = ticket.take() {
            self.waiting.retain(|waiting| *waiting != ticket);
        }
    }

    pub(crate) fn batch(&self, id: BatchId) -> Option<&ProducerBatch> {
        self.batches.get(&id)
    }

    pub(crate) fn batch_mut(&mut self, id: BatchId) -> Option<&mut ProducerBatch> {
        self.batches.get_mut(&id)
    }

    pub(crate) fn incomplete(&self) -> impl Iterator<Item = &ProducerBatch> {
        self.batches.values()
    }

    pub(crate) fn has_incomplete(&self) -> bool {
        !self.batches.is_empty()
    }

    fn sends_at_once(&self) -> bool {
        self.closed || self.flushes > 0 || !self.waiting.is_empty()
    }

    /// Which brokers have a batch that may go: full, lingered enough, or wanted out of the way.
    pub(crate) fn ready(&mut self, metadata: &Metadata, now: Instant) -> Ready {
        let mut ready = Ready::default();
        let at_once = self.sends_at_once();
        for (topic, queues) in &self.topics {
            let partitions = metadata.partitions(topic).unwrap_or_default();
            for (number, queue) in &queues.queues {
                let Some(first) = queue.front() else { continue };
                let known = usize::try_from(*number).ok().and_then(|index| partitions.get(index));
                let Some((leader, epoch)) = known.and_then(|p| Some((p.leader?, p.epoch))) else {
                    ready.leaderless.insert(topic.clone());
                    continue;
                };
                let batch = self.batches.get_mut(first).expect("queued batches are stored");
                batch.note_leader(epoch);
                if ready.nodes.contains(&leader) || self.muted.contains(&batch.partition) {
                    continue;
                }
                let ripe_at = if batch.is_backing_off(now) {
                    batch.retry_at
                } else if queue.len() > 1 || batch.is_full() || at_once {
                    now
                } else {
                    batch.last_attempt + self.config.linger
                };
                if ripe_at <= now {
                    ready.nodes.insert(leader);
                } else {
                    let next = ready.next_check.map_or(ripe_at, |at| at.min(ripe_at));
                    ready.next_check = Some(next);
                }
            }
        }
        ready
    }

    /// Takes at most one batch of each of the node's partitions, up to `max_bytes` together (but at
    /// least one), numbered if the producer is idempotent.
    pub(crate) fn drain(
        &mut self,
        node: BrokerId,
        metadata: &Metadata,
        max_bytes: usize,
        mut idempotence: Option<&mut Idempotence>,
        now: Instant,
    ) -> Vec<BatchId> {
        let candidates: Vec<TopicPartition> = self.partitions_of(node, metadata);
        let mut drained = Vec::new();
        let mut size = 0;
        if candidates.is_empty() {
            return drained;
        }
        let start = self.drain_start.get(&node).copied().unwrap_or(0) % candidates.len();
        for step in 0..candidates.len() {
            let index = (start + step) % candidates.len();
            self.drain_start.insert(node, index);
            let place = &candidates[index];
            if self.muted.contains(place) {
                continue;
            }
            let queue = self.queue_mut(place);
            let Some(first) = queue.front().copied() else { continue };
            let batch = self.batches.get_mut(&first).expect("queued batches are stored");
            if batch.is_backing_off(now) {
                continue;
            }
            if size + batch.estimated_size() > max_bytes && !drained.is_empty() {
                break;
            }
            if let Some(idempotence) = idempotence.as_deref_mut() {
                if !idempotence.may_send(batch) {
                    // Kafka stops the whole node here; going on to the other partitions only saves
                    // them a round.
                    continue;
                }
                if batch.sequence.is_none() {
                    batch.close();
                    idempotence.assign(batch);
                }
            }
            size += batch.bytes().len();
            self.queue_mut(place).pop_front();
            drained.push(first);
        }
        drained
    }

    /// Partitions with something queued that the node leads.
    fn partitions_of(&self, node: BrokerId, metadata: &Metadata) -> Vec<TopicPartition> {
        let mut partitions = Vec::new();
        for (topic, queues) in &self.topics {
            let known = metadata.partitions(topic).unwrap_or_default();
            for (number, queue) in &queues.queues {
                let leader =
                    usize::try_from(*number).ok().and_then(|index| known.get(index)?.leader);
                if leader == Some(node) && !queue.is_empty() {
                    partitions.push(TopicPartition { topic: topic.clone(), partition: *number });
                }
            }
        }
        partitions
    }

    fn queue_mut(&mut self, place: &TopicPartition) -> &mut VecDeque<BatchId> {
        self.topic(&place.topic).queues.entry(place.partition).or_default()
    }

    /// Puts a batch back after a failed attempt: by its number, or in front without one.
    pub(crate) fn reenqueue(&mut self, id: BatchId, now: Instant) {
        let batch = self.batches.get_mut(&id).expect("only stored batches are retried");
        let delay = self.config.retry.delay(batch.attempts, &mut self.backoff_rng);
        batch.attempts += 1;
        batch.last_attempt = now;
        batch.retry_at = now + delay;
        let place = batch.partition.clone();
        self.insert_in_order(&place, id);
    }

    fn insert_in_order(&mut self, place: &TopicPartition, id: BatchId) {
        let sequence = self.batches[&id].sequence;
        let queue = self.queue_mut(place).clone();
        let before = |other: &BatchId| match (self.batches[other].sequence, sequence) {
            (Some(other), Some(mine)) => other < mine,
            _ => false,
        };
        let position = queue.iter().take_while(|other| before(other)).count();
        self.queue_mut(place).insert(position, id);
    }

    /// Queued batches whose time is up. They leave their queues but not the store. Whole queues are
    /// looked at, as retries without sequence numbers may put a younger batch before an older one.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<BatchId> {
        let timeout = self.config.delivery_timeout;
        let mut expired = Vec::new();
        for queues in self.topics.values_mut() {
            for queue in queues.queues.values_mut() {
                queue.retain(|id| {
                    let over = self.batches[id].expires_at(timeout) <= now;
                    if over {
                        expired.push(*id);
                    }
                    !over
                });
            }
        }
        expired
    }

    /// When the first batch, queued or on the wire, reaches `delivery.timeout.ms`.
    pub(crate) fn next_expiry(&self) -> Instant {
        // Ids rise with creation, but the parts of a cut batch inherit its age; all are looked at, and
        // there are never more than `buffer.memory / batch.size`.
        let timeout = self.config.delivery_timeout;
        let expiries = self.batches.values().map(|batch| batch.expires_at(timeout));
        expiries.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Ends a batch: it leaves the store and its queue, and gives its memory back.
    pub(crate) fn finish(&mut self, id: BatchId) -> Option<ProducerBatch> {
        let batch = self.batches.remove(&id)?;
        self.used_memory -= batch.reserved;
        self.queue_mut(&batch.partition).retain(|queued| *queued != id);
        Some(batch)
    }

    /// Puts the parts of a finished batch that was too large in its place. They have its age and share
    /// its numbers, but hold no memory, as in Kafka.
    pub(crate) fn replace(
        &mut self,
        whole: ProducerBatch,
        parts: Vec<BatchBuilder>,
        idempotence: Option<&mut Idempotence>,
    ) -> Vec<BatchId> {
        let mut ids = Vec::new();
        let mut sequence = whole.sequence;
        let mut tracked = idempotence;
        for builder in parts {
            let id = self.next_batch_id();
            let mut part =
                ProducerBatch::new(id, whole.partition.clone(), builder, 0, whole.created);
            part.close();
            part.maybe_appended = whole.maybe_appended;
            if let Some((identity, base)) = sequence {
                part.set_sequence(identity, base);
                sequence = Some((identity, base.plus(part.count)));
                if let Some(idempotence) = tracked.as_deref_mut() {
                    idempotence.track(&part);
                }
            }
            self.batches.insert(id, part);
            ids.push(id);
        }
        // Without numbers the order is kept by pushing the last part first.
        for id in ids.iter().rev() {
            self.insert_in_order(&whole.partition, *id);
        }
        ids
    }

    pub(crate) fn mute(&mut self, partition: &TopicPartition) {
        self.muted.insert(partition.clone());
    }

    pub(crate) fn unmute(&mut self, partition: &TopicPartition) {
        self.muted.remove(partition);
    }
}
