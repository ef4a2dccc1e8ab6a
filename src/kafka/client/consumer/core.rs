//! The consumer's state, shared by the application's calls and the background task, and what both do
//! with it under its lock.
//!
//! The background task moves bytes, takes in answers and heartbeats. Everything that Kafka does in
//! `poll()` happens in the application's call: joining, giving up and taking over partitions,
//! auto-commit, asking for positions, handing out records. An answer to JoinGroup is kept until then.

use std::{
    collections::{BTreeMap, BTreeSet},
    task::{Context, Poll, Waker},
};

use kafka_protocol::messages::FetchResponse;
use rand_chacha::ChaCha8Rng;

use super::{
    commits::{CommitId, Commits},
    fetcher::{FetchConfig, FetchPlan, Fetcher, Found, MissingLeaders},
    group::{Generation, Group},
    rebalance::{Callback, JoinStep},
    record::ConsumerRecords,
    subscription::{Mode, ResetStrategy, Subscription},
};
use crate::{
    env::Instant,
    kafka::{
        client::{
            error::ClientError,
            network::{Answer, Cluster, Event, NodeKey, Readiness, WantedTopics, decode},
            observer::{ClientEvent, Events},
            retry::Backoff,
        },
        config::{ConsumerConfig, OffsetReset},
        types::{BrokerId, Offset, TopicName, TopicPartition},
    },
};

/// What a request of the consumer was.
pub(crate) enum Request {
    Fetch(BrokerId, FetchPlan),
    /// Resets of positions.
    Reset(Vec<(TopicPartition, ResetStrategy)>),
    /// A question of the application's about offsets.
    ListOffsets(u64, Vec<TopicPartition>),
    FindCoordinator,
    Join(Generation),
    Sync(Generation),
    Heartbeat(Generation),
    Leave,
    Commit(CommitId, Generation),
    /// Positions of partitions that were just assigned, or a question of the application's.
    Committed(u64),
}

/// An answer that a call of the application waits for.
pub(crate) type Reply = Result<BTreeMap<TopicPartition, Option<Offset>>, ClientError>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifecycle {
    Open,
    Closed,
}

pub(crate) struct Core {
    pub(crate) config: ConsumerConfig,
    pub(crate) cluster: Cluster<Request>,
    pub(crate) subscription: Subscription,
    /// `None` without `group.id`.
    pub(crate) group: Option<Group>,
    pub(crate) commits: Commits,
    pub(crate) fetcher: Fetcher,
    pub(crate) retry: Backoff,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) events: Events,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) woken_up: bool,
    /// The background task's.
    pub(crate) task: Waker,
    /// The application's call, if one waits.
    pub(crate) app: Waker,
    /// Answers by question, until they are picked up.
    pub(crate) replies: BTreeMap<u64, Reply>,
    pub(crate) asked: BTreeSet<u64>,
    pub(crate) next_question: u64,
    /// The request for the committed offsets of newly assigned partitions.
    pub(crate) positions_question: Option<(u64, Vec<TopicPartition>)>,
    pub(crate) positions_retry_at: Instant,
    pub(crate) positions_failures: u32,
    /// An error to tell from the next poll.
    pub(crate) pending_error: Option<ClientError>,
    /// Counts what a waiting call must look at, so that it misses nothing between looking and waiting.
    pub(crate) activity: u64,
    /// When a broker that something should be sent to may be reached for again.
    reconnect_at: Option<Instant>,
}

/// Where a poll stands after one look at everything.
pub(crate) enum PollStep {
    Records(ConsumerRecords),
    Tell(Callback),
    /// Nothing to do before this instant, unless something arrives.
    Wait(Instant),
}

/// Whether this is the last look of a poll, whose time is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PollTime {
    Left,
    Up,
}

impl Core {
    pub(crate) fn new(
        config: ConsumerConfig,
        cluster: Cluster<Request>,
        group: Option<Group>,
        rng: ChaCha8Rng,
        events: Events,
        now: Instant,
    ) -> Self {
        Core {
            cluster,
            subscription: Subscription::default(),
            group,
            commits: Commits::new(now + config.auto_commit_interval),
            fetcher: Fetcher::new(FetchConfig::new(&config)),
            retry: Backoff::new(config.retry_backoff, config.retry_backoff_max),
            config,
            rng,
            events,
            lifecycle: Lifecycle::Open,
            woken_up: false,
            task: Waker::noop().clone(),
            app: Waker::noop().clone(),
            replies: BTreeMap::new(),
            asked: BTreeSet::new(),
            next_question: 0,
            positions_question: None,
            positions_retry_at: now,
            positions_failures: 0,
            pending_error: None,
            activity: 0,
            reconnect_at: None,
        }
    }

