//! Fetch, 4 to 18: batches as they lie in the log, now or when there are enough of them. They are read when the
//! answer is sent, and not before, as Kafka sends parts of its files.
//!
//! A request that finds fewer than `min_bytes` waits on its partitions until an append wakes it or
//! `max_wait_ms` has passed, and then answers with what there is. In a session (`fetch_sessions`) the request
//! names what has changed, and the answer has what is new. Only committed records are shown: what is below the
//! high watermark.
//!
//! Departure from Kafka: a topic deleted while a session names it by id is UNKNOWN_TOPIC_ID; Kafka, whose
//! session keeps the name, says UNKNOWN_TOPIC_OR_PARTITION or INCONSISTENT_TOPIC_ID.

use std::{collections::HashSet, sync::Arc, time::Duration};

use kafka_protocol::{
    messages::{
        FetchRequest, FetchResponse, TopicName as WireTopicName,
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
    protocol::{StrBytes, VersionRange},
};
use uuid::Uuid;

use super::codes;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call, Close, open_to_clients},
        fetch_sessions::{Answers, Ask, Asks, Demand, Found, PartitionKey, TopicKey},
        partitions::Partition,
        purgatory::Waiter,
        state::Broker,
        ticker::Due,
    },
    log::{MinOneMessage, Slice},
    metadata::{Image, METADATA_TOPIC, METADATA_TOPIC_ID},
    protocol::ResponseError,
    raft::{self, wire::to_fetch_response},
    types::{Offset, TopicName},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 4, max: 18 };
/// From here on topics are named by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// From here on a follower says who it is in a structure of its own.
const REPLICA_STATE_SINCE: i16 = 15;

/// From here on a replica says which high watermark it knows (KIP-1166).
const HIGH_WATERMARK_SINCE: i16 = 18;

/// One asked-for partition, looked up once for all rounds of the request.
struct Wanted {
    ask: Ask,
    partition: i32,
    found: Result<Arc<Partition>, ResponseError>,
}

impl Wanted {
    /// Nobody knows such a partition. That is for the answer alone: no other partition need hurry for it.
    fn is_unknown(&self) -> bool {
        let code = self.found.as_ref().err();
        matches!(code, Some(ResponseError::UnknownTopicId | ResponseError::UnknownTopicOrPartition))
    }
}

/// How much to read, and how long to wait for it.
struct Limits {
    min_bytes: usize,
    max_bytes: usize,
    wait: Duration,
}

/// What one look at all partitions gave, in their order.
struct Round {
    partitions: Vec<Found>,
    bytes: usize,
    failed: bool,
}

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: FetchRequest = call.request()?;
    if is_about_metadata(&request) {
        return fetch_metadata(broker, call, request).await;
    }
    open_to_clients(broker).await?;
    let demand = demand(&request, call.version());
    let turn = match broker.fetch_sessions.begin(broker.env.clock.now(), demand) {
        Ok(turn) => turn,
        Err(code) => {
            return call.answer(&FetchResponse::default().with_error_code(code.code()));
        }
    };
    let (keys, wanted) = look_up(broker, &turn.asks);
    let limits = limits(broker, &request);
    let round = read_or_wait(broker, &limits, &wanted).await;
    let mut answers: Answers = keys.into_iter().zip(round.partitions).collect();
    let head = broker.fetch_sessions.finish(broker.env.clock.now(), &turn, &mut answers);
    let (topics, records) = by_topic(answers);
    call.answer_with_records(head.with_responses(topics), records)
}

/// The metadata's one partition is the quorum's (`ControllerApis.handleFetch`).
fn is_about_metadata(request: &FetchRequest) -> bool {
    let [topic] = &request.topics[..] else { return false };
    topic.topic_id == METADATA_TOPIC_ID || topic.topic.as_str() == METADATA_TOPIC
}

async fn fetch_metadata(
    broker: &Arc<Broker>,
    call: &Call<'_>,
    mut request: FetchRequest,
) -> Answer {
    if call.version() < HIGH_WATERMARK_SINCE {
        for partition in request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.high_watermark = i64::MAX;
        }
    }
    let response = match raft::FetchRequest::try_from(request) {
        Ok(request) => {
            let answer = broker.quorum.ask(raft::Request::Fetch(request)).await;
            answer.ok_or(Close::Stopping)?
        }
        Err(unfit) => raft::Response::Refused(unfit.code()),
    };
    call.answer(&to_fetch_response(&response))
}

