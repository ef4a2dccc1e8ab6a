//! The promise behind a send: one shared outcome per batch, one light future per record.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use crate::kafka::{
    client::error::ClientError,
    types::{Offset, Timestamp, TopicPartition},
};

/// Where an acknowledged record is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordMetadata {
    pub partition: TopicPartition,
    /// `None` with `acks = 0`, and for a duplicate of which the broker no longer knew the place.
    pub offset: Option<Offset>,
    /// The producer's, or the broker's with `message.timestamp.type = LogAppendTime`.
    pub timestamp: Timestamp,
}

/// What is known of a record whose send failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Surely in no log, now or later. Either no byte of it reached a broker (the request never left
    /// whole), or every broker that read it answered with an error that it gives before appending.
    NotAppended,
    /// In the log once, not at all, or (without idempotence) several times. Some attempt left whole and
    /// was never answered, or was answered with an error that may follow an append: a timeout of the
    /// broker, too few replicas after the append, a storage error, a leader that changed meanwhile.
    Unknown,
}

/// A send that failed. The history's *fail* or *unknown*, by [`Fate`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{error}")]
pub struct SendError {
    pub error: ClientError,
    pub fate: Fate,
}

impl SendError {
    pub(crate) fn not_appended(error: ClientError) -> Self {
        SendError { error, fate: Fate::NotAppended }
    }
}

/// How a batch ended.
#[derive(Clone, Debug)]
pub(crate) enum BatchOutcome {
    Acked {
        base_offset: Option<Offset>,
        log_append_time: Option<Timestamp>,
    },
    Failed(SendError),
    /// Cut into batches that begin at these record indices, ascending from 0.
    Split(Vec<(i32, Arc<Delivery>)>),
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<BatchOutcome>,
    wakers: Vec<Waker>,
}

/// Resolved exactly once, by the sender; read by the futures of the batch's records.
#[derive(Debug, Default)]
pub(crate) struct Delivery(Mutex<State>);

impl Delivery {
    pub(crate) fn resolve(&self, outcome: BatchOutcome) {
        let wakers = {
            let mut state = self.0.lock().expect("no panic while the lock is held");
            assert!(state.outcome.is_none(), "a batch ends once");
            state.outcome = Some(outcome);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// `slot` remembers where the caller's waker is, so that polling twice registers it once.
    fn poll_outcome(&self, cx: &mut Context<'_>, slot: &mut Option<usize>) -> Poll<BatchOutcome> {
        let mut state = self.0.lock().expect("no panic while the lock is held");
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        match *slot {
            Some(index) => state.wakers[index].clone_from(cx.waker()),
            None => {
                *slot = Some(state.wakers.len());
                state.wakers.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }

    /// Completes when the batch, and whatever it was cut into, has ended.
    pub(crate) async fn ended(self: Arc<Self>) {
        let mut open = vec![self];
        while let Some(delivery) = open.pop() {
            let mut slot = None;
            let outcome = std::future::poll_fn(|cx| delivery.poll_outcome(cx, &mut slot)).await;
            if let BatchOutcome::Split(parts) = outcome {
                open.extend(parts.into_iter().map(|(_, part)| part));
            }
        }
    }
}

/// Resolves when the record's batch is acknowledged or given up, at the latest `delivery.timeout.ms`
/// after the send (while the producer lives). Dropping it changes nothing about the record.
#[derive(Debug)]
pub struct SendFuture {
    delivery: Arc<Delivery>,
    slot: Option<usize>,
    /// The record's place in its batch.
    index: i32,
    partition: TopicPartition,
    timestamp: Timestamp,
}

impl SendFuture {
    pub(crate) fn new(
        delivery: Arc<Delivery>,
        index: i32,
        partition: TopicPartition,
        timestamp: Timestamp,
    ) -> Self {
        SendFuture { delivery, slot: None, index, partition, timestamp }
    }

    /// The partition chosen for the record, known before the acknowledgement.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }
}

impl Future for SendFuture {
    type Output = Result<RecordMetadata, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let this = &mut *self;
            match std::task::ready!(this.delivery.poll_outcome(cx, &mut this.slot)) {
                BatchOutcome::Failed(error) => return Poll::Ready(Err(error)),
                BatchOutcome::Acked { base_offset, log_append_time } => {
                    return Poll::Ready(Ok(RecordMetadata {
                        partition: this.partition.clone(),
                        offset: base_offset.map(|base| base + i64::from(this.index)),
                        timestamp: log_append_time.unwrap_or(this.timestamp),
                    }));
                }
                BatchOutcome::Split(parts) => {
                    let part = parts.partition_point(|(first, _)| *first <= this.index) - 1;
                    let (first, delivery) = parts[part].clone();
                    this.index -= first;
                    this.delivery = delivery;
                    this.slot = None;
                }
            }
        }
    }
}
