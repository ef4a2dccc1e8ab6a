//! Accumulator and idempotence together, over random answers: order, single resolution, memory.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        MetadataResponse,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::StrBytes,
};
use proptest::prelude::*;

use super::{
    accumulator::{Accumulator, AccumulatorConfig, Appended},
    batch::BatchId,
    delivery::{BatchOutcome, Fate, SendError, SendFuture},
    idempotence::{Idempotence, SentBatch, SequenceGap},
    record::ProducerRecord,
};
use crate::{
    env::{Instant, Rng},
    kafka::{
        client::{
            error::ClientError,
            network::{AutoCreate, Metadata, WantedTopics},
            retry::Backoff,
        },
        protocol::batch::{Batches, Compression},
        types::{BrokerId, Offset, ProducerEpoch, ProducerId, Timestamp, TopicName},
    },
};

const LEADER: BrokerId = BrokerId(1);

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(10), Duration::from_millis(10))
}

fn accumulator(buffer_memory: usize) -> Accumulator {
    let config = AccumulatorConfig {
        batch_size: 200,
        linger: Duration::from_millis(5),
        buffer_memory,
        delivery_timeout: Duration::from_secs(120),
        retry: backoff(),
        compression: Compression::None,
    };
    Accumulator::new(config, Rng::new(5))
}

/// Topic `t` with this many partitions, all led by [`LEADER`].
fn metadata(partitions: i32) -> Metadata {
    let named = WantedTopics::Named([TopicName::from("t")].into());
    let mut metadata =
        Metadata::new(named, AutoCreate::Allowed, Duration::from_secs(300), backoff());
    let leader = kafka_protocol::messages::BrokerId(LEADER.0);
    let partition = |number| {
        MetadataResponsePartition::default().with_partition_index(number).with_leader_id(leader)
    };
    let topic = MetadataResponseTopic::default()
        .with_name(Some(StrBytes::from_static_str("t").into()))
        .with_partitions((0..partitions).map(partition).collect());
    let response = MetadataResponse::default()
        .with_brokers(vec![MetadataResponseBroker::default().with_node_id(leader)])
        .with_topics(vec![topic]);
    metadata.update(response, Instant::default(), &mut Rng::new(5).stream("metadata"));
    metadata
}

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

fn record(number: u32) -> ProducerRecord {
    let value = Bytes::from(format!("{number:08}"));
    ProducerRecord::new(TopicName::from("t"), None, Some(value))
}

fn append(
    accumulator: &mut Accumulator,
    metadata: &Metadata,
    number: u32,
    now: Instant,
) -> SendFuture {
    let mut ticket = None;
    let record = record(number);
    match accumulator.append(&record, Some(0), Timestamp(0), metadata, &mut ticket, now) {
        Appended::To(future, _) => future,
        Appended::MemoryFull => panic!("memory for record {number}"),
    }
}

fn poll(future: &mut SendFuture) -> Poll<Result<Option<Offset>, SendError>> {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    polled.map(|result| result.map(|metadata| metadata.offset))
}

#[test]
fn a_batch_is_due_when_it_is_full_or_has_lingered() {
    let (mut accumulator, metadata) = (accumulator(1 << 20), metadata(1));
    append(&mut accumulator, &metadata, 0, at(0));
    let ready = accumulator.ready(&metadata, at(1));
    assert!(ready.nodes.is_empty());
    assert_eq!(ready.next_check, Some(at(5)));
    assert!(accumulator.ready(&metadata, at(5)).nodes.contains(&LEADER));
    for number in 1..20 {
        append(&mut accumulator, &metadata, number, at(1));
    }
    assert!(accumulator.ready(&metadata, at(1)).nodes.contains(&LEADER), "a second batch began");
}