    /// One look at everything that Kafka's `poll` does, in its order: membership, auto-commit,
    /// positions, buffered records, new fetches.
    pub(crate) fn poll_step(
        &mut self,
        now: Instant,
        time: PollTime,
    ) -> Result<PollStep, ClientError> {
        self.check_woken_up()?;
        self.check_fenced()?;
        if let Some(error) = self.pending_error.take() {
            return Err(error);
        }
        self.reconnect_at = None;
        let mut blocked = false;
        match self.membership_step(now)? {
            JoinStep::Tell(callback) => return Ok(PollStep::Tell(callback)),
            JoinStep::Wait => {
                // Without a coordinator Kafka spends the whole poll looking for it, and only then hands
                // out what it has; a rebalance, once begun, does not keep records back.
                blocked = self.coordinator(now).is_none();
            }
            JoinStep::Settled => {
                self.maybe_auto_commit(now);
                blocked |= !self.update_positions(now)?;
            }
        }
        if !blocked || time == PollTime::Up {
            let records = self.collect()?;
            self.send_fetches(now);
            if !records.partitions.is_empty() {
                return Ok(PollStep::Records(records));
            }
        }
        Ok(PollStep::Wait(self.next_look(now)))
    }

    fn membership_step(&mut self, now: Instant) -> Result<JoinStep, ClientError> {
        match self.subscription.mode() {
            Mode::None => Err(ClientError::IllegalState(
                "consumer is not subscribed to any topics or assigned any partitions".into(),
            )),
            Mode::Manual => Ok(JoinStep::Settled),
            Mode::Topics(_) => {
                let Some(group) = &mut self.group else { return Ok(JoinStep::Settled) };
                if let Some(error) = group.failure.take() {
                    return Err(error);
                }
                group.heartbeat.polled(now);
                if self.ready_coordinator(now)?.is_none() && self.coordinator(now).is_none() {
                    return Ok(JoinStep::Wait);
                }
                self.advance_join(now)
            }
        }
    }

    /// The next instant at which a waiting poll has something to do. What is overdue waits for something
    /// else: a commit for its coordinator, a position for its leader; they wake the poll themselves.
    pub(crate) fn next_look(&self, now: Instant) -> Instant {
        let joining = self.group.as_ref().map(|group| group.join_retry_at);
        let (_, resets) = self.subscription.due_resets(now);
        let prepare = Some(self.commits.prepare_retry_at);
        let positions = Some(self.positions_retry_at);
        let (commit, lookup) = (Some(self.next_auto_commit()), Some(self.next_lookup(now)));
        let own = [joining, resets, prepare, positions, self.reconnect_at, commit, lookup];
        let own = own.into_iter().flatten().filter(|at| *at > now).min();
        own.unwrap_or(Instant::FAR_FUTURE)
    }

    pub(crate) fn check_woken_up(&mut self) -> Result<(), ClientError> {
        match std::mem::take(&mut self.woken_up) {
            true => Err(ClientError::Wakeup),
            false => Ok(()),
        }
    }

    /// Makes a waiting call of the application look again.
    pub(crate) fn wake_app(&mut self) {
        self.activity += 1;
        self.app.wake_by_ref();
    }

