//! What the producer's background task does on each turn (`Sender`): number, send, retry, give up.
//!
//! Everything here runs under the producer's lock and never waits; `producer.rs` holds the task.

use std::{collections::BTreeMap, sync::Arc, task::Waker, time::Duration};

use kafka_protocol::{
    ResponseError,
    messages::{
        InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    protocol::StrBytes,
};

use super::{
    accumulator::Accumulator,
    batch::BatchId,
    delivery::{BatchOutcome, Fate, SendError},
    idempotence::{Idempotence, InitProducerId, SentBatch, SequenceGap},
};
use crate::{
    env::Instant,
    kafka::{
        client::{
            error::{ClientError, code_error},
            network::{
                Answer, Cluster, Event, Failure, FailureCause, Left, NodeKey, Readiness, decode,
                is_stale_metadata,
            },
            observer::{AttemptFailure, ClientEvent, Events},
            retry::Backoff,
        },
        config::Acks,
        types::{BrokerId, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition},
    },
};

/// What a request of the producer was.
pub(crate) enum Sent {
    Produce(Vec<SentBatch>),
    InitProducerId,
}

#[derive(Clone, Debug)]
pub(crate) struct SenderConfig {
    pub(crate) acks: Acks,
    pub(crate) retries: u32,
    pub(crate) max_request_size: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) retry: Backoff,
    pub(crate) order: OrderGuard,
}

/// How a partition's order is kept over retries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OrderGuard {
    /// One request in flight: a partition is muted until its batch is answered.
    Mute,
    /// By sequence numbers, or not at all.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifecycle {
    Running,
    /// Sends what it has, then ends.
    Closing,
    Closed,
}

pub(crate) struct Sender {
    pub(crate) config: SenderConfig,
    pub(crate) cluster: Cluster<Sent>,
    pub(crate) accumulator: Accumulator,
    pub(crate) idempotence: Option<Idempotence>,
    /// On the wire, per partition in the order of sending.
    on_wire: BTreeMap<TopicPartition, Vec<BatchId>>,
    pub(crate) lifecycle: Lifecycle,
    /// An error after which no batch can be sent.
    fatal: Option<ClientError>,
    rng: rand_chacha::ChaCha8Rng,
    init_failures: u32,
    pub(crate) events: Events,
    /// The background task's.
    pub(crate) waker: Waker,
    /// Tasks that wait for metadata, for memory or for the end.
    waiters: Vec<Waker>,
    seen_metadata: u64,
}

/// A partition's part of an answer, or what stands for it when there is none.
struct PartitionAnswer {
    error: Option<ResponseError>,
    cause: Option<AttemptFailure>,
    base_offset: Option<Offset>,
    log_append_time: Option<Timestamp>,
    log_start: Offset,
    /// Whether the records may have been appended although this is an error.
    maybe_appended: bool,
}

impl Sender {
    pub(crate) fn new(
        config: SenderConfig,
        cluster: Cluster<Sent>,
        accumulator: Accumulator,
        idempotence: Option<Idempotence>,
        rng: rand_chacha::ChaCha8Rng,
        events: Events,
    ) -> Self {
        Sender {
            config,
            cluster,
            accumulator,
            idempotence,
            on_wire: BTreeMap::new(),
            lifecycle: Lifecycle::Running,
            fatal: None,
            rng,
            init_failures: 0,
            events,
            waker: Waker::noop().clone(),
            waiters: Vec::new(),
            seen_metadata: 0,
        }
    }

    pub(crate) fn add_waiter(&mut self, waker: &Waker) {
        if !self.waiters.iter().any(|known| known.will_wake(waker)) {
            self.waiters.push(waker.clone());
        }
    }

    pub(crate) fn wake_waiters(&mut self) {
        self.waiters.drain(..).for_each(Waker::wake);
    }

    /// One turn. Returns when the next is due if nothing arrives before.
    pub(crate) fn run_once(&mut self, now: Instant) -> Instant {
        while let Some(event) = self.cluster.next_event() {
            self.handle(event, now);
        }
        if self.cluster.metadata().version() != self.seen_metadata {
            self.seen_metadata = self.cluster.metadata().version();
            self.wake_waiters();
        }
        self.renumber();
        self.expire(now);
        let mut deadline = self.init_producer_id(now);
        loop {
            let (next, progress) = self.send_ready(now);
            if progress == Progress::None {
                deadline = deadline.min(next);
                break;
            }
        }
        let drained = !self.accumulator.has_incomplete() && !self.cluster.has_in_flight();
        if self.lifecycle == Lifecycle::Closing && drained {
            self.lifecycle = Lifecycle::Closed;
            self.wake_waiters();
        }
        deadline.min(self.accumulator.next_expiry()).min(self.cluster.next_deadline(now))
    }

