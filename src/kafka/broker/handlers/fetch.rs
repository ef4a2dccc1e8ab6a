//! Fetch, 4 to 18: batches as they lie in the log, now or when there are enough of them. They are read when the
//! answer is sent, and not before, as Kafka sends parts of its files.
//!
//! A request that finds fewer than `min_bytes` waits on its partitions until an append wakes it or
//! `max_wait_ms` has passed, and then answers with what there is. In a session (`fetch_sessions`) the request
//! names what has changed, and the answer has what is new. Clients are shown committed records only, what is
//! below the high watermark; followers all. A follower's fetch tells the leader how far it has come.
//!
//! Departure from Kafka: a topic deleted while a session names it by id is UNKNOWN_TOPIC_ID; Kafka, whose
//! session keeps the name, says UNKNOWN_TOPIC_OR_PARTITION or INCONSISTENT_TOPIC_ID.

use std::{collections::HashSet, sync::Arc, time::Duration};

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, FetchRequest, FetchResponse, TopicName as WireTopicName,
        fetch_response::{
            EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
        },
    },
    protocol::{StrBytes, VersionRange},
};
use uuid::Uuid;

use super::codes;
use crate::kafka::{
    broker::{
        BrokerEndpoint,
        current_leader::CurrentLeaders,
        dispatch::{Answer, Call, open_to_clients},
        fetch_sessions::{Answers, Ask, Asks, Demand, Found, PartitionKey, TopicKey},
        partitions::{Held, Partition},
        purgatory::Waiter,
        replication::Aftermath,
        state::Broker,
        ticker::Due,
    },
    log::{MinOneMessage, Slice},
    metadata::{Image, METADATA_TOPIC, METADATA_TOPIC_ID},
    protocol::ResponseError,
    raft::{self, wire::to_fetch_response},
    replica::{FetchOutcome, FollowerFetch, ReadFrom, ReadPosition, Replica, Visibility},
    types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicName},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 4, max: 18 };
/// From here on topics are named by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// From here on a follower says who it is in a structure of its own.
const REPLICA_STATE_SINCE: i16 = 15;
/// From here on a client may read from followers and names its rack (KIP-392).
const FOLLOWERS_READ_SINCE: i16 = 11;
/// From here on an answer tells the present leader (KIP-951).
const LEADERS_SINCE: i16 = 16;

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

/// Who fetches.
enum Reader {
    Follower {
        id: BrokerId,
        epoch: BrokerEpoch,
    },
    Client {
        from: ReadFrom,
        /// Empty if it does not say.
        rack: String,
    },
}

/// Whether a follower's fetch is news, or was heard of and waited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    Again,
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
    /// How far each partition could be read at that look.
    seen: Vec<Offset>,
    bytes: usize,
    /// There is something to tell beside records.
    is_news: bool,
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
    let reader = reader(&request, call.version());
    let round = read_or_wait(broker, &reader, &limits, &wanted).await;
    let mut answers: Answers = keys.into_iter().zip(round.partitions).collect();
    let mut head = broker.fetch_sessions.finish(broker.env.clock.now(), &turn, &mut answers);
    if call.version() >= LEADERS_SINCE {
        head.node_endpoints = tell_leaders(broker, &mut answers);
    }
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
    let response = broker.quorum.ask_replica(request, raft::Request::Fetch).await?;
    call.answer(&to_fetch_response(&response))
}

fn replica(request: &FetchRequest, version: i16) -> (BrokerId, BrokerEpoch) {
    match version {
        REPLICA_STATE_SINCE.. => {
            let state = &request.replica_state;
            (BrokerId(state.replica_id.0), BrokerEpoch(state.replica_epoch))
        }
        _ => (BrokerId(request.replica_id.0), BrokerEpoch::NONE),
    }
}

