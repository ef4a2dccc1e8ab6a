//! The consumer that applications hold, and its background task.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    assignor::Assignor,
    core::{Core, Lifecycle, PollStep, PollTime, Reply},
    group::{Group, JoinPhase, MemberIdFate},
    heartbeat::{Heartbeat, HeartbeatConfig},
    listener::RebalanceListener,
    rebalance::Callback,
    record::ConsumerRecords,
    subscription::{Mode, ResetStrategy},
};
use crate::{
    env::{Address, BoxFuture, Clock, Env, Instant},
    kafka::{
        client::{
            error::ClientError,
            network::{AutoCreate, Cluster, ClusterConfig, LazyTimer, NetworkConfig, WantedTopics},
            observer::{
                ClientEvent, ClientObserver, CommitCause, Events, LeaveCause, OffsetsByPartition,
            },
            retry::Backoff,
        },
        config::ConsumerConfig,
        types::{GenerationId, GroupId, MemberId, Offset, TopicName, TopicPartition},
    },
};

/// Requests that a consumer pipelines to one broker (`ConsumerUtils`); commits and heartbeats must not
/// wait for each other.
const MAX_IN_FLIGHT: usize = 100;

/// Reads records from a cluster, alone or as a member of a group, as Kafka's classic Java consumer does.
///
/// - Everything but heartbeats happens in [`Consumer::poll`]: joining, telling the listener,
///   auto-commit, fetching. An application that does not poll for `max.poll.interval.ms` is taken out of
///   the group by the background task.
/// - A poll moves positions past what it returns. A commit without offsets covers exactly those
///   positions, whether or not the application has processed the records.
/// - Dropping the consumer is the end of a process: nothing is committed and the group is not told.
///   [`Consumer::close`] does both.
/// - A call's future should be awaited to its end; use [`WakeupHandle`] to end one early.
pub struct Consumer {
    shared: Arc<Shared>,
    timer: LazyTimer,
    listener: Option<Box<dyn RebalanceListener>>,
    retry: Backoff,
    default_api_timeout: Duration,
}

struct Shared {
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("no panic while the lock is held")
    }
}

/// Ends a call of the consumer that waits, or the next one, with `Wakeup`. From any task.
#[derive(Clone)]
pub struct WakeupHandle(Arc<Shared>);

impl WakeupHandle {
    pub fn wakeup(&self) {
        let mut core = self.0.lock();
        core.woken_up = true;
        core.wake_app();
    }
}

/// The outcome of an asynchronous commit, when it is there. Dropping it changes nothing.
pub struct CommitHandle(oneshot::Receiver<Result<(), ClientError>>);

impl CommitHandle {
    /// `Closed` if the consumer ended first.
    pub async fn outcome(self) -> Result<(), ClientError> {
        self.0.await.unwrap_or(Err(ClientError::Closed))
    }
}

impl Consumer {
    /// Starts the background task.
    ///
    /// `env.rng` must be a child of the node's that no other client uses.
    ///
    /// # Errors
    /// `IllegalArgument` if no strategy of `partition.assignment.strategy` is modelled, or the heartbeat
    /// interval is not below the session timeout.
    pub fn new(
        env: &Env,
        bootstrap: &[Address],
        config: ConsumerConfig,
        observer: Option<Arc<dyn ClientObserver>>,
    ) -> Result<Self, ClientError> {
        let now = env.clock.now();
        let retry = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let group = match &config.group_id {
            Some(id) => Some(new_group(id, &config, &retry, now)?),
            None => None,
        };
        let cluster = Cluster::new(env, bootstrap, cluster_config(&config, &retry));
        let default_api_timeout = config.default_api_timeout;
        let rng = env.rng.stream("consumer/retry");
        let core = Core::new(config, cluster, group, rng, Events::new(observer), now);
        let shared = Arc::new(Shared { clock: env.clock.clone(), core: Mutex::new(core) });
        let mut task =
            ConsumerTask { shared: shared.clone(), timer: LazyTimer::new(env.clock.clone()) };
        env.tasks.spawn("consumer", Box::pin(poll_fn(move |cx| task.poll(cx))));
        Ok(Consumer {
            shared,
            timer: LazyTimer::new(env.clock.clone()),
            listener: None,
            retry,
            default_api_timeout,
        })
    }

