//! A batch on its way: records being collected, then bytes that are sent until somebody answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    delivery::{Delivery, SendFuture},
    record::ProducerRecord,
};
use crate::{
    env::Instant,
    kafka::{
        client::observer::{BatchAttempt, BatchSequence},
        protocol::batch::{
            BatchBuilder, BatchError, BatchOptions, Batches, Compression, Record, set_producer,
        },
        types::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicPartition},
    },
};

/// Names a batch from its first record to its end, across attempts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BatchId(pub(crate) u64);

/// A producer's identity towards the brokers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Identity {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

enum Body {
    Open(BatchBuilder),
    /// Takes no more records; built when it is first sent, as its identity is not known before.
    Closed(BatchBuilder),
    Built(Bytes),
    /// Only while the body is being changed.
    Moved,
}

pub(crate) struct ProducerBatch {
    pub(crate) id: BatchId,
    pub(crate) partition: TopicPartition,
    body: Body,
    pub(crate) count: i32,
    pub(crate) created: Instant,
    /// When it was put back after a failed attempt; its creation before.
    pub(crate) last_attempt: Instant,
    /// Failed attempts.
    pub(crate) attempts: u32,
    /// End of the backoff after the last failed attempt.
    pub(crate) retry_at: Instant,
    pub(crate) sequence: Option<(Identity, Sequence)>,
    /// The sequence was rewritten since the last attempt.
    pub(crate) sequence_reset: bool,
    leader_epoch: Option<LeaderEpoch>,
    attempts_at_leader_change: u32,
    /// An attempt ended so that the records may be in the log.
    pub(crate) maybe_appended: bool,
    pub(crate) delivery: Arc<Delivery>,
    /// Bytes of `buffer.memory` held until the end; none for a part of a batch that was cut.
    pub(crate) reserved: usize,
}

impl ProducerBatch {
    pub(crate) fn new(
        id: BatchId,
        partition: TopicPartition,
        builder: BatchBuilder,
        reserved: usize,
        now: Instant,
    ) -> Self {
        ProducerBatch {
            id,
            partition,
            count: builder.count(),
            body: Body::Open(builder),
            created: now,
            last_attempt: now,
            attempts: 0,
            retry_at: Instant::default(),
            sequence: None,
            sequence_reset: false,
            leader_epoch: None,
            attempts_at_leader_change: 0,
            maybe_appended: false,
            delivery: Arc::default(),
            reserved,
        }
    }

    /// Adds the record if there is room; otherwise the batch takes no more, not even a smaller one.
    pub(crate) fn try_append(
        &mut self,
        record: &ProducerRecord,
        timestamp: Timestamp,
    ) -> Option<SendFuture> {
        let Body::Open(builder) = &mut self.body else { return None };
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        if !builder.has_room_for(timestamp, key, value, &record.headers) {
            self.close();
            return None;
        }
        let index = builder.append(timestamp, key, value, &record.headers);
        self.count = builder.count();
        let delivery = self.delivery.clone();
        Some(SendFuture::new(delivery, index, self.partition.clone(), timestamp))
    }

    pub(crate) fn close(&mut self) {
        self.body = match std::mem::replace(&mut self.body, Body::Moved) {
            Body::Open(builder) => Body::Closed(builder),
            other => other,
        };
    }

    pub(crate) fn is_full(&self) -> bool {
        match &self.body {
            Body::Open(builder) => builder.is_full(),
            Body::Closed(_) | Body::Built(_) | Body::Moved => true,
        }
    }

    pub(crate) fn estimated_size(&self) -> usize {
        match &self.body {
            Body::Open(builder) | Body::Closed(builder) => builder.estimated_size(),
            Body::Built(bytes) => bytes.len(),
            Body::Moved => 0,
        }
    }

    /// The bytes to send, under the identity set before.
    pub(crate) fn bytes(&mut self) -> Bytes {
        self.body = match std::mem::replace(&mut self.body, Body::Moved) {
            Body::Open(builder) | Body::Closed(builder) => {
                let mut options = BatchOptions::default();
                if let Some((identity, sequence)) = self.sequence {
                    options.producer_id = identity.id;
                    options.producer_epoch = identity.epoch;
                    options.base_sequence = sequence;
                }
                Body::Built(builder.build(&options))
            }
            other => other,
        };
        self.sequence_reset = false;
        match &self.body {
            Body::Built(bytes) => bytes.clone(),
            _ => unreachable!("built just above"),
        }
    }

    pub(crate) fn set_sequence(&mut self, identity: Identity, sequence: Sequence) {
        self.sequence = Some((identity, sequence));
        if let Body::Built(bytes) = &self.body {
            let rewritten = set_producer(bytes, identity.id, identity.epoch, sequence);
            self.body = Body::Built(rewritten);
        }
    }

    pub(crate) fn last_sequence(&self) -> Option<Sequence> {
        self.sequence.map(|(_, base)| base.plus(self.count - 1))
    }

    /// Kafka calls it `inRetry`.
    pub(crate) fn in_retry(&self) -> bool {
        self.attempts > 0
    }

    pub(crate) fn expires_at(&self, delivery_timeout: Duration) -> Instant {
        self.created + delivery_timeout
    }

    /// A retry goes at once to a leader that is newer than the one that failed.
    pub(crate) fn note_leader(&mut self, epoch: LeaderEpoch) {
        if epoch.0 >= 0 && self.leader_epoch.is_none_or(|known| known < epoch) {
            self.attempts_at_leader_change = self.attempts;
            self.leader_epoch = Some(epoch);
        }
    }

    pub(crate) fn is_backing_off(&self, now: Instant) -> bool {
        let leader_changed = self.attempts == self.attempts_at_leader_change;
        self.attempts > 0 && now < self.retry_at && !leader_changed
    }

    pub(crate) fn attempt(&self) -> BatchAttempt {
        BatchAttempt {
            partition: self.partition.clone(),
            sequence: self.sequence.map(|(identity, base_sequence)| BatchSequence {
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                base_sequence,
            }),
            records: self.count,
            attempt: self.attempts + 1,
        }
    }

    /// The records in batches of at most `limit` bytes, or one record each if they are larger.
    pub(crate) fn split(
        &mut self,
        compression: Compression,
        limit: usize,
    ) -> Result<Vec<BatchBuilder>, BatchError> {
        let mut parts: Vec<BatchBuilder> = Vec::new();
        for batch in Batches::new(self.bytes()) {
            for record in batch?.records()? {
                let Record { timestamp, key, value, headers, .. } = record?;
                let (key, value) = (key.as_deref(), value.as_deref());
                let room =
                    |part: &&mut BatchBuilder| part.has_room_for(timestamp, key, value, &headers);
                match parts.last_mut().filter(room) {
                    Some(part) => {
                        part.append(timestamp, key, value, &headers);
                    }
                    None => {
                        let upper = BatchBuilder::upper_bound(key, value, &headers);
                        let mut part = BatchBuilder::new(compression, limit.max(upper));
                        part.append(timestamp, key, value, &headers);
                        parts.push(part);
                    }
                }
            }
        }
        Ok(parts)
    }
}