fn reader(request: &FetchRequest, version: i16) -> Reader {
    match replica(request, version) {
        (id, epoch) if id.0 >= 0 => Reader::Follower { id, epoch },
        _ if version >= FOLLOWERS_READ_SINCE => {
            Reader::Client { from: ReadFrom::AnyReplica, rack: request.rack_id.to_string() }
        }
        _ => Reader::Client { from: ReadFrom::Leader, rack: String::new() },
    }
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
                last_fetched_epoch: asked.last_fetched_epoch,
                log_start_offset: asked.log_start_offset,
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
    Demand {
        session_id: request.session_id,
        epoch: request.session_epoch,
        privileged: replica(request, version).0.0 >= 0,
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
        found: find(broker, &image, key),
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

/// -1 for one that does not say.
pub(super) fn known_epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}

/// Beside errors that say that this broker is not the one to ask.
fn tell_leaders(broker: &Broker, answers: &mut Answers) -> Vec<NodeEndpoint> {
    let is_misled = |found: &Found| {
        let code = found.data.error_code;
        code == ResponseError::NotLeaderOrFollower.code()
            || code == ResponseError::FencedLeaderEpoch.code()
    };
    if !answers.iter().any(|(_, found)| is_misled(found)) {
        return Vec::new();
    }
    let mut leaders = CurrentLeaders::new(broker);
    for (key, found) in answers.iter_mut().filter(|(_, found)| is_misled(found)) {
        let name = match &key.topic {
            TopicKey::Name(name) => Some(name.to_string()),
            TopicKey::Id(id) => leaders.name(*id),
        };
        if let Some((leader, epoch)) = name.and_then(|name| leaders.tell(&name, key.partition)) {
            found.data.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(WireBrokerId(leader.0))
                .with_leader_epoch(epoch.0);
        }
    }
    let endpoint = |broker: BrokerEndpoint| {
        NodeEndpoint::default()
            .with_node_id(WireBrokerId(broker.id.0))
            .with_host(StrBytes::from_string(broker.advertised.host))
            .with_port(i32::from(broker.advertised.port))
            .with_rack(broker.rack.map(StrBytes::from_string))
    };
    leaders.endpoints().map(endpoint).collect()
}

async fn read_or_wait(
    broker: &Arc<Broker>,
    reader: &Reader,
    limits: &Limits,
    wanted: &[Wanted],
) -> Round {
    let enough = |round: &Round| round.is_news || round.bytes >= limits.min_bytes;
    let mut round = read(broker, reader, Look::First, wanted, limits.max_bytes);
    if enough(&round) || limits.wait.is_zero() || wanted.iter().all(Wanted::is_unknown) {
        return round;
    }
    let waiter = Arc::new(Waiter::default());
    let deadline = broker.env.clock.now() + limits.wait;
    let key = broker.ticker.schedule(deadline, Due::Wake(Arc::clone(&waiter)));
    loop {
        for partition in wanted.iter().flat_map(|wanted| &wanted.found) {
            match reader {
                Reader::Follower { .. } => partition.followers.add(&waiter),
                Reader::Client { .. } => partition.waiters.add(&waiter),
            }
        }
        // What came between the look and the hanging up woke nobody.
        if !has_moved(reader, wanted, &round) {
            tokio::select! {
                biased;
                () = waiter.wait() => {}
                () = broker.ending.wait() => {}
            }
        }
        round = read(broker, reader, Look::Again, wanted, limits.max_bytes);
        if enough(&round) || broker.env.clock.now() >= deadline || broker.ending.is_stopping() {
            broker.ticker.cancel(key);
            return round;
        }
    }
}

/// Whether a partition shows more than at the last look, or nothing any more.
fn has_moved(reader: &Reader, wanted: &[Wanted], round: &Round) -> bool {
    wanted.iter().zip(&round.seen).any(|(wanted, seen)| {
        wanted.found.as_ref().is_ok_and(|partition| {
            let held = partition.held();
            let is_lost = matches!(reader, Reader::Follower { .. }) && held.leads().is_none();
            is_lost || partition.is_retired() || readable_end(reader, &held) != *seen
        })
    })
}

fn readable_end(reader: &Reader, held: &Held) -> Offset {
    match reader {
        Reader::Follower { .. } => held.log.end_offset(),
        Reader::Client { .. } => held.log.high_watermark(),
    }
}

/// Reads what there is, within the limits. The first batch found comes whole, whatever its size.
fn read(
    broker: &Broker,
    reader: &Reader,
    look: Look,
    wanted: &[Wanted],
    max_bytes: usize,
) -> Round {
    let mut round = Round {
        partitions: Vec::with_capacity(wanted.len()),
        seen: Vec::with_capacity(wanted.len()),
        bytes: 0,
        is_news: false,
    };
    for one in wanted {
        let Wanted { ask, partition, found } = one;
        let room = max_bytes.saturating_sub(round.bytes);
        let limit = room.min(usize::try_from(ask.max_bytes).unwrap_or_default());
        let min_one = if round.bytes == 0 { MinOneMessage::Yes } else { MinOneMessage::No };
        let data = PartitionData::default().with_partition_index(*partition);
        let (seen, found) = match found {
            // Its topic was deleted while the request waited.
            Ok(partition) if partition.is_retired() => {
                (Offset(-1), failure(data, ResponseError::UnknownTopicOrPartition))
            }
            Ok(partition) => {
                let reading = Reading { broker, partition, ask, limit, min_one };
                reading.read(reader, look, data)
            }
            Err(code) => (Offset(-1), failure(data, *code)),
        };
        round.is_news |= is_news(&found.data) && !one.is_unknown();
        round.bytes += found.records.as_ref().map_or(0, Slice::len);
        round.seen.push(seen);
        round.partitions.push(found);
    }
    round
}

fn is_news(data: &PartitionData) -> bool {
    data.error_code != 0 || data.diverging_epoch.epoch >= 0 || data.preferred_read_replica.0 >= 0
}

fn failure(data: PartitionData, code: ResponseError) -> Found {
    let data = data
        .with_error_code(code.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1);
    Found { data, records: None }
}

/// One look at one partition.
struct Reading<'a> {
    broker: &'a Broker,
    partition: &'a Partition,
    ask: &'a Ask,
    limit: usize,
    min_one: MinOneMessage,
}

