//! Fetched data between the network and the application: one fetch in flight per broker, answers kept
//! until polled for, records decoded as they are handed out (`AbstractFetch`, `FetchCollector`).
//!
//! Left out: fetch sessions, and skipping the records of aborted transactions
//! (control batches are skipped).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest, FetchResponse,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

use super::{
    read_replicas::ReadReplicas,
    record::{ConsumerRecord, ConsumerRecords, PartitionRecords},
    subscription::Subscription,
};
use crate::env::Instant;
use crate::kafka::{
    client::{
        error::{ClientError, code_error},
        network::{Metadata, is_stale_metadata},
    },
    config::ConsumerConfig,
    protocol::batch::{Batch, Batches, Records},
    types::{BrokerId, LeaderEpoch, Offset, TopicPartition},
};

/// A partition's answer to one fetch, partly handed out.
struct CompletedFetch {
    partition: TopicPartition,
    /// The offset of the next record to hand out.
    next_offset: Offset,
    high_watermark: Offset,
    error: Option<ResponseError>,
    batches: Batches,
    current: Option<(Batch, Records)>,
    initialized: bool,
    /// Some batch was found, if only one that was skipped.
    found_batch: bool,
    /// What stopped the decoding behind records that were handed out first.
    broken: Option<ClientError>,
}

/// What the fetcher found that somebody must act on.
#[derive(Debug)]
pub(crate) enum Found {
    Records(ConsumerRecords),
    /// The position is outside of the log: reset it or tell the application.
    OutOfRange(TopicPartition, Offset),
    Error(ClientError),
}

pub(crate) struct Fetcher {
    config: FetchConfig,
    pending: BTreeSet<BrokerId>,
    completed: VecDeque<CompletedFetch>,
    read_replicas: ReadReplicas,
}

#[derive(Clone, Debug)]
pub(crate) struct FetchConfig {
    min_bytes: i32,
    max_bytes: i32,
    max_wait_ms: i32,
    partition_max_bytes: i32,
    max_poll_records: usize,
    check_crcs: bool,
    isolation_level: i8,
    rack: String,
    /// How long a leader's word about a nearer replica holds.
    metadata_max_age: Duration,
}

impl FetchConfig {
    pub(crate) fn new(config: &ConsumerConfig) -> Self {
        let int = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        FetchConfig {
            min_bytes: int(config.fetch_min_bytes),
            max_bytes: int(config.fetch_max_bytes),
            max_wait_ms: i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            partition_max_bytes: int(config.max_partition_fetch_bytes),
            max_poll_records: config.max_poll_records,
            check_crcs: config.check_crcs,
            isolation_level: i8::from(config.read_committed),
            rack: config.client_rack.clone(),
            metadata_max_age: config.metadata_max_age,
        }
    }
}

/// The partitions and offsets that one fetch asks for.
pub(crate) type FetchPlan = Vec<(TopicPartition, Offset, LeaderEpoch)>;

impl Fetcher {
    pub(crate) fn new(config: FetchConfig) -> Self {
        Fetcher {
            config,
            pending: BTreeSet::new(),
            completed: VecDeque::new(),
            read_replicas: ReadReplicas::default(),
        }
    }

    /// What to fetch from whom: partitions with a position, nothing buffered, and a leader, or the replica
    /// it named, without a fetch in flight. Says so if a partition lacks a leader.
    pub(crate) fn plan(
        &mut self,
        subscription: &Subscription,
        metadata: &Metadata,
        now: Instant,
    ) -> (BTreeMap<BrokerId, FetchPlan>, MissingLeaders) {
        let mut plans: BTreeMap<BrokerId, FetchPlan> = BTreeMap::new();
        let mut missing = MissingLeaders::No;
        for (partition, offset) in subscription.fetchable() {
            if self.completed.iter().any(|fetch| fetch.partition == *partition) {
                continue;
            }
            let known = metadata.partition(partition);
            let Some((leader, epoch)) = known.and_then(|known| Some((known.leader?, known.epoch)))
            else {
                missing = MissingLeaders::Yes;
                continue;
            };
            let from = self.read_replicas.replica(partition, metadata, now).unwrap_or(leader);
            if !self.pending.contains(&from) {
                plans.entry(from).or_default().push((partition.clone(), offset, epoch));
            }
        }
        (plans, missing)
    }