    /// Resolves doubtful sequences and raises the epoch where an error asked for it.
    fn renumber(&mut self) {
        let Some(idempotence) = &mut self.idempotence else { return };
        idempotence.resolve();
        let accumulator = &mut self.accumulator;
        let bumped = idempotence.bump_if_required(&mut |id, identity, sequence| {
            let batch = accumulator.batch_mut(id).expect("batches in flight are stored");
            batch.set_sequence(identity, sequence);
            batch.sequence_reset = true;
            batch.count
        });
        if let Some((identity, partitions)) = bumped {
            self.events
                .emit(|| ClientEvent::EpochBumped { producer_epoch: identity.epoch, partitions });
        }
    }

    fn expire(&mut self, now: Instant) {
        let timeout = self.accumulator.config().delivery_timeout;
        let mut expired = self.accumulator.expire(now);
        for batches in self.on_wire.values_mut() {
            batches.retain(|id| {
                let Some(batch) = self.accumulator.batch_mut(*id) else { return false };
                let over = batch.expires_at(timeout) <= now;
                if over {
                    batch.maybe_appended = true;
                    expired.push(*id);
                }
                !over
            });
        }
        for id in expired {
            let error = ClientError::Timeout("delivery.timeout.ms has passed".into());
            self.give_up(id, error, None, AttemptFailure::Expired, SequenceGap::Undecided);
        }
    }

    /// Ends a batch without success.
    fn give_up(
        &mut self,
        id: BatchId,
        error: ClientError,
        code: Option<ResponseError>,
        cause: AttemptFailure,
        gap: SequenceGap,
    ) {
        let expired = cause == AttemptFailure::Expired;
        let Some(batch) = self.accumulator.finish(id) else { return };
        if let Some(idempotence) = &mut self.idempotence {
            idempotence.failed(&batch, code, gap);
            if expired && batch.in_retry() {
                idempotence.mark_unresolved(&batch);
            }
        }
        self.events.emit(|| ClientEvent::BatchFailed { batch: batch.attempt(), cause });
        let fate = if batch.maybe_appended { Fate::Unknown } else { Fate::NotAppended };
        batch.delivery.resolve(BatchOutcome::Failed(SendError { error, fate }));
        self.wake_waiters();
    }

    /// Ends everything at once: the producer is closed, dropped or unable to go on.
    pub(crate) fn abort(&mut self, error: ClientError) {
        for batch in self.on_wire.values().flatten() {
            if let Some(batch) = self.accumulator.batch_mut(*batch) {
                batch.maybe_appended = true;
            }
        }
        let all: Vec<BatchId> = self.accumulator.incomplete().map(|batch| batch.id).collect();
        for id in all {
            let (cause, gap) = (AttemptFailure::Aborted, SequenceGap::Undecided);
            self.give_up(id, error.clone(), None, cause, gap);
        }
    }

    /// Asks for a producer id when one is needed. Returns when to look again.
    fn init_producer_id(&mut self, now: Instant) -> Instant {
        let Some(idempotence) = &mut self.idempotence else { return Instant::FAR_FUTURE };
        match idempotence.init {
            InitProducerId::Due(at) if at > now => return at,
            InitProducerId::Due(_) => {}
            InitProducerId::InFlight | InitProducerId::Done => return Instant::FAR_FUTURE,
        }
        if self.lifecycle != Lifecycle::Running && !self.accumulator.has_incomplete() {
            return Instant::FAR_FUTURE;
        }
        let Some(node) = self.cluster.any_ready_node(now) else { return Instant::FAR_FUTURE };
        idempotence.init = InitProducerId::InFlight;
        self.cluster.send(node, Sent::InitProducerId, now, |_| {
            InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(i32::MAX)
                .with_producer_id(kafka_protocol::messages::ProducerId(-1))
                .with_producer_epoch(-1)
        });
        Instant::FAR_FUTURE
    }

    fn handle(&mut self, event: Event<Sent>, now: Instant) {
        match event.context {
            Sent::InitProducerId => self.handle_producer_id(event.answer, now),
            Sent::Produce(batches) => self.handle_produce(batches, event.answer, now),
        }
    }