    /// Runs in the background task. Returns when it must run again.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>, now: Instant) -> Instant {
        let happened = self.cluster.poll(cx, now);
        while let Some(event) = self.cluster.next_event() {
            self.handle(event, now);
        }
        let deadline = self.heartbeat_turn(now);
        if happened {
            self.wake_app();
        }
        deadline.min(self.cluster.next_deadline(now))
    }

    fn handle(&mut self, event: Event<Request>, now: Instant) {
        let answer = event.answer;
        match event.context {
            Request::Fetch(leader, plan) => {
                if matches!(answer, Answer::Failed(_)) {
                    self.cluster.metadata_mut().request_update();
                }
                let response = match answer {
                    Answer::Response { version, body } => {
                        decode::<FetchResponse>(body, version).ok()
                    }
                    Answer::NoneExpected | Answer::Failed(_) => None,
                };
                for (partition, replica) in self.fetcher.answered(leader, &plan, response, now) {
                    self.events.emit(|| ClientEvent::ReadsFrom { partition, replica });
                }
            }
            Request::Reset(partitions) => self.handle_reset(partitions, answer, now),
            Request::ListOffsets(question, partitions) => {
                self.handle_list_offsets(question, partitions, answer);
            }
            Request::Committed(question) => self.handle_committed(question, answer, now),
            Request::Commit(id, sent) => self.handle_commit(id, sent, answer, now),
            Request::FindCoordinator => self.handle_find_coordinator(answer, now),
            Request::Join(sent) => self.keep_join_answer(sent, answer),
            Request::Sync(sent) => self.handle_sync(sent, answer, now),
            Request::Heartbeat(sent) => self.handle_heartbeat(sent, answer, now),
            Request::Leave => self.handle_leave(),
        }
    }

    /// Asks for metadata of what is subscribed and assigned, and of what the group's other members want
    /// if this one assigns for them.
    pub(crate) fn update_wanted_topics(&mut self) {
        let mut wanted: BTreeSet<TopicName> =
            self.subscription.assignment().into_iter().map(|partition| partition.topic).collect();
        if let Mode::Topics(topics) = self.subscription.mode() {
            wanted.extend(topics.iter().cloned());
        }
        if let Some(group) = &self.group {
            wanted.extend(group.group_topics.iter().cloned());
        }
        self.cluster.metadata_mut().set_wanted(WantedTopics::Named(wanted));
        self.task.wake_by_ref();
    }

    /// A node to send to, connecting first if need be.
    pub(crate) fn sendable(&mut self, node: NodeKey, now: Instant) -> bool {
        match self.cluster.ready(node, now) {
            Readiness::Ready => self.cluster.can_send(node),
            Readiness::Connecting => false,
            Readiness::BackingOff(until) => {
                self.reconnect_at = Some(self.reconnect_at.map_or(until, |at| at.min(until)));
                false
            }
        }
    }

    /// Fetches from every leader without a fetch in flight (`sendFetches`).
    pub(crate) fn send_fetches(&mut self, now: Instant) {
        let (plans, missing) = self.fetcher.plan(&self.subscription, self.cluster.metadata(), now);
        if missing == MissingLeaders::Yes {
            self.cluster.metadata_mut().request_update();
            self.task.wake_by_ref();
        }
        for (leader, plan) in plans {
            let node = NodeKey::Broker(leader);
            if self.sendable(node, now) {
                let request = self.fetcher.request(leader, &plan);
                self.cluster.send(node, Request::Fetch(leader, plan), now, |_| request);
            }
        }
    }

    /// Takes records out of what was fetched, or meets what stands in the way.
    pub(crate) fn collect(&mut self) -> Result<ConsumerRecords, ClientError> {
        loop {
            match self.fetcher.collect(&mut self.subscription, self.cluster.metadata_mut()) {
                Found::Records(records) => {
                    if self.commits.by_record {
                        return Ok(records);
                    }
                    for taken in &records.partitions {
                        self.subscription.set_consumed(&taken.partition, taken.next_offset);
                    }
                    return Ok(records);
                }
                Found::Error(error) => return Err(error),
                Found::OutOfRange(partition, offset) => {
                    self.events.emit(|| ClientEvent::OutOfRange {
                        partition: partition.clone(),
                        position: offset,
                    });
                    match self.default_reset() {
                        Some(strategy) => self.subscription.request_reset(&partition, strategy)?,
                        None => return Err(ClientError::OffsetOutOfRange { partition, offset }),
                    }
                }
            }
        }
    }

    pub(crate) fn default_reset(&self) -> Option<ResetStrategy> {
        match self.config.auto_offset_reset {
            OffsetReset::Earliest => Some(ResetStrategy::Earliest),
            OffsetReset::Latest => Some(ResetStrategy::Latest),
            OffsetReset::None => None,
        }
    }

    /// A new question whose answer will be in [`Self::take_reply`].
    pub(crate) fn new_question(&mut self) -> u64 {
        self.next_question += 1;
        self.asked.insert(self.next_question);
        self.next_question
    }

    pub(crate) fn reply(&mut self, question: u64, reply: Reply) {
        if self.asked.remove(&question) {
            self.replies.insert(question, reply);
        }
    }

    pub(crate) fn take_reply(&mut self, question: u64) -> Poll<Reply> {
        match self.replies.remove(&question) {
            Some(reply) => Poll::Ready(reply),
            None => Poll::Pending,
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn drop_question(&mut self, question: u64) {
        self.asked.remove(&question);
        self.replies.remove(&question);
    }
}