fn limits(broker: &Broker, request: &FetchRequest) -> Limits {
    let bytes = |bytes: i32| usize::try_from(bytes).unwrap_or_default();
    let max_bytes = bytes(request.max_bytes).min(broker.config.config.fetch_max_bytes);
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default());
    Limits { min_bytes: bytes(request.min_bytes).min(max_bytes), max_bytes, wait }
}

/// What the request wants, in memory of its own: a session keeps it.
fn demand(request: &FetchRequest, version: i16) -> Demand {
    let topic_ids = version >= TOPIC_IDS_SINCE;
    let topic_key = |name: &WireTopicName, id: Uuid| match topic_ids {
        true => TopicKey::Id(id),
        false => TopicKey::Name(TopicName::from(name.as_str())),
    };
    let mut asks = Asks::new();
    for topic in &request.topics {
        let key = topic_key(&topic.topic, topic.topic_id);
        for asked in &topic.partitions {
            let ask = Ask {
                fetch_offset: asked.fetch_offset,
                max_bytes: asked.partition_max_bytes,
                current_leader_epoch: asked.current_leader_epoch,
            };
            asks.insert(PartitionKey { topic: key.clone(), partition: asked.partition }, ask);
        }
    }
    let mut forgotten = HashSet::new();
    for topic in &request.forgotten_topics_data {
        let key = topic_key(&topic.topic, topic.topic_id);
        let key = |partition: &i32| PartitionKey { topic: key.clone(), partition: *partition };
        forgotten.extend(topic.partitions.iter().map(key));
    }
    let replica = match version {
        REPLICA_STATE_SINCE.. => request.replica_state.replica_id,
        _ => request.replica_id,
    };
    Demand {
        session_id: request.session_id,
        epoch: request.session_epoch,
        privileged: replica.0 >= 0,
        topic_ids,
        asks,
        forgotten,
    }
}

/// Neighbours of one topic together, as Kafka does: partitions keep their order.
fn by_topic(answers: Answers) -> (Vec<FetchableTopicResponse>, Vec<Option<Slice>>) {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let mut records = Vec::with_capacity(answers.len());
    let mut last = None;
    for (PartitionKey { topic: key, .. }, found) in answers {
        if last.as_ref() != Some(&key) {
            let topic = FetchableTopicResponse::default();
            topics.push(match &key {
                TopicKey::Name(name) => {
                    topic.with_topic(WireTopicName(StrBytes::from_string(name.to_string())))
                }
                TopicKey::Id(id) => topic.with_topic_id(*id),
            });
            last = Some(key);
        }
        topics.last_mut().expect("one was just added").partitions.push(found.data);
        records.push(found.records);
    }
    (topics, records)
}

/// As Kafka, those that nobody knows come last.
fn look_up(broker: &Broker, asks: &Asks) -> (Vec<PartitionKey>, Vec<Wanted>) {
    let image = broker.metadata.image();
    let look_up = |key: &PartitionKey, ask: &Ask| Wanted {
        ask: *ask,
        partition: key.partition,
        found: find(broker, &image, key)
            .and_then(|partition| check_epoch(partition, ask.current_leader_epoch)),
    };
    let wanted = asks.iter().map(|(key, ask)| (key.clone(), look_up(key, ask)));
    let (unknown, mut known): (Vec<_>, Vec<_>) =
        wanted.partition(|(_, wanted)| wanted.is_unknown());
    known.extend(unknown);
    known.into_iter().unzip()
}

fn find(
    broker: &Broker,
    image: &Image,
    key: &PartitionKey,
) -> Result<Arc<Partition>, ResponseError> {
    let name = match &key.topic {
        TopicKey::Name(name) => name,
        TopicKey::Id(id) => &image.topic_by_id(*id).ok_or(ResponseError::UnknownTopicId)?.name,
    };
    let found = broker.partitions.find(name.as_str(), key.partition);
    found.ok_or_else(|| super::produce::missing(broker, name.as_str(), key.partition))
}

