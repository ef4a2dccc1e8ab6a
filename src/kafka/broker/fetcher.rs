//! Following: one task for each broker that this one fetches from (`ReplicaFetcherThread`).
//!
//! A round asks what the replicas want to know, each kind of question in one request for all partitions:
//! first where epochs end and where the leader's logs begin and end, then Fetch, which waits at the leader for
//! records. `num.replica.fetchers` is not modelled.
//!
//! Departure from Kafka: a cut is synced before the next round writes over it. Else a power loss may undo a part of it:
//! old records among new ones, behind which the follower goes on as if it had the leader's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, FetchRequest, FetchResponse, ListOffsetsRequest,
        OffsetForLeaderEpochRequest, TopicName as WireTopicName,
        fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState},
        fetch_response::PartitionData,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
    protocol::StrBytes,
};
use tokio::sync::Notify;

use super::{
    fetcher_session::{Ask, ClientSession, Key, Wanted},
    observer::{Event, ReplicaChange},
    partitions::Partition,
    peer::{Peer, PeerError},
    state::Broker,
};
use crate::{
    env::Instant,
    kafka::{
        protocol::ResponseError,
        replica::{Answer, Brokers, FollowerRequest, Question},
        types::{BrokerId, LeaderEpoch, Offset, TopicPartition},
    },
};

/// As brokers of one version speak them to each other.
const FETCH_VERSION: i16 = 17;
const EPOCH_VERSION: i16 = 4;
const LIST_OFFSETS_VERSION: i16 = 9;
/// `ListOffsetsRequest`'s questions that are no timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// The fetched leaders.
#[derive(Default)]
pub(super) struct Fetchers {
    by_leader: Mutex<BTreeMap<BrokerId, Arc<Fetcher>>>,
}

struct Fetcher {
    leader: BrokerId,
    partitions: Mutex<BTreeMap<TopicPartition, Arc<Partition>>>,
    /// A partition came.
    changed: Notify,
}

/// A partition, and what it wants to know.
struct Asked {
    partition: Arc<Partition>,
    request: FollowerRequest,
    log_start: Offset,
}

impl Asked {
    fn key(&self) -> Key {
        (self.partition.topic_id, self.partition.id.partition)
    }
}

/// Partitions whose logs were cut in a round.
type Cut = Vec<Arc<Partition>>;

/// What a round asks, by kind.
#[derive(Default)]
struct Round {
    fetches: Vec<Asked>,
    epochs: Vec<Asked>,
    offsets: Vec<Asked>,
    /// When there may be more to ask.
    next: Option<Instant>,
}

impl Fetchers {
    /// Fetches a partition from this leader from now on, or from nobody.
    pub fn assign(
        &self,
        broker: &Arc<Broker>,
        partition: &Arc<Partition>,
        leader: Option<BrokerId>,
    ) {
        let mut by_leader = self.by_leader.lock().expect("no panic while it is locked");
        for fetcher in by_leader.values().filter(|fetcher| Some(fetcher.leader) != leader) {
            fetcher.lock().remove(&partition.id);
        }
        let Some(leader) = leader else { return };
        let fetcher = by_leader.entry(leader).or_insert_with(|| {
            let fetcher =
                Arc::new(Fetcher { leader, partitions: Mutex::default(), changed: Notify::new() });
            let (task, of) = (Arc::clone(broker), Arc::clone(&fetcher));
            broker.env.tasks.spawn("fetcher", Box::pin(run(task, of)));
            fetcher
        });
        fetcher.lock().insert(partition.id.clone(), Arc::clone(partition));
        fetcher.changed.notify_one();
    }

    /// For a partition that is gone.
    pub fn forget(&self, partition: &TopicPartition) {
        for fetcher in self.by_leader.lock().expect("no panic while it is locked").values() {
            fetcher.lock().remove(partition);
        }
    }
}

impl Fetcher {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Arc<Partition>>> {
        self.partitions.lock().expect("no panic while it is locked")
    }

