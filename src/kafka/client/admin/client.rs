//! The client itself: topics created and deleted, the cluster described, offsets listed.
//!
//! Each call is one question with retries until `default.api.timeout.ms`. Like the other clients it has
//! one background task, which only moves bytes.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use kafka_protocol::{
    ResponseError,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        ListOffsetsRequest, ListOffsetsResponse,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_topics_request::DeleteTopicState,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::{Decodable, Request, StrBytes},
};
use rand_chacha::ChaCha8Rng;

use super::super::{
    error::{ClientError, code_error},
    network::{
        Answer, AutoCreate, Cluster, ClusterConfig, Failure, FailureCause, LazyTimer,
        NetworkConfig, NodeKey, Readiness, WantedTopics, decode, is_stale_metadata,
    },
    retry::Backoff,
};
use crate::{
    env::{Address, Clock, Env, Instant},
    kafka::types::{BrokerId, LeaderEpoch, Offset, TopicName, TopicPartition},
};

/// What an admin client reads of its configuration; [`Default`] is Kafka's.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    pub client_id: String,
    pub request_timeout: Duration,
    pub default_api_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub socket_connection_setup_timeout: Duration,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig {
            client_id: "admin".into(),
            request_timeout: Duration::from_secs(30),
            default_api_timeout: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            socket_connection_setup_timeout: Duration::from_secs(10),
        }
    }
}

/// A topic to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTopic {
    pub name: TopicName,
    /// -1 for the broker's `num.partitions`.
    pub partitions: i32,
    /// -1 for the broker's `default.replication.factor`.
    pub replication_factor: i16,
    /// Topic settings by Kafka's names.
    pub settings: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerDescription {
    pub id: BrokerId,
    pub address: Address,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionDescription {
    pub partition: TopicPartition,
    /// `None` while the partition has none.
    pub leader: Option<BrokerId>,
    pub leader_epoch: LeaderEpoch,
}

/// Which offset of a partition to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetSpec {
    Earliest,
    /// Behind the last record that consumers can read.
    Latest,
}

/// Where a request may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// Any broker while the controller is not known.
    Controller,
    Broker(BrokerId),
}

pub struct Admin {
    shared: Arc<Shared>,
    config: AdminConfig,
    retry: Backoff,
    rng: Mutex<ChaCha8Rng>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    cluster: Cluster<u64>,
    next_call: u64,
    answers: VecDeque<(u64, Answer)>,
    waiters: Vec<Waker>,
    task: Waker,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

impl Admin {
    /// Starts the background task. `env.rng` must be a child of the node's that no other client uses.
    pub fn new(env: &Env, bootstrap: &[Address], config: AdminConfig) -> Self {
        let retry = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let reconnect = Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max);
        let cluster = ClusterConfig {
            network: NetworkConfig {
                client_id: config.client_id.clone(),
                reconnect,
                setup_timeout: config.socket_connection_setup_timeout,
                request_timeout: config.request_timeout,
                max_in_flight: 100,
            },
            wanted: WantedTopics::All,
            auto_create: AutoCreate::Refused,
            metadata_max_age: Duration::from_secs(300),
            rebootstraps: true,
            retry: retry.clone(),
        };
        let state = State {
            cluster: Cluster::new(env, bootstrap, cluster),
            next_call: 0,
            answers: VecDeque::new(),
            waiters: Vec::new(),
            task: Waker::noop().clone(),
            closed: false,
        };
        let shared = Arc::new(Shared { clock: env.clock.clone(), state: Mutex::new(state) });
        let mut task =
            AdminTask { shared: shared.clone(), timer: LazyTimer::new(env.clock.clone()) };
        env.tasks.spawn("admin", Box::pin(poll_fn(move |cx| task.poll(cx))));
        Admin { shared, config, retry, rng: Mutex::new(env.rng.stream("admin/retry")) }
    }