    pub fn wakeup_handle(&self) -> WakeupHandle {
        WakeupHandle(self.shared.clone())
    }

    /// Subscribes to these topics instead of any before; the group assigns partitions in later polls. No
    /// topics: [`Consumer::unsubscribe`].
    pub async fn subscribe(
        &mut self,
        topics: impl IntoIterator<Item = TopicName>,
        listener: Option<Box<dyn RebalanceListener>>,
    ) -> Result<(), ClientError> {
        let topics: BTreeSet<TopicName> = topics.into_iter().collect();
        if topics.is_empty() {
            return self.unsubscribe().await;
        }
        self.listener = listener;
        let mut core = self.shared.lock();
        core.group_id()?;
        core.subscription.subscribe(topics)?;
        core.update_wanted_topics();
        Ok(())
    }

    /// Takes these partitions, without a group's say. With `group.id`, offsets can still be committed;
    /// nobody keeps two such consumers from clashing.
    pub async fn assign(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ClientError> {
        let partitions: BTreeSet<TopicPartition> = partitions.into_iter().collect();
        if partitions.is_empty() {
            return self.unsubscribe().await;
        }
        let now = self.shared.clock.now();
        let mut core = self.shared.lock();
        core.maybe_auto_commit(now);
        core.subscription.assign_manually(partitions)?;
        let core = &mut *core;
        core.fetcher.retain_assigned(&core.subscription);
        core.update_wanted_topics();
        Ok(())
    }

    /// Gives everything up and leaves the group. Nothing is committed.
    pub async fn unsubscribe(&mut self) -> Result<(), ClientError> {
        self.give_up_partitions().await;
        let now = self.shared.clock.now();
        let mut core = self.shared.lock();
        core.leave(LeaveCause::Unsubscribed, now);
        core.subscription.unsubscribe();
        let core = &mut *core;
        core.fetcher.retain_assigned(&core.subscription);
        if let Some(group) = &mut core.group {
            group.join = JoinPhase::None;
            group.assignment_snapshot = None;
            group.joined_subscription = None;
            group.group_topics.clear();
        }
        core.update_wanted_topics();
        Ok(())
    }

    /// Records, or none when `timeout` is over; also none, early, when positions moved past batches
    /// without records for applications.
    ///
    /// # Errors
    /// Positions are unchanged. `Wakeup`; `OffsetOutOfRange` or `NoOffsetForPartition` with
    /// `auto.offset.reset = none`; `CorruptRecord` (again on each poll until a seek); `IllegalState`
    /// without a subscription; fatal answers of the coordinator such as `FencedInstanceIdException`.
    pub async fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords, ClientError> {
        let deadline = self.shared.clock.now() + timeout;
        loop {
            let now = self.shared.clock.now();
            let time = if now >= deadline { PollTime::Up } else { PollTime::Left };
            let (step, seen) = {
                let mut core = self.shared.lock();
                (core.poll_step(now, time)?, core.activity)
            };
            match step {
                PollStep::Records(records) => return Ok(records),
                PollStep::Tell(callback) => self.tell(callback).await,
                PollStep::Wait(_) if time == PollTime::Up => return Ok(ConsumerRecords::default()),
                PollStep::Wait(until) => self.wait(seen, until.min(deadline)).await,
            }
        }
    }

    /// Until something happened after `seen`, or `until`.
    async fn wait(&mut self, seen: u64, until: Instant) {
        poll_fn(|cx| {
            {
                let mut core = self.shared.lock();
                if core.activity != seen {
                    return Poll::Ready(());
                }
                if !core.app.will_wake(cx.waker()) {
                    core.app = cx.waker().clone();
                }
            }
            self.timer.poll_until(cx, until)
        })
        .await;
    }

    /// Runs the listener, with the partitions still assigned while they are given up.
    async fn tell(&mut self, callback: Callback) {
        let listener = self.listener.take();
        let mut listener = match listener {
            Some(mut listener) => {
                match &callback {
                    Callback::Revoked(partitions) => listener.on_revoked(self, partitions).await,
                    Callback::Lost(partitions) => listener.on_lost(self, partitions).await,
                    Callback::Assigned(partitions) => listener.on_assigned(self, partitions).await,
                }
                Some(listener)
            }
            None => None,
        };
        // A listener that subscribed again has brought its own.
        if self.listener.is_none() {
            self.listener = listener.take();
        }
        if matches!(callback, Callback::Revoked(_) | Callback::Lost(_)) {
            let mut core = self.shared.lock();
            if core.group.is_some() && core.subscription.is_group_managed() {
                core.join_prepared();
            }
        }
    }

    /// Commits what earlier polls returned, or the given offsets, and waits for the coordinator's answer,
    /// repeating the request for `default.api.timeout.ms` after passing errors.
    ///
    /// # Errors
    /// `CommitFailed` if the group has gone on without this member; `RebalanceInProgress`; `Timeout`;
    /// `Wakeup`. After an error the offsets may have been committed only in the last two cases.
    pub async fn commit_sync(
        &mut self,
        offsets: Option<OffsetsByPartition>,
    ) -> Result<(), ClientError> {
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        self.commit_until(offsets, CommitCause::Application, deadline).await
    }

    async fn commit_until(
        &mut self,
        offsets: Option<OffsetsByPartition>,
        cause: CommitCause,
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let offsets = {
            let core = self.shared.lock();
            core.group_id()?;
            core.check_fenced()?;
            offsets.unwrap_or_else(|| core.subscription.all_consumed())
        };
        if offsets.is_empty() {
            return self.drain_commits(deadline).await;
        }
        let mut attempts = 0;
        loop {
            self.await_coordinator(deadline, "committing offsets").await?;
            let now = self.shared.clock.now();
            let id = self.shared.lock().start_commit(offsets.clone(), cause, now);
            let ended = self
                .until(deadline, |core, _| match core.take_commit_result(id) {
                    Some(result) => Poll::Ready(result),
                    None => Poll::Pending,
                })
                .await;
            match ended {
                Some(Ok(Err(error))) if error.is_retriable() => {}
                Some(Ok(result)) => return result,
                Some(Err(error)) => {
                    self.shared.lock().drop_commit(id);
                    return Err(error);
                }
                None => {
                    self.shared.lock().drop_commit(id);
                    return Err(timed_out("committing offsets"));
                }
            }
            self.back_off(attempts, deadline, "committing offsets").await?;
            attempts += 1;
        }
    }

    /// Commits what earlier polls returned, or the given offsets, without waiting and without repeating.
    pub fn commit_async(
        &mut self,
        offsets: Option<OffsetsByPartition>,
    ) -> Result<CommitHandle, ClientError> {
        let now = self.shared.clock.now();
        let mut core = self.shared.lock();
        core.group_id()?;
        core.check_fenced()?;
        let offsets = offsets.unwrap_or_else(|| core.subscription.all_consumed());
        Ok(CommitHandle(core.start_async_commit(offsets, now)))
    }

    /// Waits for asynchronous commits to end.
    async fn drain_commits(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let drained = self.until(deadline, |core, _| match core.commits.has_pending() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        });
        drained.await.unwrap_or_else(|| Err(timed_out("committing offsets")))
    }