    pub(crate) fn request(&mut self, leader: BrokerId, plan: &FetchPlan) -> FetchRequest {
        self.pending.insert(leader);
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (partition, offset, epoch) in plan {
            let asked = FetchPartition::default()
                .with_partition(partition.partition)
                .with_current_leader_epoch(epoch.0)
                .with_fetch_offset(offset.0)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(self.config.partition_max_bytes);
            match topics.last_mut().filter(|topic| topic.topic.as_str() == partition.topic.as_str())
            {
                Some(topic) => topic.partitions.push(asked),
                None => topics.push(
                    FetchTopic::default()
                        .with_topic(StrBytes::from_string(partition.topic.to_string()).into())
                        .with_partitions(vec![asked]),
                ),
            }
        }
        FetchRequest::default()
            .with_replica_id(kafka_protocol::messages::BrokerId(-1))
            .with_max_wait_ms(self.config.max_wait_ms)
            .with_min_bytes(self.config.min_bytes)
            .with_max_bytes(self.config.max_bytes)
            .with_isolation_level(self.config.isolation_level)
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_rack_id(StrBytes::from_string(self.config.rack.clone()))
            .with_topics(topics)
    }

    /// The broker may be asked again; `response` is `None` if it did not answer. Returns who is to be read
    /// from instead of a leader from now on.
    pub(crate) fn answered(
        &mut self,
        broker: BrokerId,
        plan: &FetchPlan,
        response: Option<FetchResponse>,
        now: Instant,
    ) -> Vec<(TopicPartition, BrokerId)> {
        self.pending.remove(&broker);
        let mut sent_on = Vec::new();
        let Some(response) = response else {
            for (partition, ..) in plan {
                self.read_replicas.forget(partition);
            }
            return sent_on;
        };
        for topic in response.responses {
            for part in topic.partitions {
                let asked = plan.iter().find(|(partition, _, _)| {
                    partition.partition == part.partition_index
                        && partition.topic.as_str() == topic.topic.as_str()
                });
                let Some((partition, offset, _)) = asked else { continue };
                if part.preferred_read_replica.0 >= 0 {
                    let replica = BrokerId(part.preferred_read_replica.0);
                    let until = now + self.config.metadata_max_age;
                    self.read_replicas.choose(partition.clone(), replica, until);
                    sent_on.push((partition.clone(), replica));
                }
                let bytes = part.records.unwrap_or_default();
                self.completed.push_back(CompletedFetch {
                    partition: partition.clone(),
                    next_offset: *offset,
                    high_watermark: Offset(part.high_watermark),
                    error: code_error(part.error_code),
                    batches: Batches::new(bytes),
                    current: None,
                    initialized: false,
                    found_batch: false,
                    broken: None,
                });
            }
        }
        sent_on
    }

    /// Forgets what was fetched for partitions that are no longer assigned.
    pub(crate) fn retain_assigned(&mut self, subscription: &Subscription) {
        self.completed.retain(|fetch| subscription.is_assigned(&fetch.partition));
    }

    /// Hands out up to `max.poll.records` and moves positions past them. An error waits for a poll that
    /// has no records to return. Paused partitions keep what they have.
    pub(crate) fn collect(
        &mut self,
        subscription: &mut Subscription,
        metadata: &mut Metadata,
    ) -> Found {
        let mut records = ConsumerRecords::default();
        let mut remaining = self.config.max_poll_records;
        let mut paused = VecDeque::new();
        let mut failure = None;
        while remaining > 0 {
            let Some(mut fetch) = self.completed.pop_front() else { break };
            if subscription.is_paused(&fetch.partition) {
                paused.push_back(fetch);
                continue;
            }
            if !fetch.initialized
                && !initialize(&mut fetch, subscription, metadata, &mut self.read_replicas)
            {
                match fetch.failure(subscription, &mut self.read_replicas) {
                    None => continue,
                    Some(found) => {
                        if !records.partitions.is_empty() {
                            self.completed.push_front(fetch);
                        }
                        failure = Some(found);
                        break;
                    }
                }
            }
            let usable = subscription.is_fetchable(&fetch.partition)
                && subscription.position(&fetch.partition) == Some(fetch.next_offset);
            if !usable {
                continue;
            }
            match fetch.take(remaining, self.config.check_crcs) {
                Ok(taken) => {
                    remaining -= taken.len();
                    hand_out(&mut records, subscription, &fetch, taken);
                    if !fetch.is_drained() {
                        self.completed.push_front(fetch);
                    }
                }
                Err(error) => {
                    // The application meets the error at this offset on every poll until it seeks.
                    if !records.partitions.is_empty() {
                        self.completed.push_front(fetch);
                    }
                    failure = Some(Found::Error(error));
                    break;
                }
            }
        }
        self.completed.append(&mut paused);
        match failure {
            Some(failure) if records.partitions.is_empty() => failure,
            _ => Found::Records(records),
        }
    }
}

/// Whether some assigned partition has no known leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MissingLeaders {
    Yes,
    No,
}

