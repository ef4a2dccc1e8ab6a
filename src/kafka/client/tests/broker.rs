//! A broker for tests: logs in memory, one-partition-at-a-time duplicates check, a simple group
//! coordinator, and a script of things that go wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsResponse, FetchRequest, FetchResponse, FindCoordinatorResponse,
        HeartbeatRequest, HeartbeatResponse, InitProducerIdResponse, JoinGroupRequest,
        JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListOffsetsRequest,
        ListOffsetsResponse, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse,
        OffsetFetchRequest, OffsetFetchResponse, ProduceRequest, ProduceResponse, SyncGroupRequest,
        SyncGroupResponse,
        api_versions_response::ApiVersion,
        fetch_response::{FetchableTopicResponse, PartitionData},
        find_coordinator_response::Coordinator,
        join_group_response::JoinGroupResponseMember,
        leave_group_response::MemberResponse,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
        },
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Encodable, HeaderVersion, StrBytes},
};
use tokio::io::AsyncWriteExt;

use crate::{
    env::{Address, Clock, Env, Instant, Stream},
    kafka::{
        client::network::LazyTimer,
        protocol::{
            batch::{Batches, assign},
            frame::FrameReader,
            message::{RequestHead, decode_request, encode_response},
        },
        types::{LeaderEpoch, Offset},
    },
};

pub(super) const PORT: u16 = 9092;

/// What the broker does with the n-th Produce request, counted from 1, instead of behaving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// Appends, then closes the connection without an answer.
    LoseAnswer,
    /// Closes the connection without reading on.
    LoseRequest,
    /// Appends nothing and answers with the error.
    Refuse(ResponseError),
    /// Neither appends nor answers.
    Silence,
}

#[derive(Clone, Default)]
pub(super) struct Script {
    pub produce: BTreeMap<u32, Trouble>,
    /// What a producer has to begin with, if the broker asks for anything.
    pub first_sequence: Option<i32>,
    /// So many ListOffsets are refused first, as by a broker that leads no more.
    pub refused_offsets: u32,
    /// Where FindCoordinator says that the coordinator is, if not here.
    pub coordinator: Option<&'static str>,
}

#[derive(Default)]
struct Log {
    batches: Vec<Bytes>,
    next: i64,
    start: i64,
    /// Next sequence by producer id and epoch, and where the last batches went.
    sequences: BTreeMap<(i64, i16), i32>,
    places: BTreeMap<(i64, i16, i32), i64>,
}

#[derive(Default)]
struct Group {
    generation: i32,
    /// Protocol metadata by member, of those that joined the coming generation.
    joined: BTreeMap<String, Bytes>,
    members: BTreeSet<String>,
    assignments: BTreeMap<String, Bytes>,
    rebalancing: bool,
    synced: bool,
    next_member: u32,
    committed: BTreeMap<(String, i32), i64>,
    heartbeats: u32,
    lookups: u32,
    /// ListOffsets that came.
    offsets_asked: u32,
}

#[derive(Default)]
struct State {
    logs: Vec<Log>,
    produced: u32,
    next_producer: i64,
    brokers: i32,
    leader: i32,
    group: Group,
    wakers: Vec<Waker>,
}

pub(super) struct Broker {
    partitions: i32,
    script: Script,
    state: Mutex<State>,
}

impl Broker {
    pub(super) fn new(partitions: i32, script: Script) -> Self {
        let logs = (0..partitions).map(|_| Log::default()).collect();
        let state = State { logs, next_producer: 1000, brokers: 1, leader: 1, ..State::default() };
        Broker { partitions, script, state: Mutex::new(state) }
    }

    /// Metadata tells of a second broker, `b2`, from here on. It has the same logs.
    pub(super) fn join_second(&self) {
        self.state.lock().unwrap().brokers = 2;
    }

    /// Metadata names another leader of all partitions from here on; either broker takes what is sent to it.
    pub(super) fn move_leader(&self, to: i32) {
        self.state.lock().unwrap().leader = to;
    }