    /// Repeats `look` when something has happened, until it is ready (`Some(Ok)`), the consumer is woken
    /// up (`Some(Err)`) or `deadline` (`None`).
    async fn until<T>(
        &mut self,
        deadline: Instant,
        mut look: impl FnMut(&mut Core, Instant) -> Poll<T>,
    ) -> Option<Result<T, ClientError>> {
        loop {
            let now = self.shared.clock.now();
            let (seen, next) = {
                let mut core = self.shared.lock();
                if let Poll::Ready(done) = look(&mut core, now) {
                    return Some(Ok(done));
                }
                if let Err(error) = core.check_woken_up() {
                    return Some(Err(error));
                }
                (core.activity, core.next_lookup(now))
            };
            if now >= deadline {
                return None;
            }
            self.wait(seen, next.min(deadline)).await;
        }
    }

    async fn await_coordinator(
        &mut self,
        deadline: Instant,
        what: &str,
    ) -> Result<(), ClientError> {
        let found = self
            .until(deadline, |core, now| match core.ready_coordinator(now) {
                Ok(Some(_)) => Poll::Ready(Ok(())),
                Ok(None) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            })
            .await;
        found.unwrap_or_else(|| Err(timed_out(what)))?
    }

    /// Sleeps the retry backoff, whatever happens meanwhile.
    async fn back_off(
        &mut self,
        attempts: u32,
        deadline: Instant,
        what: &str,
    ) -> Result<(), ClientError> {
        let now = self.shared.clock.now();
        if now >= deadline {
            return Err(timed_out(what));
        }
        let delay = self.retry.delay(attempts, &mut self.shared.lock().rng);
        let until = deadline.min(now + delay);
        poll_fn(|cx| self.timer.poll_until(cx, until)).await;
        Ok(())
    }