    fn handle_producer_id(&mut self, answer: Answer, now: Instant) {
        let Some(idempotence) = &mut self.idempotence else { return };
        let response = match answer {
            Answer::Response { version, body } => {
                decode::<InitProducerIdResponse>(body, version).map_err(ClientError::Protocol)
            }
            Answer::Failed(Failure { cause: FailureCause::UnsupportedVersion, .. }) => {
                Err(ClientError::Broker(ResponseError::UnsupportedVersion))
            }
            Answer::Failed(_) | Answer::NoneExpected => Err(ClientError::Disconnect),
        };
        let outcome = response.and_then(|response| match code_error(response.error_code) {
            None => {
                Ok((ProducerId(response.producer_id.0), ProducerEpoch(response.producer_epoch)))
            }
            Some(code) => Err(ClientError::Broker(code)),
        });
        match outcome {
            Ok((producer_id, producer_epoch)) => {
                self.init_failures = 0;
                idempotence.obtained(producer_id, producer_epoch);
                let obtained = ClientEvent::ProducerIdObtained { producer_id, producer_epoch };
                self.events.emit(|| obtained);
            }
            Err(error) if error.is_retriable() => {
                let delay = self.config.retry.delay(self.init_failures, &mut self.rng);
                self.init_failures += 1;
                idempotence.init = InitProducerId::Due(now + delay);
            }
            Err(error) => {
                idempotence.init = InitProducerId::Done;
                self.fatal = Some(error.clone());
                self.abort(error);
            }
        }
    }

    pub(crate) fn fatal(&self) -> Option<&ClientError> {
        self.fatal.as_ref()
    }

    /// Sends to every broker that has something due. `Instant` is when another partition becomes due.
    fn send_ready(&mut self, now: Instant) -> (Instant, Progress) {
        let mut deadline = Instant::FAR_FUTURE;
        let mut progress = Progress::None;
        let ready = self.accumulator.ready(self.cluster.metadata(), now);
        for topic in &ready.leaderless {
            self.cluster.metadata_mut().add_topic(topic);
            self.cluster.metadata_mut().request_update();
        }
        for broker in ready.nodes {
            let node = NodeKey::Broker(broker);
            match self.cluster.ready(node, now) {
                Readiness::Ready if self.cluster.can_send(node) => {
                    if self.send_to(broker, now) == Progress::Some {
                        progress = Progress::Some;
                    }
                }
                Readiness::Ready | Readiness::Connecting => {}
                Readiness::BackingOff(until) => deadline = deadline.min(until),
            }
        }
        (deadline.min(ready.next_check.unwrap_or(Instant::FAR_FUTURE)), progress)
    }

    fn send_to(&mut self, broker: BrokerId, now: Instant) -> Progress {
        let ids = self.accumulator.drain(
            broker,
            self.cluster.metadata(),
            self.config.max_request_size,
            self.idempotence.as_mut(),
            now,
        );
        if ids.is_empty() {
            return Progress::None;
        }
        let mut sent = Vec::with_capacity(ids.len());
        let mut topics: Vec<TopicProduceData> = Vec::new();
        for id in ids {
            let batch = self.accumulator.batch_mut(id).expect("drained batches are stored");
            let data = PartitionProduceData::default()
                .with_index(batch.partition.partition)
                .with_records(Some(batch.bytes()));
            let topic = batch.partition.topic.as_str();
            match topics.iter_mut().find(|data| data.name.as_str() == topic) {
                Some(known) => known.partition_data.push(data),
                None => topics.push(
                    TopicProduceData::default()
                        .with_name(StrBytes::from_string(topic.to_owned()).into())
                        .with_partition_data(vec![data]),
                ),
            }
            sent.push(SentBatch {
                id,
                partition: batch.partition.clone(),
                sequence: batch.sequence,
                count: batch.count,
            });
            self.events.emit(|| ClientEvent::BatchSent(batch.attempt()));
            self.on_wire.entry(batch.partition.clone()).or_default().push(id);
            if self.config.order == OrderGuard::Mute {
                let partition = batch.partition.clone();
                self.accumulator.mute(&partition);
            }
        }
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(acks_code(self.config.acks))
            .with_timeout_ms(
                i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            )
            .with_topic_data(topics);
        let (node, context) = (NodeKey::Broker(broker), Sent::Produce(sent));
        match self.config.acks {
            Acks::None => self.cluster.send_unanswered(node, context, now, |_| request),
            Acks::Leader | Acks::All => self.cluster.send(node, context, now, |_| request),
        }
        Progress::Some
    }