    fn collect(&self, broker: &Broker) -> Round {
        let mut round = Round::default();
        let partitions: Vec<_> = self.lock().values().cloned().collect();
        round.fetches.reserve(partitions.len());
        for partition in partitions {
            let mut held = partition.held();
            let mut next = held.next_deadline();
            if next <= broker.env.clock.now() {
                let driven = held.drive(broker, &partition, &[], |replica, facts, effects| {
                    replica.handle_deadline(facts, effects);
                });
                next = held.next_deadline();
                drop(held);
                partition.follow_up(broker, driven);
                held = partition.held();
            }
            let request = held.replica.as_ref().and_then(|it| it.next_request(held.facts(broker)));
            let log_start = held.log.start_offset();
            drop(held);
            let Some(request) = request.filter(|request| request.leader == self.leader) else {
                round.next = Some(round.next.map_or(next, |other| other.min(next)));
                continue;
            };
            let of_kind = match request.question {
                Question::Fetch { .. } => &mut round.fetches,
                Question::EpochEnd(_) => &mut round.epochs,
                Question::LatestOffset | Question::EarliestOffset => &mut round.offsets,
            };
            of_kind.push(Asked { partition, request, log_start });
        }
        // Topics by id, as sessions know them; few, each of which is in order.
        round.fetches.sort_by_key(Asked::key);
        round
    }
}

/// Runs until the broker stops.
async fn run(broker: Arc<Broker>, fetcher: Arc<Fetcher>) {
    // Metadata that names a leader has its registration.
    let Some(endpoint) = broker.endpoint(fetcher.leader) else { return };
    let mut peer = Peer::new(endpoint.advertised, broker.config.config.replication.request_timeout);
    let mut session = ClientSession::default();
    while !broker.ending.is_stopping() {
        let round = fetcher.collect(&broker);
        if round.fetches.is_empty() && round.epochs.is_empty() && round.offsets.is_empty() {
            let next = round.next.unwrap_or(Instant::FAR_FUTURE);
            tokio::select! {
                biased;
                () = broker.ending.wait() => return,
                () = fetcher.changed.notified() => {}
                () = broker.env.clock.sleep_until(next) => {}
            }
            continue;
        }
        if !peer.is_connected()
            && let Some(endpoint) = broker.endpoint(fetcher.leader)
        {
            peer.moved_to(endpoint.advertised);
        }
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = ask(&broker, &mut peer, &mut session, round) => {}
        }
    }
}

async fn ask(broker: &Arc<Broker>, peer: &mut Peer, session: &mut ClientSession, round: Round) {
    let mut cut = Cut::default();
    if !round.epochs.is_empty() {
        ask_epochs(broker, peer, &round.epochs, &mut cut).await;
    }
    if !round.offsets.is_empty() {
        ask_offsets(broker, peer, &round.offsets, &mut cut).await;
    }
    if !round.fetches.is_empty() {
        fetch(broker, peer, session, &round.fetches, &mut cut).await;
    }
    for partition in cut {
        // One that fails takes the broker down.
        let _ = partition.flush(broker).await;
    }
}

/// Tells a replica what came of its question.
fn tell(
    broker: &Broker,
    asked: &Asked,
    answer: Result<Answer, ResponseError>,
    fetched: &[u8],
    cut: &mut Cut,
) {
    let Asked { partition, request, .. } = asked;
    if let Err(error) = &answer {
        tracing::debug!(partition = %partition.id, leader = request.leader.0, %error, "not fetched");
    }
    let mut held = partition.held();
    if partition.is_retired() {
        return;
    }
    if let Ok(Answer::Diverging { epoch, end, .. }) = answer
        && held.replicas > 1
    {
        let change = ReplicaChange::Diverged { leader: request.leader, epoch, end };
        let (partition, topic_id) = (partition.id.clone(), partition.topic_id);
        broker.observe(Event::Replica { partition, topic_id, change });
    }
    let driven = held.drive(broker, partition, fetched, |replica, facts, effects| {
        replica.handle_answer(facts, request, answer, effects);
    });
    let syncs_cuts = held.log.syncs_cuts();
    drop(held);
    if driven.1.has_cut() && syncs_cuts {
        cut.push(Arc::clone(partition));
    }
    partition.follow_up(broker, driven);
    if !fetched.is_empty() {
        partition.schedule_flush(broker);
    }
}