    /// Creates topics. A result per topic: `Broker(TopicAlreadyExists)` is also what a retry sees whose
    /// first attempt was done and its answer lost.
    ///
    /// # Errors
    /// `Timeout`, or an error that concerns the request as a whole.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
    ) -> Result<BTreeMap<TopicName, Result<(), ClientError>>, ClientError> {
        let timeout = self.timeout_ms();
        let wanted: Vec<CreatableTopic> = topics.iter().map(creatable).collect();
        let build =
            || CreateTopicsRequest::default().with_timeout_ms(timeout).with_topics(wanted.clone());
        let accept = |response: CreateTopicsResponse| {
            let codes = response.topics.iter().map(|topic| (topic.name.as_str(), topic.error_code));
            topic_results(codes)
        };
        self.call(Target::Controller, build, accept).await
    }

    /// Deletes topics; a result per topic.
    ///
    /// # Errors
    /// As [`Admin::create_topics`]; `Broker(UnsupportedVersion)` from brokers that cannot.
    pub async fn delete_topics(
        &self,
        topics: &[TopicName],
    ) -> Result<BTreeMap<TopicName, Result<(), ClientError>>, ClientError> {
        let timeout = self.timeout_ms();
        let name = |topic: &TopicName| StrBytes::from_string(topic.to_string());
        let build = || {
            DeleteTopicsRequest::default()
                .with_timeout_ms(timeout)
                .with_topic_names(topics.iter().map(|topic| name(topic).into()).collect())
                .with_topics(
                    topics
                        .iter()
                        .map(|topic| {
                            DeleteTopicState::default().with_name(Some(name(topic).into()))
                        })
                        .collect(),
                )
        };
        let accept = |response: DeleteTopicsResponse| {
            let named = response.responses.iter();
            let codes = named.filter_map(|one| Some((one.name.as_ref()?.as_str(), one.error_code)));
            topic_results(codes)
        };
        self.call(Target::Controller, build, accept).await
    }

    /// The brokers, from metadata that is newer than the call.
    pub async fn describe_cluster(&self) -> Result<Vec<BrokerDescription>, ClientError> {
        self.refresh().await?;
        let state = self.shared.lock();
        let brokers = state.cluster.metadata().brokers().iter();
        Ok(brokers
            .map(|(id, address)| BrokerDescription { id: *id, address: address.clone() })
            .collect())
    }

    /// The partitions of all topics, sorted, from metadata that is newer than the call.
    pub async fn describe_topics(&self) -> Result<Vec<PartitionDescription>, ClientError> {
        self.refresh().await?;
        let state = self.shared.lock();
        let mut described = Vec::new();
        for (topic, partitions) in state.cluster.metadata().topics() {
            for (number, partition) in (0..).zip(partitions) {
                described.push(PartitionDescription {
                    partition: TopicPartition { topic: topic.clone(), partition: number },
                    leader: partition.leader,
                    leader_epoch: partition.epoch,
                });
            }
        }
        Ok(described)
    }

    /// Offsets of these partitions, each asked of its leader.
    pub async fn list_offsets(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ClientError> {
        let deadline = self.deadline();
        let mut missing = partitions.to_vec();
        let mut found = BTreeMap::new();
        let mut attempts = 0;
        while !missing.is_empty() {
            let mut by_leader: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
            let mut unled = Vec::new();
            for partition in missing.drain(..) {
                let leader = self.shared.lock().cluster.metadata().leader(&partition);
                match leader {
                    Some(leader) => by_leader.entry(leader).or_default().push(partition),
                    None => unled.push(partition),
                }
            }
            for (leader, asked) in by_leader {
                let build = || list_offsets_request(&asked, spec);
                let answer: Result<ListOffsetsResponse, _> =
                    self.attempt(Target::Broker(leader), build, deadline).await;
                match answer.and_then(|response| read_offsets(&response)) {
                    Ok(offsets) => found.extend(offsets),
                    Err(error) if error.is_retriable() => unled.extend(asked),
                    Err(error) => return Err(error),
                }
            }
            missing = unled;
            if !missing.is_empty() {
                self.back_off(attempts, deadline).await?;
                attempts += 1;
                self.refresh_until(deadline).await?;
            }
        }
        Ok(found)
    }

    /// How long the controller may take over a request.
    pub(super) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    fn deadline(&self) -> Instant {
        self.shared.clock.now() + self.config.default_api_timeout
    }

    async fn refresh(&self) -> Result<(), ClientError> {
        self.refresh_until(self.deadline()).await
    }

    async fn refresh_until(&self, deadline: Instant) -> Result<(), ClientError> {
        let seen = {
            let mut state = self.shared.lock();
            state.cluster.metadata_mut().request_update();
            state.task.wake_by_ref();
            state.cluster.metadata().version()
        };
        self.until(deadline, |state, _| match state.cluster.metadata().version() > seen {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await
    }

    /// Asks until `accept` has an answer without a passing error.
    pub(super) async fn call<R: Request, T>(
        &self,
        target: Target,
        build: impl Fn() -> R,
        accept: impl Fn(R::Response) -> Result<T, ClientError>,
    ) -> Result<T, ClientError>
    where
        R::Response: Decodable,
    {
        let deadline = self.deadline();
        let mut attempts = 0;
        loop {
            match self.attempt(target, &build, deadline).await.and_then(&accept) {
                Err(error) if error.is_retriable() && self.shared.clock.now() < deadline => {
                    if matches!(error, ClientError::Broker(code) if is_stale_metadata(code) || code == ResponseError::NotController)
                    {
                        self.shared.lock().cluster.metadata_mut().request_update();
                    }
                    self.back_off(attempts, deadline).await?;
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt<R: Request>(
        &self,
        target: Target,
        build: impl Fn() -> R,
        deadline: Instant,
    ) -> Result<R::Response, ClientError>
    where
        R::Response: Decodable,
    {
        let mut sent = None;
        let answer = self
            .until(deadline, |state, now| {
                let call = match sent {
                    Some(call) => call,
                    None => {
                        let Some(node) = state.node(target, now) else { return Poll::Pending };
                        state.next_call += 1;
                        let call = state.next_call;
                        state.cluster.send(node, call, now, |_| build());
                        sent = Some(call);
                        call
                    }
                };
                let place = state.answers.iter().position(|(answered, _)| *answered == call);
                match place.and_then(|place| state.answers.remove(place)) {
                    Some((_, answer)) => Poll::Ready(answer),
                    None => Poll::Pending,
                }
            })
            .await?;
        match answer {
            Answer::Response { version, body } => {
                decode(body, version).map_err(ClientError::Protocol)
            }
            Answer::Failed(Failure { cause: FailureCause::UnsupportedVersion, .. }) => {
                Err(ClientError::Broker(ResponseError::UnsupportedVersion))
            }
            Answer::Failed(_) | Answer::NoneExpected => Err(ClientError::Disconnect),
        }
    }

    async fn back_off(&self, attempts: u32, deadline: Instant) -> Result<(), ClientError> {
        let delay = {
            let mut rng = self.rng.lock().expect("no panic while the lock is held");
            self.retry.delay(attempts, &mut rng)
        };
        let now = self.shared.clock.now();
        if now >= deadline {
            return Err(timed_out());
        }
        self.shared.clock.sleep_until(deadline.min(now + delay)).await;
        Ok(())
    }

    /// Repeats `look` whenever something has happened, until it is ready or `deadline`.
    async fn until<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&mut State, Instant) -> Poll<T>,
    ) -> Result<T, ClientError> {
        let mut timer = LazyTimer::new(self.shared.clock.clone());
        poll_fn(|cx| {
            let now = self.shared.clock.now();
            {
                let mut state = self.shared.lock();
                if let Poll::Ready(done) = look(&mut state, now) {
                    return Poll::Ready(Ok(done));
                }
                if !state.waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.waiters.push(cx.waker().clone());
                }
            }
            timer.poll_until(cx, deadline).map(|()| Err(timed_out()))
        })
        .await
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.task.wake_by_ref();
    }
}

impl State {
    fn node(&mut self, target: Target, now: Instant) -> Option<NodeKey> {
        let broker = match target {
            Target::Controller => self.cluster.metadata().controller(),
            Target::Broker(broker) => Some(broker),
        };
        let Some(broker) = broker else { return self.cluster.any_ready_node(now) };
        let node = NodeKey::Broker(broker);
        let ready = self.cluster.ready(node, now) == Readiness::Ready;
        (ready && self.cluster.can_send(node)).then_some(node)
    }
}

struct AdminTask {
    shared: Arc<Shared>,
    timer: LazyTimer,
}

impl AdminTask {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        state.task = cx.waker().clone();
        loop {
            if state.closed {
                return Poll::Ready(());
            }
            let now = self.shared.clock.now();
            let happened = state.cluster.poll(cx, now);
            while let Some(event) = state.cluster.next_event() {
                state.answers.push_back((event.context, event.answer));
            }
            if happened {
                state.waiters.drain(..).for_each(Waker::wake);
            }
            let deadline = state.cluster.next_deadline(now);
            if self.timer.poll_until(cx, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

fn timed_out() -> ClientError {
    ClientError::Timeout("default.api.timeout.ms has passed".into())
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let settings = topic.settings.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(name.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    });
    CreatableTopic::default()
        .with_name(StrBytes::from_string(topic.name.to_string()).into())
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(settings.collect())
}

pub type TopicResults = BTreeMap<TopicName, Result<(), ClientError>>;

/// Passing errors make the whole call be repeated; the others are the topic's own.
pub(super) fn topic_results<'a>(
    codes: impl Iterator<Item = (&'a str, i16)>,
) -> Result<TopicResults, ClientError> {
    let mut results = TopicResults::new();
    for (name, code) in codes {
        let result = match code_error(code) {
            None => Ok(()),
            Some(error) if error.is_retriable() => return Err(ClientError::Broker(error)),
            Some(error) => Err(ClientError::Broker(error)),
        };
        results.insert(TopicName::from(name), result);
    }
    Ok(results)
}

fn list_offsets_request(partitions: &[TopicPartition], spec: OffsetSpec) -> ListOffsetsRequest {
    let timestamp = match spec {
        OffsetSpec::Earliest => -2,
        OffsetSpec::Latest => -1,
    };
    let mut topics: BTreeMap<&TopicName, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(
            ListOffsetsPartition::default()
                .with_partition_index(partition.partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp),
        );
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ListOffsetsTopic::default()
            .with_name(StrBytes::from_string(topic.to_string()).into())
            .with_partitions(partitions)
    });
    ListOffsetsRequest::default()
        .with_replica_id(kafka_protocol::messages::BrokerId(-1))
        .with_topics(topics.collect())
}

fn read_offsets(
    response: &ListOffsetsResponse,
) -> Result<BTreeMap<TopicPartition, Offset>, ClientError> {
    let mut offsets = BTreeMap::new();
    for topic in &response.topics {
        for part in &topic.partitions {
            if let Some(error) = code_error(part.error_code) {
                return Err(ClientError::Broker(error));
            }
            let partition = TopicPartition::new(topic.name.as_str(), part.partition_index);
            offsets.insert(partition, Offset(part.offset));
        }
    }
    Ok(offsets)
}