#[test]
fn memory_is_taken_by_batches_and_given_back_at_their_end() {
    let (mut accumulator, metadata) = (accumulator(400), metadata(3));
    for partition in 0..2 {
        let mut ticket = None;
        let appended = accumulator.append(
            &record(0),
            Some(partition),
            Timestamp(0),
            &metadata,
            &mut ticket,
            at(0),
        );
        assert!(matches!(appended, Appended::To(..)));
    }
    let (mut first, mut second) = (None, None);
    let try_append = |accumulator: &mut Accumulator, ticket: &mut Option<u64>| {
        let record = record(1);
        let appended = accumulator.append(&record, Some(2), Timestamp(0), &metadata, ticket, at(0));
        matches!(appended, Appended::To(..))
    };
    assert!(!try_append(&mut accumulator, &mut first));
    assert!(!try_append(&mut accumulator, &mut second));
    assert!(accumulator.ready(&metadata, at(0)).nodes.contains(&LEADER), "all is due at once");
    let drained = accumulator.drain(LEADER, &metadata, 1 << 20, None, at(0));
    accumulator.finish(drained[0]);
    assert!(!try_append(&mut accumulator, &mut second), "first come, first served");
    assert!(try_append(&mut accumulator, &mut first));
}

/// What becomes of one request on the wire.
#[derive(Clone, Copy, Debug)]
enum Fortune {
    Acked,
    /// Appended, but the answer is lost.
    AnswerLost,
    /// Not appended.
    RequestLost,
}

fn fortune() -> impl Strategy<Value = Fortune> {
    prop_oneof![Just(Fortune::Acked), Just(Fortune::AnswerLost), Just(Fortune::RequestLost)]
}

/// A leader's log with Kafka's check of sequences.
#[derive(Default)]
struct Leader {
    log: Vec<u32>,
    next: i32,
    epoch: i16,
    places: BTreeMap<(i16, i32), i64>,
}

impl Leader {
    fn append(&mut self, bytes: Bytes) -> Result<i64, ResponseError> {
        let batch = Batches::new(bytes).next().unwrap().unwrap();
        batch.check_crc().unwrap();
        let key = (batch.header.producer_epoch.0, batch.header.base_sequence.0);
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        if key.0 > self.epoch {
            (self.epoch, self.next) = (key.0, 0);
        }
        if key.1 != self.next {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        self.next += batch.header.record_count;
        let place = self.log.len() as i64;
        self.places.insert(key, place);
        for record in batch.records().unwrap() {
            let value = record.unwrap().value.unwrap();
            self.log.push(String::from_utf8(value.to_vec()).unwrap().parse().unwrap());
        }
        Ok(place)
    }
}

/// The producer's side without a network: requests wait in `wire` until their fortune is told.
struct Rig {
    accumulator: Accumulator,
    metadata: Metadata,
    idempotence: Idempotence,
    wire: VecDeque<(SentBatch, Bytes)>,
    leader: Leader,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let mut idempotence = Idempotence::new();
        idempotence.obtained(ProducerId(1), ProducerEpoch(0));
        Rig {
            accumulator: accumulator(1 << 20),
            metadata: metadata(1),
            idempotence,
            wire: VecDeque::new(),
            leader: Leader::default(),
            now: at(0),
        }
    }

    fn renumber(&mut self) {
        self.idempotence.resolve();
        let accumulator = &mut self.accumulator;
        self.idempotence.bump_if_required(&mut |id, identity, sequence| {
            let batch = accumulator.batch_mut(id).unwrap();
            batch.set_sequence(identity, sequence);
            batch.sequence_reset = true;
            batch.count
        });
    }

    /// Sends all that is due, up to five requests on the wire.
    fn send(&mut self) {
        self.renumber();
        while self.wire.len() < 5 {
            self.accumulator.ready(&self.metadata, self.now);
            let idempotence = Some(&mut self.idempotence);
            let ids =
                self.accumulator.drain(LEADER, &self.metadata, 1 << 20, idempotence, self.now);
            if ids.is_empty() {
                return;
            }
            for id in ids {
                let batch = self.accumulator.batch_mut(id).unwrap();
                let (partition, sequence) = (batch.partition.clone(), batch.sequence);
                let sent = SentBatch { id, partition, sequence, count: batch.count };
                self.wire.push_back((sent, batch.bytes()));
            }
        }
    }

    /// The oldest request meets its fortune, as connections keep their order.
    fn tell(&mut self, fortune: Fortune) {
        let Some((sent, bytes)) = self.wire.pop_front() else { return };
        let answer = match fortune {
            Fortune::RequestLost => Err(ResponseError::NetworkException),
            Fortune::AnswerLost => {
                let _ = self.leader.append(bytes);
                Err(ResponseError::NetworkException)
            }
            Fortune::Acked => self.leader.append(bytes),
        };
        match answer {
            Ok(base) => self.acked(&sent, Offset(base)),
            Err(error) => self.failed(sent.id, error),
        }
    }