/// KIP-320: a client that knows another leader epoch must learn of it. -1 for one that does not say.
pub(super) fn check_epoch(
    partition: Arc<Partition>,
    claimed: i32,
) -> Result<Arc<Partition>, ResponseError> {
    let ours = partition.leader_epoch().0;
    match claimed {
        -1 => Ok(partition),
        claimed if claimed < ours => Err(ResponseError::FencedLeaderEpoch),
        claimed if claimed > ours => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(partition),
    }
}

async fn read_or_wait(broker: &Arc<Broker>, limits: &Limits, wanted: &[Wanted]) -> Round {
    let enough = |round: &Round| round.failed || round.bytes >= limits.min_bytes;
    let mut round = read(wanted, limits.max_bytes);
    if enough(&round) || limits.wait.is_zero() || wanted.iter().all(Wanted::is_unknown) {
        return round;
    }
    let waiter = Arc::new(Waiter::default());
    let deadline = broker.env.clock.now() + limits.wait;
    let key = broker.ticker.schedule(deadline, Due::Wake(Arc::clone(&waiter)));
    loop {
        for partition in wanted.iter().flat_map(|wanted| &wanted.found) {
            partition.waiters.add(&waiter);
        }
        // What came between the look and the hanging up woke nobody.
        if !has_moved(wanted, &round) {
            tokio::select! {
                biased;
                () = waiter.wait() => {}
                () = broker.ending.wait() => {}
            }
        }
        round = read(wanted, limits.max_bytes);
        if enough(&round) || broker.env.clock.now() >= deadline || broker.ending.is_stopping() {
            broker.ticker.cancel(key);
            return round;
        }
    }
}

/// Whether a partition shows more than at the last look.
fn has_moved(wanted: &[Wanted], seen: &Round) -> bool {
    wanted.iter().zip(&seen.partitions).any(|(wanted, seen)| {
        wanted.found.as_ref().is_ok_and(|partition| {
            partition.is_retired() || partition.log().high_watermark().0 != seen.data.high_watermark
        })
    })
}

/// Reads what there is, within the limits. The first batch found comes whole, whatever its size.
fn read(wanted: &[Wanted], max_bytes: usize) -> Round {
    let mut round = Round { partitions: Vec::with_capacity(wanted.len()), bytes: 0, failed: false };
    for one in wanted {
        let Wanted { ask, partition, found } = one;
        let room = max_bytes.saturating_sub(round.bytes);
        let limit = room.min(usize::try_from(ask.max_bytes).unwrap_or_default());
        let min_one = if round.bytes == 0 { MinOneMessage::Yes } else { MinOneMessage::No };
        let data = PartitionData::default().with_partition_index(*partition);
        let found = match found {
            // Its topic was deleted while the request waited.
            Ok(partition) if partition.is_retired() => {
                failure(data, ResponseError::UnknownTopicOrPartition)
            }
            Ok(partition) => read_partition(partition, ask, limit, min_one, data),
            Err(code) => failure(data, *code),
        };
        round.failed |= found.data.error_code != 0 && !one.is_unknown();
        round.bytes += found.records.as_ref().map_or(0, Slice::len);
        round.partitions.push(found);
    }
    round
}

fn failure(data: PartitionData, code: ResponseError) -> Found {
    let data = data
        .with_error_code(code.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1);
    Found { data, records: None }
}

fn read_partition(
    partition: &Partition,
    ask: &Ask,
    limit: usize,
    min_one: MinOneMessage,
    data: PartitionData,
) -> Found {
    let log = partition.log();
    let watermark = log.high_watermark();
    let asked = Offset(ask.fetch_offset);
    // Between the watermark and the end there is nothing to show yet, but nothing is wrong either.
    let waits = asked >= watermark && asked <= log.end_offset();
    let located = if waits { Ok(None) } else { log.locate(asked, limit, watermark, min_one) };
    match located {
        Ok(records) => {
            let data = data
                .with_high_watermark(watermark.0)
                .with_last_stable_offset(watermark.0)
                .with_log_start_offset(log.start_offset().0)
                .with_aborted_transactions(None);
            Found { data, records }
        }
        Err(error) => failure(data, codes::of_read(&error)),
    }
}