impl Reading<'_> {
    /// Tells how far the partition could be read, too.
    fn read(&self, reader: &Reader, look: Look, data: PartitionData) -> (Offset, Found) {
        let mut held = self.partition.held();
        let seen = readable_end(reader, &held);
        let index = data.partition_index;
        let data = data.with_aborted_transactions(None);
        let mut after = Aftermath::default();
        let found = match (reader, &held.replica) {
            // The log of metadata; its observers read what is committed.
            (_, None) => self.committed(&held, held.log.high_watermark(), data),
            (Reader::Follower { id, epoch }, Some(_)) => {
                let fetch = self.follower_fetch(*id, *epoch);
                let (found, left) = self.for_follower(&mut held, &fetch, look, data);
                after = left;
                found
            }
            (Reader::Client { from, rack }, Some(replica)) => {
                self.for_client(&held, replica, *from, rack, data)
            }
        };
        drop(held);
        self.partition.follow_up(self.broker, ((), after));
        let failed = |code| failure(PartitionData::default().with_partition_index(index), code);
        (seen, found.unwrap_or_else(failed))
    }

    fn follower_fetch(&self, follower: BrokerId, broker_epoch: BrokerEpoch) -> FollowerFetch {
        FollowerFetch {
            follower,
            broker_epoch,
            current_leader_epoch: known_epoch(self.ask.current_leader_epoch),
            fetch_offset: Offset(self.ask.fetch_offset),
            last_fetched_epoch: known_epoch(self.ask.last_fetched_epoch),
            log_start: Offset(self.ask.log_start_offset),
        }
    }

    /// The records are looked for before the replica hears of the fetch, which may raise the high watermark.
    fn for_follower(
        &self,
        held: &mut Held,
        fetch: &FollowerFetch,
        look: Look,
        data: PartitionData,
    ) -> (Result<Found, ResponseError>, Aftermath) {
        let located = self.locate(held, held.log.end_offset());
        let (judged, after) = match look {
            Look::First => held.drive(self.broker, self.partition, &[], |replica, facts, fx| {
                Some(replica.handle_fetch(facts, fetch, fx))
            }),
            Look::Again => {
                let replica = held.replica.as_ref().expect("seen by the caller");
                (Some(replica.check_fetch(&held.log, fetch)), Aftermath::default())
            }
        };
        let found = judged.expect("there is a replica").and_then(|answer| {
            let data = data
                .with_high_watermark(answer.high_watermark.0)
                .with_last_stable_offset(answer.high_watermark.0)
                .with_log_start_offset(answer.log_start.0);
            match answer.outcome {
                FetchOutcome::Records => Ok(Found { data, records: located? }),
                FetchOutcome::Diverging { epoch, end } => Ok(diverging(data, epoch, end)),
            }
        });
        (found, after)
    }

    fn for_client(
        &self,
        held: &Held,
        replica: &Replica,
        from: ReadFrom,
        rack: &str,
        data: PartitionData,
    ) -> Result<Found, ResponseError> {
        let position = replica.check_read(
            &held.log,
            from,
            known_epoch(self.ask.current_leader_epoch),
            Offset(self.ask.fetch_offset),
            known_epoch(self.ask.last_fetched_epoch),
            Visibility::HighWatermark,
        )?;
        let upto = match position {
            ReadPosition::UpTo(upto) => upto,
            ReadPosition::Diverging { epoch, end } => {
                return Ok(diverging(marked(held, data), epoch, end));
            }
        };
        if self.broker.config.config.replication.rack_aware_reads
            && let Some(leader) = replica.leader()
            && let Some(nearer) = leader.preferred_read_replica(
                held.facts(self.broker),
                rack,
                Offset(self.ask.fetch_offset),
            )
        {
            let data = marked(held, data).with_preferred_read_replica(WireBrokerId(nearer.0));
            return Ok(Found { data, records: None });
        }
        self.committed(held, upto, data)
    }

    /// Between `upto` and the end there is nothing to show yet, but nothing is wrong either.
    fn committed(
        &self,
        held: &Held,
        upto: Offset,
        data: PartitionData,
    ) -> Result<Found, ResponseError> {
        let records = self.locate(held, upto)?;
        Ok(Found { data: marked(held, data), records })
    }

    fn locate(&self, held: &Held, upto: Offset) -> Result<Option<Slice>, ResponseError> {
        let asked = Offset(self.ask.fetch_offset);
        if asked >= upto && asked <= held.log.end_offset() {
            return Ok(None);
        }
        let located = held.log.locate(asked, self.limit, upto, self.min_one);
        located.map_err(|error| codes::of_read(&error))
    }
}

fn marked(held: &Held, data: PartitionData) -> PartitionData {
    data.with_high_watermark(held.log.high_watermark().0)
        .with_last_stable_offset(held.log.high_watermark().0)
        .with_log_start_offset(held.log.start_offset().0)
}

fn diverging(data: PartitionData, epoch: LeaderEpoch, end: Offset) -> Found {
    let diverging = EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0);
    Found { data: data.with_diverging_epoch(diverging), records: None }
}
