//! What replication asks of a broker: inputs for the replicas of its partitions, and their effects.
//!
//! [`Held::drive`] is the one way into a replica: it gives it an input and carries out its effects, in
//! order, while the partition is locked. What concerns others (requests that wait, fetchers, the controller)
//! is left over as [`Aftermath`] and done when the lock is free again.
//!
//! Departures from Kafka: where a leader epoch begins is synced with the log's next flush and not at once.
//! A crash before loses an epoch in which nothing durable was written, which no other replica can have seen
//! records of from here; those of written records are found again in their batches. Leader epochs and high
//! watermarks of partitions with one replica are told to no observer, since nothing can differ.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    alter_partition::AlterPartitions,
    assignments::Assignments,
    chores::Chore,
    fetcher::Fetchers,
    observer::{Event, ReplicaChange, marks},
    partitions::{Held, Partition},
    state::Broker,
    storage::Work,
    ticker::Due,
};
use crate::{
    env::Instant,
    kafka::{
        log::{AppendError, Log, LogError},
        metadata::PartitionImage,
        protocol::ResponseError,
        replica::{
            AcksState, AlterPartition, BrokerFacts, BrokerStanding, Brokers, Effect, Facts,
            PartitionMetadata, Replica, ReplicaConfig,
        },
        types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset},
    },
};

/// What a broker keeps for all its replicas.
#[derive(Default)]
pub(super) struct Replication {
    pub fetchers: Fetchers,
    pub alter_partitions: AlterPartitions,
    pub assignments: Assignments,
    /// Whether what runs for replicated partitions alone has begun.
    started: AtomicBool,
    /// The earliest look at ISRs that the ticker knows of.
    armed: Mutex<Option<Instant>>,
}

/// What an input leaves to do once the partition is free; mostly nothing.
#[derive(Default)]
#[must_use]
pub(super) struct Aftermath(Option<Box<Left>>);

impl Aftermath {
    pub fn has_cut(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.cut)
    }
}

#[derive(Default)]
struct Left {
    /// The high watermark, the low watermark or the role moved.
    moved: bool,
    /// Followers' fetches are to look again: this broker leads no longer.
    lost: bool,
    /// Whom to fetch from from now on, if that changed.
    follow: Option<Option<BrokerId>>,
    alter: Vec<AlterPartition>,
    events: Vec<Event>,
    truncated: Option<Offset>,
    /// The log was to be cut, whether or not it had so much.
    cut: bool,
    failed: Option<LogError>,
}

/// How a write stands, as far as its partition can tell.
pub(super) type Acks = Result<AcksState, ResponseError>;

impl Brokers for Broker {
    fn broker(&self, id: BrokerId) -> Option<BrokerFacts> {
        let image = self.metadata.image();
        let broker = image.broker(id)?;
        let standing = match () {
            () if broker.fenced => BrokerStanding::Fenced,
            () if broker.in_controlled_shutdown => BrokerStanding::InControlledShutdown,
            () => BrokerStanding::Active,
        };
        Some(BrokerFacts { epoch: broker.epoch, standing })
    }

    fn is_in_rack(&self, id: BrokerId, rack: &str) -> bool {
        let image = self.metadata.image();
        image.broker(id).is_some_and(|broker| broker.rack.as_deref() == Some(rack))
    }

    fn own_epoch(&self) -> BrokerEpoch {
        self.metadata.image().broker(self.id()).map_or(BrokerEpoch::NONE, |broker| broker.epoch)
    }
}

impl Broker {
    /// The leader that clients are told: one that the metadata knows, fenced or not
    /// (`KRaftMetadataCache.getAliveEndpoint`).
    pub fn told_leader(&self, partition: &PartitionImage) -> Option<BrokerId> {
        Some(partition.leader).filter(|leader| Brokers::broker(self, *leader).is_some())
    }

    /// The replicas that are not to be had now.
    pub fn offline_replicas(&self, partition: &PartitionImage) -> Vec<BrokerId> {
        let image = self.metadata.image();
        let is_online = |id: BrokerId| {
            let facts = Brokers::broker(self, id);
            let directory = partition.directory(id);
            facts.is_some_and(|broker| broker.standing != BrokerStanding::Fenced)
                && image.broker(id).is_none_or(|broker| broker.has_online_directory(directory))
        };
        partition.replicas.iter().copied().filter(|id| !is_online(*id)).collect()
    }

