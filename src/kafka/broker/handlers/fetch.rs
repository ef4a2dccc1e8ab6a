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

use super::produce::missing;
use crate::kafka::{
    broker::{
        BrokerEndpoint,
        current_leader::CurrentLeaders,
        dispatch::{Answer, Call, open_to_clients},
        fetch_sessions::{
            Answered, Ask, Asks, Demand, Found, Instead, PartitionKey, Read, Reads, TopicKey,
        },
        reading::{Limits, Reader, Wanted, read_or_wait},
        state::Broker,
    },
    log::Slice,
    metadata::{Image, METADATA_TOPIC, METADATA_TOPIC_ID},
    protocol::ResponseError,
    raft::{self, wire::to_fetch_response},
    replica::ReadFrom,
    types::{BrokerEpoch, BrokerId, TopicName},
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

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: FetchRequest = call.request()?;
    if is_about_metadata(&request) {
        return fetch_metadata(broker, call, request).await;
    }
    open_to_clients(broker).await?;
    let demand = demand(&request, call.version());
    let metadata = broker.metadata.images();
    let turn = match broker.fetch_sessions.begin(broker.env.clock.now(), demand, metadata) {
        Ok(turn) => turn,
        Err(code) => {
            return call.answer(&FetchResponse::default().with_error_code(code.code()));
        }
    };
    let mut wanted = look_up(broker, &turn.reads);
    let limits = limits(broker, &request);
    let reader = reader(&request, call.version());
    read_or_wait(broker, &reader, &limits, &mut wanted).await;
    let (mut answers, mut settled) = (Vec::new(), Vec::with_capacity(wanted.len()));
    for (answer, quiet) in wanted.into_iter().map(|one| one.end(&reader)) {
        answers.extend(answer);
        settled.extend(quiet);
    }
    let now = broker.env.clock.now();
    let mut head = broker.fetch_sessions.finish(now, &turn, &mut answers, settled);
    if call.version() >= LEADERS_SINCE {
        head.node_endpoints = tell_leaders(broker, &turn.reads, &mut answers);
    }
    let (topics, records) = by_topic(&turn.reads, answers);
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
fn by_topic(
    reads: &Reads,
    answers: Vec<Answered>,
) -> (Vec<FetchableTopicResponse>, Vec<Option<Slice>>) {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let mut records = Vec::with_capacity(answers.len());
    let mut last = None;
    for Answered { place, mut found } in answers {
        let PartitionKey { topic: key, partition } = &reads[place].key;
        if last != Some(key) {
            let topic = FetchableTopicResponse::default();
            topics.push(match key {
                TopicKey::Name(name) => {
                    topic.with_topic(WireTopicName(StrBytes::from_string(name.to_string())))
                }
                TopicKey::Id(id) => topic.with_topic_id(*id),
            });
            last = Some(key);
        }
        records.push(found.records.take());
        topics.last_mut().expect("one was just added").partitions.push(data(*partition, &found));
    }
    (topics, records)
}

fn data(partition: i32, found: &Found) -> PartitionData {
    let mut data = PartitionData::default();
    data.partition_index = partition;
    data.high_watermark = found.high_watermark.0;
    data.last_stable_offset = found.high_watermark.0;
    data.log_start_offset = found.log_start.0;
    match found.error {
        Some(error) => data.error_code = error.code(),
        None => data.aborted_transactions = None,
    }
    match found.instead {
        Some(Instead::Diverging { epoch, end }) => {
            data.diverging_epoch =
                EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0);
        }
        Some(Instead::ReadFrom(nearer)) => data.preferred_read_replica = WireBrokerId(nearer.0),
        None => {}
    }
    if let Some((leader, epoch)) = found.leader {
        let leader = LeaderIdAndEpoch::default().with_leader_id(WireBrokerId(leader.0));
        data.current_leader = leader.with_leader_epoch(epoch.0);
    }
    data
}

/// As Kafka, those that nobody knows come last.
fn look_up(broker: &Broker, reads: &Reads) -> Vec<Wanted> {
    let image = broker.metadata.image();
    let held = broker.partitions.lock();
    let mut last = None;
    let mut unknown = Vec::new();
    let mut wanted = Vec::with_capacity(reads.len());
    for (place, Read { key, ask, settled }) in reads.iter().enumerate() {
        let known = settled.as_ref().and_then(|settled| settled.partition.upgrade());
        if let (Some(settled), Some(known)) = (settled, known.filter(|it| !it.is_retired())) {
            wanted.push(Wanted::settled(place, *ask, known, settled));
            continue;
        }
        let PartitionKey { topic, partition } = key;
        // Partitions of one topic mostly follow each other.
        let named = match last {
            Some((key, named)) if key == topic => named,
            _ => {
                let name = name(&image, topic);
                name.map(|name| (name, held.get(name)))
            }
        };
        last = Some((topic, named));
        let found = named.and_then(|(name, partitions)| {
            let found = partitions.and_then(|partitions| partitions.get(partition));
            found.cloned().ok_or_else(|| missing(&image, name.as_str(), *partition))
        });
        let one = Wanted::new(place, *ask, found);
        if one.is_unknown() { unknown.push(one) } else { wanted.push(one) }
    }
    wanted.extend(unknown);
    wanted
}

fn name<'a>(image: &'a Image, topic: &'a TopicKey) -> Result<&'a TopicName, ResponseError> {
    match topic {
        TopicKey::Name(name) => Ok(name),
        TopicKey::Id(id) => match image.topic_by_id(*id) {
            Some(topic) => Ok(&topic.name),
            None => Err(ResponseError::UnknownTopicId),
        },
    }
}

/// Beside errors that say that this broker is not the one to ask.
fn tell_leaders(broker: &Broker, reads: &Reads, answers: &mut [Answered]) -> Vec<NodeEndpoint> {
    let is_misled = |answer: &Answered| {
        matches!(
            answer.found.error,
            Some(ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch)
        )
    };
    if !answers.iter().any(is_misled) {
        return Vec::new();
    }
    let mut leaders = CurrentLeaders::new(broker);
    for answer in answers.iter_mut().filter(|answer| is_misled(answer)) {
        let PartitionKey { topic, partition } = &reads[answer.place].key;
        let name = match topic {
            TopicKey::Name(name) => Some(name.to_string()),
            TopicKey::Id(id) => leaders.name(*id),
        };
        answer.found.leader = name.and_then(|name| leaders.tell(&name, *partition));
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