    fn acked(&mut self, sent: &SentBatch, base: Offset) {
        self.idempotence.acked(sent, self.accumulator.batch(sent.id), Some(base));
        if let Some(batch) = self.accumulator.finish(sent.id) {
            let base_offset = Some(base);
            batch.delivery.resolve(BatchOutcome::Acked { base_offset, log_append_time: None });
        }
    }

    fn failed(&mut self, id: BatchId, error: ResponseError) {
        let Some(batch) = self.accumulator.batch(id) else { return };
        if self.idempotence.can_retry(batch, error, Offset(-1)) {
            return self.accumulator.reenqueue(id, self.now);
        }
        let batch = self.accumulator.finish(id).unwrap();
        self.idempotence.failed(&batch, Some(error), SequenceGap::Left);
        let error = SendError { error: ClientError::Broker(error), fate: Fate::NotAppended };
        batch.delivery.resolve(BatchOutcome::Failed(error));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is lost on the way, with idempotence and enough retries each record is in the log once,
    /// in the order of sending, and each send learns its place.
    #[test]
    fn losses_neither_double_nor_reorder(
        bursts in prop::collection::vec(1..15u32, 1..8),
        fortunes in prop::collection::vec(fortune(), 0..60),
    ) {
        let mut rig = Rig::new();
        let mut futures = Vec::new();
        let mut fortunes = fortunes.into_iter();
        for burst in bursts {
            for _ in 0..burst {
                let number = futures.len() as u32;
                futures.push(append(&mut rig.accumulator, &rig.metadata, number, rig.now));
            }
            rig.now = rig.now + Duration::from_millis(20);
            rig.send();
            for fortune in fortunes.by_ref().take(4) {
                rig.tell(fortune);
            }
        }
        let mut rounds = 0;
        while rig.accumulator.has_incomplete() {
            rig.now = rig.now + Duration::from_millis(20);
            rig.send();
            rig.tell(fortunes.next().unwrap_or(Fortune::Acked));
            rounds += 1;
            prop_assert!(rounds < 2000, "no end with {} on the wire", rig.wire.len());
        }
        let expected: Vec<u32> = (0..futures.len() as u32).collect();
        prop_assert_eq!(&rig.leader.log, &expected);
        for (number, future) in (0..).zip(&mut futures) {
            let resolved = poll(future);
            prop_assert!(matches!(resolved, Poll::Ready(Ok(Some(Offset(at)))) if at == number));
        }
    }
}

#[test]
fn a_retry_waits_for_its_turn_in_sequence_order() {
    let mut rig = Rig::new();
    for number in 0..60 {
        append(&mut rig.accumulator, &rig.metadata, number, rig.now);
    }
    rig.send();
    assert!(rig.wire.len() >= 3, "several batches are in flight");
    // All fail, and come back out of order.
    let mut batches: Vec<_> = rig.wire.drain(..).map(|(sent, _)| sent.id).collect();
    batches.rotate_left(1);
    for id in batches {
        rig.failed(id, ResponseError::NotLeaderOrFollower);
    }
    rig.now = rig.now + Duration::from_millis(50);
    rig.send();
    let first = rig.wire.front().unwrap().0.sequence.unwrap().1;
    assert_eq!(first.0, 0);
    assert_eq!(rig.wire.len(), 1, "the others wait until the first is through");
}

#[test]
fn an_epoch_bump_renumbers_what_waits_from_0() {
    let mut rig = Rig::new();
    for number in 0..40 {
        append(&mut rig.accumulator, &rig.metadata, number, rig.now);
    }
    rig.send();
    let (refused, _) = rig.wire.pop_front().unwrap();
    rig.failed(refused.id, ResponseError::InvalidRecord);
    rig.renumber();
    let next = rig.wire.front().unwrap().0.id;
    let (identity, sequence) = rig.accumulator.batch(next).unwrap().sequence.unwrap();
    assert_eq!(identity.epoch, ProducerEpoch(1));
    assert_eq!(sequence.0, 0);
}