    /// The committed offsets of these partitions; `None` where there is none.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Offset>>, ClientError> {
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        let what = "fetching committed offsets";
        let mut attempts = 0;
        loop {
            self.await_coordinator(deadline, what).await?;
            let now = self.shared.clock.now();
            let question = self.shared.lock().ask_committed(partitions, now)?;
            let Some(question) = question else { continue };
            match self.reply(question, deadline, what).await {
                Err(error) if error.is_retriable() && self.shared.clock.now() < deadline => {}
                reply => return reply,
            }
            self.back_off(attempts, deadline, what).await?;
            attempts += 1;
        }
    }

    async fn reply(&mut self, question: u64, deadline: Instant, what: &str) -> Reply {
        let reply = self.until(deadline, |core, _| core.take_reply(question)).await;
        match reply {
            Some(Ok(reply)) => reply,
            Some(Err(error)) => {
                self.shared.lock().drop_question(question);
                Err(error)
            }
            None => {
                self.shared.lock().drop_question(question);
                Err(timed_out(what))
            }
        }
    }

    /// First offsets of the logs.
    pub async fn beginning_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<OffsetsByPartition, ClientError> {
        self.list_offsets(partitions, -2).await
    }

    /// Offsets after the last record that can be read.
    pub async fn end_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<OffsetsByPartition, ClientError> {
        self.list_offsets(partitions, -1).await
    }

    async fn list_offsets(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<OffsetsByPartition, ClientError> {
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        let what = "getting offsets by times";
        let mut missing = partitions.to_vec();
        let mut found = OffsetsByPartition::new();
        while !missing.is_empty() {
            let now = self.shared.clock.now();
            let (questions, unasked) = self.shared.lock().ask_offsets(&missing, timestamp, now);
            missing = unasked;
            for (question, asked) in questions {
                match self.reply(question, deadline, what).await {
                    Ok(offsets) => {
                        let known = |(partition, offset)| Some((partition, offset?));
                        found.extend(offsets.into_iter().filter_map(known));
                    }
                    Err(error) if error.is_retriable() => missing.extend(asked),
                    Err(error) => return Err(error),
                }
            }
            if !missing.is_empty() {
                self.back_off(0, deadline, what).await?;
            }
        }
        Ok(found)
    }

    /// The offset of the next record that a poll returns from the partition, determined first if need be.
    pub async fn position(&mut self, partition: &TopicPartition) -> Result<Offset, ClientError> {
        if !self.shared.lock().subscription.is_assigned(partition) {
            return Err(ClientError::IllegalState(
                "you can only check the position for partitions assigned to this consumer".into(),
            ));
        }
        let deadline = self.shared.clock.now() + self.default_api_timeout;
        let position = self.until(deadline, |core, now| {
            if let Some(position) = core.subscription.position(partition) {
                return Poll::Ready(Ok(position));
            }
            match core.update_positions(now) {
                Ok(_) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        });
        position.await.unwrap_or_else(|| Err(timed_out("determining the position")))?
    }

    /// Reads on from `offset`. The committed offset does not move until a commit.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), ClientError> {
        if offset.0 < 0 {
            return Err(ClientError::IllegalArgument(
                "seek offset must not be a negative number".into(),
            ));
        }
        self.shared.lock().subscription.seek(partition, offset)
    }

    /// Reads on from the first record, found out when next polled. All assigned partitions if none is
    /// given.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.request_resets(partitions, ResetStrategy::Earliest)
    }

    /// Reads on behind the last record, found out when next polled. All assigned partitions if none is
    /// given.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.request_resets(partitions, ResetStrategy::Latest)
    }

    fn request_resets(
        &mut self,
        partitions: &[TopicPartition],
        strategy: ResetStrategy,
    ) -> Result<(), ClientError> {
        let mut core = self.shared.lock();
        let all = if partitions.is_empty() { core.subscription.assignment() } else { Vec::new() };
        for partition in partitions.iter().chain(&all) {
            core.subscription.request_reset(partition, strategy)?;
        }
        Ok(())
    }

    /// Returns nothing from these partitions until resumed; what was fetched is kept.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut core = self.shared.lock();
        partitions.iter().try_for_each(|partition| core.subscription.pause(partition))
    }

    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut core = self.shared.lock();
        partitions.iter().try_for_each(|partition| core.subscription.resume(partition))
    }

    pub fn paused(&self) -> Vec<TopicPartition> {
        self.shared.lock().subscription.paused()
    }

    /// The partitions this consumer has, sorted. Empty before the first polls of a subscription.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.lock().subscription.assignment()
    }

    /// Records between the position and the last known high watermark.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared.lock().subscription.lag(partition)
    }

    /// The member's id and generation; `None` outside of a group. The id is empty and the generation -1
    /// before the first join.
    pub fn membership(&self) -> Option<(MemberId, GenerationId)> {
        let core = self.shared.lock();
        let generation = &core.group.as_ref()?.generation;
        Some((generation.member.clone(), generation.id))
    }

    /// From here on a commit without offsets, automatic or not, covers what [`Consumer::mark_consumed`]
    /// names instead of all that polls returned. Clients whose iterator hands out single records behave
    /// so (kafka-python).
    pub fn consume_by_record(&mut self) {
        self.shared.lock().commits.by_record = true;
    }

    /// The application has taken the record before `next`; see [`Consumer::consume_by_record`].
    pub fn mark_consumed(&mut self, partition: &TopicPartition, next: Offset) {
        self.shared.lock().subscription.set_consumed(partition, next);
    }

    /// Commits what polls returned (with auto-commit, also after a failure of the application's), waits
    /// for asynchronous commits, gives partitions up, leaves the group: all within `timeout`. Errors on
    /// the way are events only; nothing can be done about them any more.
    pub async fn close(mut self, timeout: Duration) {
        let deadline = self.shared.clock.now() + timeout;
        let (in_group, auto_commit) = {
            let core = self.shared.lock();
            (core.group.is_some(), core.config.enable_auto_commit)
        };
        if in_group {
            if auto_commit {
                let _ = self.commit_until(None, CommitCause::Close, deadline).await;
            }
            let _ = self.drain_commits(deadline).await;
            self.give_up_partitions().await;
            let now = self.shared.clock.now();
            self.shared.lock().leave(LeaveCause::Closed, now);
            let left = |core: &mut Core, _| match &core.group {
                Some(group) if group.leaving => Poll::Pending,
                _ => Poll::Ready(()),
            };
            let _ = self.until(deadline, left).await;
        }
    }

    /// Tells the listener that all partitions go, before leaving (`onLeavePrepare`).
    async fn give_up_partitions(&mut self) {
        let callback = {
            let mut core = self.shared.lock();
            let partitions = core.subscription.assignment();
            let managed = matches!(core.subscription.mode(), Mode::Topics(_));
            match &mut core.group {
                Some(group) if managed && !partitions.is_empty() => {
                    let lost = group.generation.id == GenerationId(-1)
                        || !group.generation.has_member_id()
                        || group.rebalance_in_progress();
                    if lost {
                        group.reset_and_rejoin("leaving", MemberIdFate::Kept);
                        core.events.emit(|| ClientEvent::Lost { partitions: partitions.clone() });
                        Callback::Lost(partitions)
                    } else {
                        Callback::Revoked(partitions)
                    }
                }
                _ => return,
            }
        };
        self.tell(callback).await;
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut core = self.shared.lock();
        core.lifecycle = Lifecycle::Closed;
        core.task.wake_by_ref();
    }
}