    /// A replica that knows nothing yet.
    pub fn new_replica(&self) -> Replica {
        let config = &self.config.config;
        Replica::new(ReplicaConfig {
            broker: self.id(),
            lag_time_max: config.replication.lag_time_max,
            fetch_backoff: config.replication.fetch_backoff,
            policy: self.config.behaviour.replica,
        })
    }

    /// Looks at the ISRs of all partitions that this broker leads; called by the ticker. They are due at the
    /// same beat.
    pub fn check_isrs(self: &Arc<Self>) {
        *self.replication.armed.lock().expect("no panic while it is locked") = None;
        for partition in self.partitions.all() {
            let mut held = partition.held();
            if held.replicas < 2 || held.leads().is_none() {
                continue;
            }
            let driven =
                held.drive(self, &partition, &[], |r, facts, fx| r.handle_deadline(facts, fx));
            drop(held);
            partition.follow_up(self, driven);
            self.arm_isr_check(&partition);
        }
    }

    /// Sees to it that the ticker looks at a leader's ISR in time.
    fn arm_isr_check(&self, partition: &Partition) {
        let held = partition.held();
        let next = held.leads().map_or(Instant::FAR_FUTURE, |_| held.next_deadline());
        drop(held);
        let mut armed = self.replication.armed.lock().expect("no panic while it is locked");
        if next < armed.unwrap_or(Instant::FAR_FUTURE) {
            *armed = Some(next);
            self.ticker.schedule(next, Due::CheckIsrs);
        }
    }

    /// Begins what only a broker with replicated partitions needs.
    fn start_replication(self: &Arc<Self>) {
        if !self.replication.started.swap(true, Ordering::Relaxed) {
            let task = Arc::clone(self);
            let run = async move { super::alter_partition::run(&task).await };
            self.env.tasks.spawn("alter-partition", Box::pin(run));
            let first =
                self.env.clock.now() + self.config.config.replication.high_watermark_interval;
            self.ticker.schedule(first, Due::Chore(Chore::CheckpointHighWatermarks));
        }
    }
}

impl Held {
    /// This broker's leadership, if it leads.
    pub fn leads(&self) -> Option<LeaderEpoch> {
        Some(self.replica.as_ref()?.leader()?.epoch())
    }

    /// When the replica has something to do; never, if there is none.
    pub fn next_deadline(&self) -> Instant {
        self.replica.as_ref().map_or(Instant::FAR_FUTURE, Replica::next_deadline)
    }

    pub fn facts<'a>(&'a self, broker: &'a Broker) -> Facts<'a> {
        Facts { now: broker.env.clock.now(), log: &self.log, brokers: broker }
    }

    /// Gives the replica an input and carries out what it says. `fetched` are records that came with the
    /// input. Does nothing for a partition that has no replica.
    pub fn drive<T: Default>(
        &mut self,
        broker: &Broker,
        partition: &Partition,
        fetched: &[u8],
        input: impl FnOnce(&mut Replica, Facts<'_>, &mut Vec<Effect>) -> T,
    ) -> (T, Aftermath) {
        let Held { log, replica: Some(replica), effects, .. } = self else {
            return Default::default();
        };
        let facts = Facts { now: broker.env.clock.now(), log, brokers: broker };
        let answer = input(replica, facts, effects);
        if self.effects.is_empty() {
            return (answer, Aftermath::default());
        }
        let mut left = Box::<Left>::default();
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            if self.carry_out(broker, partition, fetched, effect, &mut left).is_break() {
                break;
            }
        }
        self.effects = effects;
        (answer, Aftermath(Some(left)))
    }