    /// FindCoordinator requests so far.
    pub(super) fn lookups(&self) -> u32 {
        self.state.lock().unwrap().group.lookups
    }

    /// The values in a partition's log, in order.
    pub(super) fn values(&self, partition: usize) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut values = Vec::new();
        for batch in &state.logs[partition].batches {
            for batch in Batches::new(batch.clone()) {
                for record in batch.unwrap().records().unwrap() {
                    let value = record.unwrap().value.unwrap();
                    values.push(String::from_utf8(value.to_vec()).unwrap());
                }
            }
        }
        values
    }

    pub(super) fn committed(&self, partition: i32) -> Option<i64> {
        let state = self.state.lock().unwrap();
        state.group.committed.get(&("t".to_owned(), partition)).copied()
    }

    pub(super) fn generation(&self) -> i32 {
        self.state.lock().unwrap().group.generation
    }

    /// Deletes the beginning of a log.
    pub(super) fn cut_start(&self, partition: usize, start: i64) {
        self.state.lock().unwrap().logs[partition].start = start;
    }

    /// Takes a member out of the group, as the end of its session does.
    pub(super) fn expire_member(&self, member: &str) {
        let mut state = self.state.lock().unwrap();
        state.group.members.remove(member);
        state.group.start_rebalance();
        state.wake();
    }

    pub(super) async fn serve(self: Arc<Self>, env: Env, host: &str) {
        let mut listener = env.network.listen(Address::new(host, PORT)).await.unwrap();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let broker = self.clone();
            let clock = env.clock.clone();
            let connection = async move { broker.connection(stream, clock).await };
            env.tasks.spawn("connection", Box::pin(connection));
        }
    }

    async fn connection(self: Arc<Self>, mut stream: Stream, clock: Arc<dyn Clock>) {
        let mut reader = FrameReader::new(1 << 24);
        while let Ok(Some(mut frame)) = reader.next(&mut stream).await {
            let head = RequestHead::take(&mut frame).unwrap();
            match self.answer(&head, frame, &clock).await {
                Outcome::Answer(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Outcome::Nothing => {}
                Outcome::Silence => return std::future::pending().await,
                Outcome::Close => return,
            }
        }
    }

    async fn answer(&self, head: &RequestHead, body: Bytes, clock: &Arc<dyn Clock>) -> Outcome {
        let version = head.version;
        match ApiKey::try_from(head.api_key).unwrap() {
            ApiKey::ApiVersions => reply(head, &versions()),
            ApiKey::Metadata => reply(head, &self.metadata()),
            ApiKey::InitProducerId => {
                let mut state = self.state.lock().unwrap();
                state.next_producer += 1;
                let id = kafka_protocol::messages::ProducerId(state.next_producer);
                reply(head, &InitProducerIdResponse::default().with_producer_id(id))
            }
            ApiKey::Produce => self.produce(head, decode_request(body, version).unwrap()),
            ApiKey::Fetch => {
                let request: FetchRequest = decode_request(body, version).unwrap();
                let wait = Duration::from_millis(request.max_wait_ms as u64);
                let deadline = clock.now() + wait;
                let timer = LazyTimer::new(clock.clone());
                reply(head, &self.fetch(&request, timer, deadline).await)
            }
            ApiKey::ListOffsets => {
                reply(head, &self.list_offsets(&decode_request(body, version).unwrap()))
            }
            ApiKey::FindCoordinator => {
                let coordinator = Coordinator::default()
                    .with_node_id(kafka_protocol::messages::BrokerId(1))
                    .with_host(StrBytes::from_static_str(self.script.coordinator.unwrap_or("b1")))
                    .with_port(i32::from(PORT));
                self.state.lock().unwrap().group.lookups += 1;
                reply(
                    head,
                    &FindCoordinatorResponse::default().with_coordinators(vec![coordinator]),
                )
            }
            ApiKey::JoinGroup => {
                let request = decode_request(body, version).unwrap();
                let client = head.client_id.as_ref().map_or("", |id| id.as_str());
                reply(head, &self.join(client, &request).await)
            }
            ApiKey::SyncGroup => {
                reply(head, &self.sync(&decode_request(body, version).unwrap()).await)
            }
            ApiKey::Heartbeat => {
                reply(head, &self.heartbeat(&decode_request(body, version).unwrap()))
            }
            ApiKey::LeaveGroup => reply(head, &self.leave(&decode_request(body, version).unwrap())),
            ApiKey::OffsetCommit => {
                reply(head, &self.commit(&decode_request(body, version).unwrap()))
            }
            ApiKey::OffsetFetch => {
                reply(head, &self.fetch_offsets(&decode_request(body, version).unwrap()))
            }
            other => panic!("the test broker does not serve {other:?}"),
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let state = self.state.lock().unwrap();
        let id = kafka_protocol::messages::BrokerId;
        let broker = |number| {
            MetadataResponseBroker::default()
                .with_node_id(id(number))
                .with_host(StrBytes::from_string(format!("b{number}")))
                .with_port(i32::from(PORT))
        };
        let partition = |number| {
            MetadataResponsePartition::default()
                .with_partition_index(number)
                .with_leader_id(id(state.leader))
                .with_leader_epoch(state.leader - 1)
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(StrBytes::from_static_str("t").into()))
            .with_partitions((0..self.partitions).map(partition).collect());
        MetadataResponse::default()
            .with_brokers((1..=state.brokers).map(broker).collect())
            .with_controller_id(id(1))
            .with_topics(vec![topic])
    }

    fn produce(&self, head: &RequestHead, request: ProduceRequest) -> Outcome {
        let mut state = self.state.lock().unwrap();
        state.produced += 1;
        let trouble = self.script.produce.get(&state.produced).copied();
        match trouble {
            Some(Trouble::LoseRequest) => return Outcome::Close,
            Some(Trouble::Silence) => return Outcome::Silence,
            _ => {}
        }
        let mut response = ProduceResponse::default();
        for topic in request.topic_data {
            let mut answered = TopicProduceResponse::default().with_name(topic.name);
            for part in topic.partition_data {
                let result = match trouble {
                    Some(Trouble::Refuse(error)) => Err(error),
                    _ => state.logs[part.index as usize]
                        .append(part.records.unwrap(), self.script.first_sequence),
                };
                let (code, base) = result.map_or_else(|e| (e.code(), -1), |base| (0, base));
                let answer = PartitionProduceResponse::default()
                    .with_index(part.index)
                    .with_error_code(code)
                    .with_base_offset(base)
                    .with_log_append_time_ms(-1);
                answered.partition_responses.push(answer);
            }
            response.responses.push(answered);
        }
        state.wake();
        match trouble {
            Some(Trouble::LoseAnswer) => Outcome::Close,
            _ if request.acks == 0 => Outcome::Nothing,
            _ => reply(head, &response),
        }
    }

    async fn fetch(
        &self,
        request: &FetchRequest,
        mut timer: LazyTimer,
        deadline: Instant,
    ) -> FetchResponse {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            let mut found = false;
            let mut response = FetchResponse::default();
            for topic in &request.topics {
                let mut answered =
                    FetchableTopicResponse::default().with_topic(topic.topic.clone());
                for part in &topic.partitions {
                    let log = &state.logs[part.partition as usize];
                    let known = (log.start..=log.next).contains(&part.fetch_offset);
                    let bytes = log.read(part.fetch_offset);
                    found |= !bytes.is_empty() || !known;
                    let code = if known { 0 } else { ResponseError::OffsetOutOfRange.code() };
                    answered.partitions.push(
                        PartitionData::default()
                            .with_partition_index(part.partition)
                            .with_error_code(code)
                            .with_high_watermark(log.next)
                            .with_records(Some(bytes)),
                    );
                }
                response.responses.push(answered);
            }
            state.wakers.push(cx.waker().clone());
            if found || timer.poll_until(cx, deadline).is_ready() {
                return Poll::Ready(response);
            }
            Poll::Pending
        })
        .await
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let mut state = self.state.lock().unwrap();
        let is_refused = state.group.offsets_asked < self.script.refused_offsets;
        state.group.offsets_asked += 1;
        let code = if is_refused { ResponseError::NotLeaderOrFollower.code() } else { 0 };
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|part| {
                let log = &state.logs[part.partition_index as usize];
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(part.partition_index)
                    .with_error_code(code)
                    .with_offset(if part.timestamp == -2 { log.start } else { log.next })
            });
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    /// The generation is complete when every known member has joined.
    async fn join(&self, client: &str, request: &JoinGroupRequest) -> JoinGroupResponse {
        let member = {
            let mut state = self.state.lock().unwrap();
            let group = &mut state.group;
            if request.member_id.is_empty() {
                group.next_member += 1;
                let id = format!("{client}-{}", group.next_member);
                return JoinGroupResponse::default()
                    .with_error_code(ResponseError::MemberIdRequired.code())
                    .with_member_id(StrBytes::from_string(id));
            }
            let member = request.member_id.as_str().to_owned();
            group.members.insert(member.clone());
            group.start_rebalance();
            group.joined.insert(member.clone(), request.protocols[0].metadata.clone());
            if group.members.iter().all(|member| group.joined.contains_key(member)) {
                group.generation += 1;
                group.rebalancing = false;
                group.synced = false;
                group.assignments.clear();
            }
            state.wake();
            member
        };
        self.once(|state| {
            let group = &state.group;
            if group.rebalancing || !group.joined.contains_key(&member) {
                return None;
            }
            let leader = group.joined.keys().next().unwrap().clone();
            let members = group.joined.iter().filter(|_| leader == member).map(|(id, metadata)| {
                JoinGroupResponseMember::default()
                    .with_member_id(StrBytes::from_string(id.clone()))
                    .with_metadata(metadata.clone())
            });
            Some(
                JoinGroupResponse::default()
                    .with_generation_id(group.generation)
                    .with_protocol_name(Some(StrBytes::from_static_str("range")))
                    .with_leader(StrBytes::from_string(leader.clone()))
                    .with_member_id(StrBytes::from_string(member.clone()))
                    .with_members(members.collect()),
            )
        })
        .await
    }

    async fn sync(&self, request: &SyncGroupRequest) -> SyncGroupResponse {
        {
            let mut state = self.state.lock().unwrap();
            for share in &request.assignments {
                let member = share.member_id.as_str().to_owned();
                state.group.assignments.insert(member, share.assignment.clone());
                state.group.synced = true;
            }
            state.wake();
        }
        self.once(|state| {
            let group = &state.group;
            if group.rebalancing || group.generation != request.generation_id {
                let code = ResponseError::RebalanceInProgress.code();
                return Some(SyncGroupResponse::default().with_error_code(code));
            }
            let share = group.assignments.get(request.member_id.as_str()).cloned();
            group
                .synced
                .then(|| SyncGroupResponse::default().with_assignment(share.unwrap_or_default()))
        })
        .await
    }

    fn heartbeat(&self, request: &HeartbeatRequest) -> HeartbeatResponse {
        let mut state = self.state.lock().unwrap();
        state.group.heartbeats += 1;
        let code = state.group.check(&request.member_id, request.generation_id);
        HeartbeatResponse::default().with_error_code(code)
    }

    fn leave(&self, request: &LeaveGroupRequest) -> LeaveGroupResponse {
        let mut state = self.state.lock().unwrap();
        for member in &request.members {
            state.group.members.remove(member.member_id.as_str());
        }
        state.group.start_rebalance();
        state.wake();
        LeaveGroupResponse::default().with_members(vec![MemberResponse::default()])
    }

    fn commit(&self, request: &OffsetCommitRequest) -> OffsetCommitResponse {
        let mut state = self.state.lock().unwrap();
        let generation = request.generation_id_or_member_epoch;
        let code = match generation {
            -1 => 0,
            generation => state.group.check(&request.member_id, generation),
        };
        // Commits are welcome while a rebalance waits for members: that is how they give up.
        let code = if code == ResponseError::RebalanceInProgress.code() { 0 } else { code };
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|part| {
                if code == 0 {
                    let key = (topic.name.as_str().to_owned(), part.partition_index);
                    state.group.committed.insert(key, part.committed_offset);
                }
                OffsetCommitResponsePartition::default()
                    .with_partition_index(part.partition_index)
                    .with_error_code(code)
            });
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    fn fetch_offsets(&self, request: &OffsetFetchRequest) -> OffsetFetchResponse {
        let state = self.state.lock().unwrap();
        let group = &request.groups[0];
        let topics = group.topics.iter().flatten().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|number| {
                let key = (topic.name.as_str().to_owned(), *number);
                let offset = state.group.committed.get(&key).copied().unwrap_or(-1);
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(*number)
                    .with_committed_offset(offset)
            });
            OffsetFetchResponseTopics::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        let answered = OffsetFetchResponseGroup::default()
            .with_group_id(group.group_id.clone())
            .with_topics(topics.collect());
        OffsetFetchResponse::default().with_groups(vec![answered])
    }

    /// Until `look` finds something; it looks again whenever the state has changed.
    async fn once<T>(&self, look: impl Fn(&mut State) -> Option<T>) -> T {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            match look(&mut state) {
                Some(found) => Poll::Ready(found),
                None => {
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl State {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Group {
    fn start_rebalance(&mut self) {
        if !self.rebalancing {
            self.rebalancing = true;
            self.joined.clear();
        }
    }

    fn check(&self, member: &str, generation: i32) -> i16 {
        if !self.members.contains(member) {
            ResponseError::UnknownMemberId.code()
        } else if generation != self.generation {
            ResponseError::IllegalGeneration.code()
        } else if self.rebalancing {
            ResponseError::RebalanceInProgress.code()
        } else {
            0
        }
    }
}

impl Log {
    /// Checks sequences as a leader does, but remembers all of them.
    fn append(
        &mut self,
        records: Bytes,
        first_sequence: Option<i32>,
    ) -> Result<i64, ResponseError> {
        let batch = Batches::new(records.clone()).next().unwrap().unwrap();
        batch.check_crc().unwrap();
        let header = batch.header;
        let producer = (header.producer_id.0, header.producer_epoch.0);
        if header.has_producer_id() {
            let base = header.base_sequence.0;
            if let Some(place) = self.places.get(&(producer.0, producer.1, base)) {
                return Ok(*place);
            }
            let expected = self.sequences.get(&producer).copied().or(first_sequence);
            if expected.is_some_and(|expected| base != expected) {
                return Err(ResponseError::OutOfOrderSequenceNumber);
            }
            self.sequences.insert(producer, base + header.record_count);
            self.places.insert((producer.0, producer.1, base), self.next);
        }
        let mut bytes = BytesMut::from(&records[..]);
        assign(&mut bytes, Offset(self.next), LeaderEpoch(0));
        self.batches.push(bytes.freeze());
        let base = self.next;
        self.next += i64::from(header.record_count);
        Ok(base)
    }

    fn read(&self, offset: i64) -> Bytes {
        let mut bytes = BytesMut::new();
        for batch in &self.batches {
            let header = Batches::new(batch.clone()).next().unwrap().unwrap().header;
            if header.next_offset().0 > offset && offset >= self.start {
                bytes.extend_from_slice(batch);
            }
        }
        bytes.freeze()
    }
}

enum Outcome {
    Answer(BytesMut),
    Nothing,
    /// The connection stays open and is not read any more.
    Silence,
    Close,
}

fn reply<M: Encodable + HeaderVersion>(head: &RequestHead, body: &M) -> Outcome {
    Outcome::Answer(encode_response(head.correlation_id, head.version, body).unwrap())
}

/// What Kafka 4 offers of the requests served here.
const OFFERED: [(ApiKey, i16, i16); 14] = [
    (ApiKey::Produce, 0, 11),
    (ApiKey::Fetch, 4, 17),
    (ApiKey::ListOffsets, 1, 9),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::InitProducerId, 0, 4),
];

fn versions() -> ApiVersionsResponse {
    let api = |(key, min, max): (ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(OFFERED.into_iter().map(api).collect())
}