    fn handle_produce(&mut self, batches: Vec<SentBatch>, answer: Answer, now: Instant) {
        let decoded = match answer {
            Answer::NoneExpected => {
                for sent in batches {
                    self.complete(&sent, PartitionAnswer::unconfirmed(), now);
                }
                return;
            }
            Answer::Failed(failure) => Err(failure),
            Answer::Response { version, body } => decode::<ProduceResponse>(body, version)
                .map_err(|_| Failure { cause: FailureCause::Disconnected, left: Left::Yes }),
        };
        match decoded {
            Err(failure) => {
                for sent in batches {
                    self.complete(&sent, PartitionAnswer::missing(failure), now);
                }
            }
            Ok(response) => {
                for sent in batches {
                    let part = find_partition(&response, &sent.partition);
                    let answer = match part {
                        Some(part) => PartitionAnswer::read(part, self.config.acks),
                        None => PartitionAnswer::missing(Failure {
                            cause: FailureCause::Disconnected,
                            left: Left::Yes,
                        }),
                    };
                    self.complete(&sent, answer, now);
                }
            }
        }
    }

    /// Takes in what became of one attempt at one batch (`Sender.completeBatch`).
    fn complete(&mut self, sent: &SentBatch, answer: PartitionAnswer, now: Instant) {
        if let Some(batches) = self.on_wire.get_mut(&sent.partition) {
            batches.retain(|id| *id != sent.id);
        }
        if self.config.order == OrderGuard::Mute {
            self.accumulator.unmute(&sent.partition);
        }
        let duplicate = answer.error == Some(ResponseError::DuplicateSequenceNumber);
        match answer.error {
            None => self.acked(sent, &answer, duplicate),
            Some(_) if duplicate => self.acked(sent, &answer, duplicate),
            Some(error) => {
                self.failed_attempt(sent, &answer, error, now);
                if is_stale_metadata(error) {
                    self.cluster.metadata_mut().request_update();
                }
            }
        }
    }

    fn acked(&mut self, sent: &SentBatch, answer: &PartitionAnswer, duplicate: bool) {
        if let Some(idempotence) = &mut self.idempotence {
            idempotence.acked(sent, self.accumulator.batch(sent.id), answer.base_offset);
        }
        // A batch that expired meanwhile has ended; its late answer changes nothing for the sender's
        // caller.
        let Some(batch) = self.accumulator.finish(sent.id) else { return };
        self.events.emit(|| ClientEvent::BatchAcked {
            batch: batch.attempt(),
            base_offset: answer.base_offset,
            duplicate,
        });
        batch.delivery.resolve(BatchOutcome::Acked {
            base_offset: answer.base_offset,
            log_append_time: answer.log_append_time,
        });
        self.wake_waiters();
    }

    fn failed_attempt(
        &mut self,
        sent: &SentBatch,
        answer: &PartitionAnswer,
        error: ResponseError,
        now: Instant,
    ) {
        let timeout = self.accumulator.config().delivery_timeout;
        let Some(batch) = self.accumulator.batch_mut(sent.id) else { return };
        batch.maybe_appended |= answer.maybe_appended;
        let cause = answer.cause.clone().unwrap_or(AttemptFailure::Refused(error));
        if error == ResponseError::MessageTooLarge && batch.count > 1 {
            return self.split(sent.id);
        }
        let attempts_left = batch.attempts < self.config.retries;
        let in_time = batch.expires_at(timeout) > now;
        let worth_it = in_time
            && attempts_left
            && match &mut self.idempotence {
                Some(idempotence) => idempotence.can_retry(batch, error, answer.log_start),
                None => error.is_retriable(),
            };
        if worth_it {
            let attempt = batch.attempt();
            self.accumulator.reenqueue(sent.id, now);
            self.events.emit(|| ClientEvent::BatchRetried { batch: attempt, cause });
            return;
        }
        // Without attempts left the last one may have been appended: the gap is not certain.
        let gap = if attempts_left { SequenceGap::Left } else { SequenceGap::Undecided };
        let failure = match (&cause, error) {
            (AttemptFailure::TimedOut, _) => {
                ClientError::Timeout("request.timeout.ms has passed".into())
            }
            (_, ResponseError::MessageTooLarge) => ClientError::RecordTooLarge {
                size: batch.estimated_size(),
                limit: "max.message.bytes",
            },
            (_, error) => ClientError::Broker(error),
        };
        self.give_up(sent.id, failure, Some(error), cause, gap);
    }