    /// Breaks off where the effects that follow do not hold any more.
    fn carry_out(
        &mut self,
        broker: &Broker,
        partition: &Partition,
        fetched: &[u8],
        effect: Effect,
        after: &mut Left,
    ) -> ControlFlow<()> {
        match effect {
            Effect::BecomeLeader { epoch } => {
                self.log.assign_epoch(epoch);
                let start = self.log.end_offset();
                self.tell(partition, ReplicaChange::Leads { epoch, start }, after);
                (after.follow, after.moved) = (Some(None), true);
            }
            Effect::BecomeFollower { leader, epoch } => {
                self.term += 1;
                self.tell(partition, ReplicaChange::Follows { leader, epoch }, after);
                (after.follow, after.moved, after.lost) = (Some(leader), true, true);
            }
            Effect::SetHighWatermark(offset) => {
                let before = self.log.high_watermark();
                let now = self.log.set_high_watermark(offset);
                if now != before {
                    self.tell(partition, ReplicaChange::HighWatermark(now), after);
                    after.moved = true;
                }
            }
            Effect::LowWatermarkMoved => after.moved = true,
            Effect::AppendFetched => return self.take_fetched(broker, partition, fetched, after),
            // A follower that has not got as far as the leader deleted learns it with a later fetch.
            Effect::RaiseLogStart(offset) => {
                if self.log.advance_start_offset(offset).is_ok() {
                    let (partition, offset) = (partition.id.clone(), self.log.start_offset());
                    after.events.push(Event::LogStartMoved { partition, offset });
                    after.moved = true;
                }
            }
            Effect::TruncateTo(offset) => {
                let now = broker.env.clock.wall_time();
                return self.cut(partition, after, |log| log.truncate_to(offset, now));
            }
            Effect::TruncateFullyAndStartAt(offset) => {
                let now = broker.env.clock.wall_time();
                let cut = |log: &mut Log| log.truncate_fully_and_start_at(offset, now);
                return self.cut(partition, after, cut);
            }
            Effect::AlterPartition(request) => after.alter.push(request),
            Effect::Observe(event) => self.tell(partition, ReplicaChange::Isr(event), after),
        }
        ControlFlow::Continue(())
    }

    fn tell(&self, partition: &Partition, change: ReplicaChange, after: &mut Left) {
        if self.replicas > 1 {
            let (partition, topic_id) = (partition.id.clone(), partition.topic_id);
            after.events.push(Event::Replica { partition, topic_id, change });
        }
    }

    /// Truncates the log, one way or the other.
    fn cut(
        &mut self,
        partition: &Partition,
        after: &mut Left,
        cut: impl FnOnce(&mut Log) -> Result<(), LogError>,
    ) -> ControlFlow<()> {
        let from = self.log.end_offset();
        let result = cut(&mut self.log);
        after.cut = true;
        let (start, to) = (self.log.start_offset(), self.log.end_offset());
        if to != from {
            let change = match to {
                // It began anew.
                _ if start == to => ReplicaChange::Restarted { at: to },
                _ => ReplicaChange::Truncated { from, to },
            };
            self.tell(partition, change, after);
            // One that begins anew has nothing clean.
            after.truncated = Some(if start == to { Offset(0) } else { to });
            after.moved = true;
        }
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                after.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn take_fetched(
        &mut self,
        broker: &Broker,
        partition: &Partition,
        fetched: &[u8],
        after: &mut Left,
    ) -> ControlFlow<()> {
        let end = self.log.end_offset();
        match self.append_fetched(broker, partition, fetched) {
            Ok(()) => {
                if self.log.end_offset() != end {
                    self.tell_fetched(partition, fetched, after);
                }
                return ControlFlow::Continue(());
            }
            Err(AppendError::Log(error)) => after.failed = Some(error),
            Err(error) => {
                tracing::warn!(partition = %partition.id, %error, "fetched records refused");
                let Held { log, replica, .. } = self;
                let facts = Facts { now: broker.env.clock.now(), log, brokers: broker };
                replica.as_mut().expect("it gave the effect").handle_append_failed(facts);
            }
        }
        ControlFlow::Break(())
    }

    fn tell_fetched(&self, partition: &Partition, fetched: &[u8], after: &mut Left) {
        for mark in marks(fetched) {
            self.tell(partition, ReplicaChange::Replicated(mark), after);
        }
    }

    /// Nothing is appended to a log that is closed, or about to be.
    fn append_fetched(
        &mut self,
        broker: &Broker,
        partition: &Partition,
        fetched: &[u8],
    ) -> Result<(), AppendError> {
        if fetched.is_empty() || broker.ending.is_stopping() || partition.is_retired() {
            return Ok(());
        }
        let appended: Result<Option<(Offset, Offset)>, AppendError> =
            Log::append_as_follower(&mut self.log, fetched, broker.env.clock.wall_time());
        appended.map(drop)
    }
}

impl Partition {
    /// Does what an input left over.
    pub fn follow_up<T>(&self, broker: &Broker, (answer, after): (T, Aftermath)) -> T {
        let Aftermath(Some(left)) = after else { return answer };
        let Left { moved, lost, follow: _, alter, events, cut, truncated, failed } = *left;
        for event in events {
            broker.observe(event);
        }
        if let Some(error) = failed.filter(|_| !self.is_retired()) {
            broker.fail(&error);
        }
        if let Some(end) = truncated {
            broker.cleaner.truncated(&self.id, end);
        }
        if cut {
            // Epochs may have gone with the records: their file is written anew soon.
            self.schedule_flush(broker);
        }
        for request in alter {
            broker.replication.alter_partitions.add(self.id.clone(), self.topic_id, request);
        }
        if moved {
            self.waiters.wake_all();
            if self.coordinator_waits.swap(false, Ordering::Relaxed) {
                broker.storage.add(Work::Commit(self.id.partition));
            }
        }
        if lost {
            self.followers.wake_all();
        }
        answer
    }