fn hand_out(
    records: &mut ConsumerRecords,
    subscription: &mut Subscription,
    fetch: &CompletedFetch,
    taken: Vec<ConsumerRecord>,
) {
    let advanced = subscription.position(&fetch.partition) != Some(fetch.next_offset);
    subscription.advance(&fetch.partition, fetch.next_offset);
    if taken.is_empty() && !advanced {
        return;
    }
    let known = records.partitions.iter_mut().find(|known| known.partition == fetch.partition);
    match known {
        Some(known) => {
            known.records.extend(taken);
            known.next_offset = fetch.next_offset;
        }
        None => records.partitions.push(PartitionRecords {
            partition: fetch.partition.clone(),
            records: taken,
            next_offset: fetch.next_offset,
        }),
    }
}

/// Looks at an answer for the first time. `false` if it holds nothing to hand out: it is stale, or an
/// error.
fn initialize(
    fetch: &mut CompletedFetch,
    subscription: &mut Subscription,
    metadata: &mut Metadata,
    read_replicas: &mut ReadReplicas,
) -> bool {
    if subscription.position(&fetch.partition) != Some(fetch.next_offset) {
        return false;
    }
    match fetch.error {
        None => {
            subscription.set_high_watermark(&fetch.partition, fetch.high_watermark);
            fetch.initialized = true;
            true
        }
        Some(error) => {
            if is_stale_metadata(error) || error == ResponseError::OffsetNotAvailable {
                metadata.request_update();
                read_replicas.forget(&fetch.partition);
            }
            false
        }
    }
}

impl CompletedFetch {
    /// What an answer with an error asks for; nothing if the client just tries again.
    fn failure(
        &self,
        subscription: &Subscription,
        read_replicas: &mut ReadReplicas,
    ) -> Option<Found> {
        if subscription.position(&self.partition) != Some(self.next_offset) {
            return None;
        }
        match self.error? {
            // A follower may lag behind; its leader is asked before anything is reset.
            ResponseError::OffsetOutOfRange if read_replicas.forget(&self.partition) => None,
            ResponseError::OffsetOutOfRange => {
                Some(Found::OutOfRange(self.partition.clone(), self.next_offset))
            }
            ResponseError::CorruptMessage => {
                Some(Found::Error(self.corrupt("the broker says so".into())))
            }
            error @ ResponseError::TopicAuthorizationFailed => {
                Some(Found::Error(ClientError::Broker(error)))
            }
            _ => None,
        }
    }

    fn corrupt(&self, reason: String) -> ClientError {
        ClientError::CorruptRecord {
            partition: self.partition.clone(),
            offset: self.next_offset,
            reason,
        }
    }

    fn is_drained(&self) -> bool {
        self.current.is_none() && self.batches.rest().is_empty() && self.broken.is_none()
    }

    /// Up to `limit` records from the position on; the position is behind them afterwards. Batches
    /// without anything for applications only move it. An error behind good records comes with the next
    /// call.
    fn take(&mut self, limit: usize, check_crcs: bool) -> Result<Vec<ConsumerRecord>, ClientError> {
        let mut taken = Vec::new();
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        while taken.len() < limit {
            match self.next_record(check_crcs) {
                Ok(Some(record)) => taken.push(record),
                Ok(None) => break,
                Err(error) if taken.is_empty() => return Err(error),
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            }
        }
        Ok(taken)
    }

    fn next_record(&mut self, check_crcs: bool) -> Result<Option<ConsumerRecord>, ClientError> {
        loop {
            if self.current.is_none() && !self.open_next(check_crcs)? {
                return Ok(None);
            }
            let (batch, records) = self.current.as_mut().expect("opened just above");
            match records.next() {
                // A batch may begin before the offset that was asked for.
                Some(Ok(record)) if record.offset < self.next_offset => {}
                Some(Ok(record)) => {
                    self.next_offset = record.offset + 1;
                    return Ok(Some(ConsumerRecord::new(record, batch.header.leader_epoch)));
                }
                Some(Err(error)) => {
                    let reason = error.to_string();
                    return Err(self.corrupt(reason));
                }
                None => {
                    self.next_offset = self.next_offset.max(batch.header.next_offset());
                    self.current = None;
                }
            }
        }
    }

    /// Opens the next batch that holds records; `false` at the end.
    fn open_next(&mut self, check_crcs: bool) -> Result<bool, ClientError> {
        while let Some(batch) = self.batches.next() {
            self.found_batch = true;
            let opened = batch.and_then(|batch| {
                if check_crcs {
                    batch.check_crc()?;
                }
                let records = batch.records()?;
                Ok((batch, records))
            });
            let (batch, records) = opened.map_err(|error| self.corrupt(error.to_string()))?;
            if batch.header.attributes.is_control() {
                self.next_offset = self.next_offset.max(batch.header.next_offset());
                continue;
            }
            self.current = Some((batch, records));
            return Ok(true);
        }
        // What is left is the beginning of a batch that did not fit into the answer.
        let cut_off = !self.batches.rest().is_empty();
        self.batches = Batches::new(Bytes::new());
        if cut_off && !self.found_batch {
            return Err(self.corrupt("a fetch without one complete batch".into()));
        }
        Ok(false)
    }
}