fn tell_all(broker: &Broker, asked: &[Asked], error: &PeerError, cut: &mut Cut) {
    tracing::debug!(%error, "leader not reached");
    for asked in asked {
        tell(broker, asked, Err(ResponseError::NetworkException), &[], cut);
    }
}

fn of_code(code: i16) -> Result<(), ResponseError> {
    match code {
        0 => Ok(()),
        code => {
            Err(ResponseError::try_from_code(code).unwrap_or(ResponseError::UnknownServerError))
        }
    }
}

fn number(epoch: Option<LeaderEpoch>) -> i32 {
    epoch.map_or(-1, |epoch| epoch.0)
}

fn wire_name(partition: &Partition) -> WireTopicName {
    WireTopicName(StrBytes::from_string(partition.id.topic.to_string()))
}

/// Those of one topic together.
fn by_topic<P>(
    asked: &[Asked],
    of: impl Fn(&Asked) -> P,
) -> impl Iterator<Item = (WireTopicName, Vec<P>)> {
    let mut topics: Vec<(WireTopicName, Vec<P>)> = Vec::new();
    for asked in asked {
        let name = wire_name(&asked.partition);
        match topics.last_mut().filter(|(last, _)| *last == name) {
            Some((_, partitions)) => partitions.push(of(asked)),
            None => topics.push((name, vec![of(asked)])),
        }
    }
    topics.into_iter()
}

async fn ask_epochs(broker: &Broker, peer: &mut Peer, asked: &[Asked], cut: &mut Cut) {
    let partition = |asked: &Asked| {
        let Question::EpochEnd(epoch) = asked.request.question else {
            unreachable!("sorted by kind")
        };
        OffsetForLeaderPartition::default()
            .with_partition(asked.partition.id.partition)
            .with_current_leader_epoch(number(asked.request.current_leader_epoch))
            .with_leader_epoch(epoch.0)
    };
    let topics = by_topic(asked, partition).map(|(name, partitions)| {
        OffsetForLeaderTopic::default().with_topic(name).with_partitions(partitions)
    });
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id(WireBrokerId(broker.id().0))
        .with_topics(topics.collect());
    let response = match peer.ask(broker, EPOCH_VERSION, &request).await {
        Ok(response) => response,
        Err(error) => return tell_all(broker, asked, &error, cut),
    };
    for topic in &response.topics {
        for data in &topic.partitions {
            let found = asked.iter().find(|asked| {
                *topic.topic == *asked.partition.id.topic.as_str()
                    && asked.partition.id.partition == data.partition
            });
            let end = (data.leader_epoch >= 0)
                .then_some((LeaderEpoch(data.leader_epoch), Offset(data.end_offset)));
            if let Some(asked) = found {
                let answer = of_code(data.error_code).map(|()| Answer::EpochEnd(end));
                tell(broker, asked, answer, &[], cut);
            }
        }
    }
}

async fn ask_offsets(broker: &Broker, peer: &mut Peer, asked: &[Asked], cut: &mut Cut) {
    let partition = |asked: &Asked| {
        let timestamp = match asked.request.question {
            Question::LatestOffset => LATEST,
            _ => EARLIEST,
        };
        ListOffsetsPartition::default()
            .with_partition_index(asked.partition.id.partition)
            .with_current_leader_epoch(number(asked.request.current_leader_epoch))
            .with_timestamp(timestamp)
    };
    let topics = by_topic(asked, partition).map(|(name, partitions)| {
        ListOffsetsTopic::default().with_name(name).with_partitions(partitions)
    });
    let request = ListOffsetsRequest::default()
        .with_replica_id(WireBrokerId(broker.id().0))
        .with_topics(topics.collect());
    let response = match peer.ask(broker, LIST_OFFSETS_VERSION, &request).await {
        Ok(response) => response,
        Err(error) => return tell_all(broker, asked, &error, cut),
    };
    for topic in &response.topics {
        for data in &topic.partitions {
            let found = asked.iter().find(|asked| {
                *topic.name == *asked.partition.id.topic.as_str()
                    && asked.partition.id.partition == data.partition_index
            });
            if let Some(asked) = found {
                let answer = of_code(data.error_code).map(|()| Answer::Offset(Offset(data.offset)));
                tell(broker, asked, answer, &[], cut);
            }
        }
    }
}