/// The consumer's one task: network, heartbeats and what waits for the coordinator.
struct ConsumerTask {
    shared: Arc<Shared>,
    timer: LazyTimer,
}

impl ConsumerTask {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut core = self.shared.lock();
        if !core.task.will_wake(cx.waker()) {
            core.task = cx.waker().clone();
        }
        loop {
            if core.lifecycle == Lifecycle::Closed {
                return Poll::Ready(());
            }
            let now = self.shared.clock.now();
            let deadline = core.turn(cx, now);
            if self.timer.poll_until(cx, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

fn new_group(
    id: &str,
    config: &ConsumerConfig,
    retry: &Backoff,
    now: Instant,
) -> Result<Group, ClientError> {
    if config.heartbeat_interval >= config.session_timeout {
        return Err(ClientError::IllegalArgument(
            "heartbeat.interval.ms must be lower than session.timeout.ms".into(),
        ));
    }
    let assignors: Vec<Assignor> =
        config.assignors.iter().filter_map(|kind| Assignor::from_config(*kind)).collect();
    if assignors.is_empty() {
        return Err(ClientError::IllegalArgument(
            "no strategy of partition.assignment.strategy is modelled".into(),
        ));
    }
    let heartbeat = HeartbeatConfig {
        session_timeout: config.session_timeout,
        interval: config.heartbeat_interval,
        max_poll_interval: config.max_poll_interval,
        retry: retry.clone(),
    };
    let heartbeat = Heartbeat::new(heartbeat, now);
    Ok(Group::new(GroupId::from(id), config.group_instance_id.clone(), assignors, heartbeat))
}

fn cluster_config(config: &ConsumerConfig, retry: &Backoff) -> ClusterConfig {
    ClusterConfig {
        network: NetworkConfig {
            client_id: config.client_id.clone(),
            reconnect: Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            setup_timeout: config.socket_connection_setup_timeout,
            request_timeout: config.request_timeout,
            max_in_flight: MAX_IN_FLIGHT,
        },
        wanted: WantedTopics::Named(BTreeSet::new()),
        auto_create: match config.allow_auto_create_topics {
            true => AutoCreate::Allowed,
            false => AutoCreate::Refused,
        },
        metadata_max_age: config.metadata_max_age,
        retry: retry.clone(),
    }
}

fn timed_out(what: &str) -> ClientError {
    ClientError::Timeout(format!("default.api.timeout.ms expired before {what} succeeded"))
}

/// What a listener's methods return.
pub type ListenerFuture<'a> = BoxFuture<'a, ()>;