    /// The metadata names this broker a replica of the partition.
    pub fn follow_metadata(self: &Arc<Self>, broker: &Arc<Broker>, image: &PartitionImage) {
        let metadata = PartitionMetadata {
            leader: image.has_leader().then_some(image.leader),
            leader_epoch: image.leader_epoch,
            partition_epoch: image.partition_epoch,
            replicas: image.replicas.clone(),
            isr: image.isr.iter().copied().collect(),
            adding: image.adding.clone(),
            removing: image.removing.clone(),
        };
        let mut held = self.held();
        held.replicas = image.replicas.len();
        let is_replicated = held.replicas > 1;
        let driven =
            held.drive(broker, self, &[], |r, facts, fx| r.handle_metadata(facts, &metadata, fx));
        drop(held);
        let follow = driven.1.0.as_ref().and_then(|left| left.follow);
        self.follow_up(broker, driven);
        let id = broker.id();
        let leads = image.has_leader() && image.leader == id;
        let is_in_sync = image.has_leader() && image.isr.contains(&id);
        // A broker that leaves fetches no more where it is out of the ISR (`ReplicaManager.applyLocalFollowersDelta`).
        if broker.lifecycle.is_stopping() && !leads && !is_in_sync {
            broker.replication.fetchers.forget(&self.id);
        } else if let Some(leader) = follow {
            broker.replication.fetchers.assign(broker, self, leader);
        }
        if is_replicated {
            broker.start_replication();
            broker.arm_isr_check(self);
        }
    }

    /// More of the log counts as written here: it was appended, or synced.
    pub fn acknowledged_end_moved(&self, broker: &Broker) {
        let mut held = self.held();
        if held.leads().is_none() {
            return;
        }
        let driven = held.drive(broker, self, &[], |replica, facts, effects| {
            if let Ok(leader) = replica.leader_mut() {
                leader.handle_appended(facts, effects);
            }
        });
        drop(held);
        self.follow_up(broker, driven);
    }

    /// How a write with `acks=all` stands.
    pub fn check_acks(&self, written: &super::partitions::Written) -> Acks {
        let held = self.held();
        if self.is_retired() {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        let leader = held.replica.as_ref().and_then(Replica::leader);
        match leader.filter(|_| held.term == written.term) {
            Some(leader) => Ok(leader.check_acks(&held.log, written.required())),
            None => Err(ResponseError::NotLeaderOrFollower),
        }
    }

    pub fn is_leader(&self) -> bool {
        self.held().leads().is_some()
    }
}