    /// Cuts a batch that the broker finds too large. Kafka cuts by `batch.size` and, when that changes
    /// nothing, repeats itself until `delivery.timeout.ms` (KAFKA-8350); here the size is halved then.
    fn split(&mut self, id: BatchId) {
        let config = self.accumulator.config();
        let (compression, limit) = (config.compression, config.batch_size);
        let Some(mut whole) = self.accumulator.finish(id) else { return };
        let halved = limit.min(whole.estimated_size() / 2);
        let parts = whole.split(compression, limit).and_then(|parts| match parts.len() {
            0 | 1 => whole.split(compression, halved),
            _ => Ok(parts),
        });
        let parts = parts.expect("the producer reads what it wrote itself");
        if let Some(idempotence) = &mut self.idempotence {
            idempotence.forget(&whole);
        }
        self.events.emit(|| ClientEvent::BatchFailed {
            batch: whole.attempt(),
            cause: AttemptFailure::Split,
        });
        let delivery = whole.delivery.clone();
        let ids = self.accumulator.replace(whole, parts, self.idempotence.as_mut());
        let mut first = 0;
        let mut split = Vec::with_capacity(ids.len());
        for id in ids {
            let part = self.accumulator.batch(id).expect("stored just above");
            split.push((first, Arc::clone(&part.delivery)));
            first += part.count;
        }
        delivery.resolve(BatchOutcome::Split(split));
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    Some,
    None,
}

impl PartitionAnswer {
    fn read(part: &PartitionProduceResponse, acks: Acks) -> Self {
        let error = code_error(part.error_code);
        PartitionAnswer {
            error,
            cause: None,
            base_offset: (part.base_offset >= 0).then_some(Offset(part.base_offset)),
            log_append_time: (part.log_append_time_ms >= 0)
                .then_some(Timestamp(part.log_append_time_ms)),
            log_start: Offset(part.log_start_offset),
            maybe_appended: error.is_some_and(|error| may_follow_append(error, acks)),
        }
    }

    /// `acks = 0`: taken as done when written.
    fn unconfirmed() -> Self {
        PartitionAnswer {
            error: None,
            cause: None,
            base_offset: None,
            log_append_time: None,
            log_start: Offset(-1),
            maybe_appended: true,
        }
    }

    fn missing(failure: Failure) -> Self {
        let (error, cause) = match (failure.cause, failure.left) {
            (FailureCause::TimedOut, _) => {
                (ResponseError::RequestTimedOut, AttemptFailure::TimedOut)
            }
            (FailureCause::UnsupportedVersion, _) => {
                let error = ResponseError::UnsupportedVersion;
                (error, AttemptFailure::Refused(error))
            }
            (_, Left::Yes) => (ResponseError::NetworkException, AttemptFailure::Disconnected),
            (_, Left::No) => (ResponseError::NetworkException, AttemptFailure::NotSent),
        };
        PartitionAnswer {
            error: Some(error),
            cause: Some(cause),
            maybe_appended: failure.left == Left::Yes,
            ..PartitionAnswer::unconfirmed()
        }
    }
}

/// Errors that a broker may give for records which it has appended. With `acks = all` the leader answers
/// only after replication, and may have lost the partition by then.
fn may_follow_append(error: ResponseError, acks: Acks) -> bool {
    use ResponseError as E;
    match error {
        E::RequestTimedOut
        | E::NotEnoughReplicasAfterAppend
        | E::KafkaStorageError
        | E::UnknownServerError => true,
        E::NotLeaderOrFollower | E::UnknownTopicOrPartition | E::FencedLeaderEpoch => {
            acks == Acks::All
        }
        _ => false,
    }
}

fn acks_code(acks: Acks) -> i16 {
    match acks {
        Acks::None => 0,
        Acks::Leader => 1,
        Acks::All => -1,
    }
}

fn find_partition<'a>(
    response: &'a ProduceResponse,
    partition: &TopicPartition,
) -> Option<&'a PartitionProduceResponse> {
    let topic =
        response.responses.iter().find(|topic| topic.name.as_str() == partition.topic.as_str())?;
    topic.partition_responses.iter().find(|part| part.index == partition.partition)
}