/// `asked` is in the order of keys.
async fn fetch(
    broker: &Broker,
    peer: &mut Peer,
    session: &mut ClientSession,
    asked: &[Asked],
    cut: &mut Cut,
) {
    let wanted = asked.iter().filter_map(|asked| {
        let Question::Fetch { offset, last_fetched_epoch } = asked.request.question else {
            return None;
        };
        let current_leader_epoch = asked.request.current_leader_epoch;
        let log_start = asked.log_start;
        let wanted = Wanted { offset, last_fetched_epoch, current_leader_epoch, log_start };
        Some((asked.key(), wanted))
    });
    let request = fetch_request(broker, session.ask(wanted.collect()));
    let response = match peer.ask(broker, FETCH_VERSION, &request).await {
        Ok(response) => response,
        Err(error) => {
            session.reset();
            return tell_all(broker, asked, &error, cut);
        }
    };
    match session.answered(&response) {
        Ok(()) => {}
        // The next request, at once, is a full one.
        Err(
            ResponseError::FetchSessionIdNotFound
            | ResponseError::InvalidFetchSessionEpoch
            | ResponseError::FetchSessionTopicIdError,
        ) => return,
        Err(error) => {
            return asked.iter().for_each(|asked| tell(broker, asked, Err(error), &[], cut));
        }
    }
    take_fetched(broker, asked, &response, cut);
}

fn take_fetched(broker: &Broker, asked: &[Asked], response: &FetchResponse, cut: &mut Cut) {
    for topic in &response.responses {
        for data in &topic.partitions {
            let key = (topic.topic_id, data.partition_index);
            let Ok(at) = asked.binary_search_by_key(&key, Asked::key) else { continue };
            let asked = &asked[at];
            let records = data.records.as_ref().map_or(&[][..], Bytes::as_ref);
            let answer = of_code(data.error_code).map(|()| answer(data));
            let records = if answer.is_ok() { records } else { &[] };
            tell(broker, asked, answer, records, cut);
        }
    }
}

fn answer(data: &PartitionData) -> Answer {
    let high_watermark = Offset(data.high_watermark);
    let diverging = &data.diverging_epoch;
    if diverging.epoch >= 0 {
        let (epoch, end) = (LeaderEpoch(diverging.epoch), Offset(diverging.end_offset));
        return Answer::Diverging { epoch, end, high_watermark };
    }
    Answer::Fetched { high_watermark, log_start: Offset(data.log_start_offset) }
}

fn fetch_request(broker: &Broker, ask: Ask) -> FetchRequest {
    let config = &broker.config.config;
    let mut topics: Vec<FetchTopic> = Vec::new();
    for ((topic_id, index), wanted) in ask.changed {
        let partition = FetchPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(number(wanted.current_leader_epoch))
            .with_fetch_offset(wanted.offset.0)
            .with_last_fetched_epoch(number(wanted.last_fetched_epoch))
            .with_log_start_offset(wanted.log_start.0)
            .with_partition_max_bytes(config.replication.fetch_max_bytes);
        match topics.last_mut().filter(|last| last.topic_id == topic_id) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                FetchTopic::default().with_topic_id(topic_id).with_partitions(vec![partition]),
            ),
        }
    }
    let forgotten = ask.forgotten.into_iter().map(|(topic_id, index)| {
        ForgottenTopic::default().with_topic_id(topic_id).with_partitions(vec![index])
    });
    let replica = ReplicaState::default()
        .with_replica_id(WireBrokerId(broker.id().0))
        .with_replica_epoch(broker.own_epoch().0);
    let wait = config.replica_fetch_wait.as_millis();
    FetchRequest::default()
        .with_replica_state(replica)
        .with_max_wait_ms(i32::try_from(wait).unwrap_or(i32::MAX))
        .with_min_bytes(config.replication.fetch_min_bytes)
        .with_max_bytes(config.replication.fetch_response_max_bytes)
        .with_session_id(ask.session_id)
        .with_session_epoch(ask.session_epoch)
        .with_topics(topics)
        .with_forgotten_topics_data(forgotten.collect())
}
