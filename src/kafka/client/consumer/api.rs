//! The consumer that applications hold: subscribing, polling, committing, closing.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    core::{Core, Lifecycle, PollStep, PollTime},
    group::{JoinPhase, MemberIdFate},
    listener::RebalanceListener,
    rebalance::Callback,
    record::ConsumerRecords,
    subscription::Mode,
    task::{ConsumerTask, cluster_config, new_group},
};
use crate::{
    env::{Address, BoxFuture, Clock, Env, Instant},
    kafka::{
        client::{
            error::ClientError,
            network::{Cluster, LazyTimer},
            observer::{
                ClientEvent, ClientObserver, CommitCause, Events, LeaveCause, OffsetsByPartition,
            },
            retry::Backoff,
        },
        config::ConsumerConfig,
        types::{GenerationId, TopicName, TopicPartition},
    },
};

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
    pub(super) shared: Arc<Shared>,
    timer: LazyTimer,
    listener: Option<Box<dyn RebalanceListener>>,
    retry: Backoff,
    pub(super) default_api_timeout: Duration,
}

pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) core: Mutex<Core>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
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
        ConsumerTask::spawn(env, shared.clone());
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
    pub(super) async fn until<T>(
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
                (core.activity, core.next_look(now))
            };
            if now >= deadline {
                return None;
            }
            self.wait(seen, next.min(deadline)).await;
        }
    }

    pub(super) async fn await_coordinator(
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
    pub(super) async fn back_off(
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

pub(super) fn timed_out(what: &str) -> ClientError {
    ClientError::Timeout(format!("default.api.timeout.ms expired before {what} succeeded"))
}

/// What a listener's methods return.
pub type ListenerFuture<'a> = BoxFuture<'a, ()>;
