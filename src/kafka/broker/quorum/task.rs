//! The one task that drives the quorum's core and the active controller.
//!
//! Each input goes to a core, and the effects of that are done to the end before the next one. Of all effects only
//! `quorum-state` is waited for; syncs of the log run beside the task and come back as inputs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    disk::{self, Facts, LeaderChange},
    handle::{Description, Input, Inputs, Leadership, PeerQueues, config_of},
    peers,
    snapshot_file::Contents,
    snapshots::Snapshots,
    upkeep::{self, CLEAN_INTERVAL},
};
use crate::{
    env::{BoxFuture, Env, Instant},
    kafka::{
        broker::{
            active_controller::ActiveController,
            node::{NodeConfig, NodeError},
            observer::{Event, ReplicaChange, marks},
            partitions::Partition,
            state::Broker,
        },
        controller::Effect as ControllerEffect,
        log::LogError,
        raft::{
            Effect, ElectionState, FetchOutcome, FetchSnapshotResponse, Jitter, Now,
            OffsetAndEpoch, Quorum as Core, QuorumConfig, QuorumLog, RequestToken, Response,
            RoleName, SnapshotPart, SyncToken,
        },
        types::{BrokerId, LeaderEpoch, Offset},
    },
};

/// What was found on the disk, before anything runs.
pub(in crate::kafka::broker) struct Prepared {
    config: QuorumConfig,
    election: Option<ElectionState>,
    snapshots: Snapshots,
}

impl Prepared {
    /// The newest snapshot: what the log has after it is all that is to be replayed.
    pub fn newest_snapshot(&self) -> Result<Option<(OffsetAndEpoch, Contents)>, LogError> {
        let latest = self.snapshots.latest();
        latest.map(|id| Ok((id, self.snapshots.contents(id)?))).transpose()
    }
}

/// Reads `quorum-state` and which snapshots there are. All of the log before `durable` was committed and synced once.
pub(in crate::kafka::broker) async fn prepare(
    env: &Env,
    node: &NodeConfig,
    directory: Uuid,
    log: &Partition,
    durable: Offset,
) -> Result<Prepared, NodeError> {
    let disk = env.disk.as_ref();
    let dir = log.id.to_string();
    // What is put into the log's directory is durable only once the directory itself is.
    let synced = disk.sync_dir("").await;
    let path = || "the data directory".to_owned();
    synced.map_err(|source| LogError::Io { action: "sync", path: path(), source })?;
    let election = disk::load_election(disk, &dir)?;
    let mut log = log.log();
    let snapshots = Snapshots::load(Arc::clone(&env.disk), &dir, log.start_offset())?;
    upkeep::reconcile(&mut log, &snapshots, durable, env.clock.wall_time())?;
    Ok(Prepared { config: config_of(node, directory), election, snapshots })
}

/// The disk failed, or what must not happen did: the broker stops, and has been told so.
pub(super) struct Stopped;

type Synced = (SyncToken, Result<(), LogError>);
type Written = (OffsetAndEpoch, Result<u64, LogError>);

/// What the task wakes for.
enum Wake {
    Stop,
    Synced(Synced),
    Written(Written),
    Input(Input),
    Deadline,
}

pub(super) struct Task {
    pub(super) broker: Arc<Broker>,
    core: Core,
    pub(super) snapshots: Snapshots,
    /// The snapshot that is being written.
    pub(super) writing: Option<BoxFuture<'static, Written>>,
    next_clean: Instant,
    inputs: mpsc::UnboundedReceiver<Input>,
    peers: PeerQueues,
    waiting: BTreeMap<RequestToken, oneshot::Sender<Response>>,
    next_token: u64,
    jitter: ChaCha8Rng,
    choices: Option<ChaCha8Rng>,
    syncs: FuturesUnordered<BoxFuture<'static, Synced>>,
    /// An effect changed the log, and the core has not heard of it.
    pub(super) log_changed: bool,
    active: Option<ActiveController>,
    /// What the controller has decided and is not done yet.
    decided: VecDeque<ControllerEffect>,
    resigning: Vec<oneshot::Sender<()>>,
    /// The last vote that was told of.
    voted: Option<(LeaderEpoch, BrokerId)>,
}

/// Starts the tasks.
pub(in crate::kafka::broker) fn spawn(broker: &Arc<Broker>, inputs: Inputs, prepared: Prepared) {
    let tasks = &broker.env.tasks;
    let mut queues = PeerQueues::new();
    let voters = broker.config.voters.iter().filter(|id| **id != broker.id());
    for endpoint in voters.filter_map(|id| broker.config.endpoint(*id)) {
        let (queue, requests) = mpsc::unbounded_channel();
        queues.insert(endpoint.id, queue);
        let voter = (endpoint.id, endpoint.advertised.clone());
        tasks.spawn("voter", Box::pin(peers::run(Arc::clone(broker), voter, requests)));
    }
    let broker = Arc::clone(broker);
    tasks.spawn(
        "quorum",
        Box::pin(async move {
            // The broker has been told why, if there was a reason.
            let _ = run(Arc::clone(&broker), inputs, prepared, queues).await;
            broker.quorum.ended.set(true);
        }),
    );
}

async fn run(
    broker: Arc<Broker>,
    inputs: Inputs,
    prepared: Prepared,
    peers: PeerQueues,
) -> Result<(), Stopped> {
    let mut jitter = broker.env.rng.stream("quorum");
    let mut effects = Vec::new();
    let now = Now { instant: broker.env.clock.now(), jitter: Jitter(jitter.next_u32()) };
    let Prepared { config, election, snapshots } = prepared;
    let core = {
        let log = broker.metadata.log.log();
        let facts = Facts { log: &log, snapshots: &snapshots };
        Core::start(now, config, election, &facts, &mut effects)
    };
    let choices = Some(broker.env.rng.stream("controller"));
    let mut task = Task {
        core,
        snapshots,
        writing: None,
        next_clean: now.instant + CLEAN_INTERVAL,
        inputs: inputs.0,
        peers,
        waiting: BTreeMap::new(),
        next_token: 0,
        jitter,
        choices,
        syncs: FuturesUnordered::new(),
        log_changed: false,
        active: None,
        decided: VecDeque::new(),
        resigning: Vec::new(),
        voted: None,
        broker,
    };
    let (epoch, leader) = (task.core.epoch(), task.core.leader());
    task.tell_leader(epoch, leader);
    task.settle(effects).await?;
    loop {
        match task.wake().await {
            Wake::Stop => return Ok(()),
            Wake::Synced((token, done)) => {
                // The broker was told of a failure by the flush itself.
                done.map_err(|_| Stopped)?;
                let effects = task.call(|core, now, log, effects| {
                    core.handle_log_synced(now, log, token, effects);
                });
                task.settle(effects).await?;
            }
            Wake::Written((id, written)) => task.snapshot_written(id, written)?,
            Wake::Input(input) => task.handle(input).await?,
            Wake::Deadline => task.handle_deadlines().await?,
        }
        if task.core.role() != RoleName::Resigned {
            task.resigning.clear();
        }
    }
}

/// Completes with what is being written; never, if there is nothing.
async fn finished(writing: &mut Option<BoxFuture<'static, Written>>) -> Written {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

impl Task {
    async fn wake(&mut self) -> Wake {
        let active = self.active.as_ref();
        let controllers = active.map_or(Instant::FAR_FUTURE, ActiveController::next_deadline);
        let deadline = self.core.next_deadline().min(controllers).min(self.next_clean);
        let clock = &self.broker.env.clock;
        tokio::select! {
            biased;
            () = self.broker.ending.wait() => Wake::Stop,
            Some(synced) = self.syncs.next(), if !self.syncs.is_empty() => Wake::Synced(synced),
            written = finished(&mut self.writing) => Wake::Written(written),
            input = self.inputs.recv() => input.map_or(Wake::Stop, Wake::Input),
            () = clock.sleep_until(deadline) => Wake::Deadline,
        }
    }

    fn now(&mut self) -> Now {
        Now { instant: self.broker.env.clock.now(), jitter: Jitter(self.jitter.next_u32()) }
    }

    fn call(
        &mut self,
        act: impl FnOnce(&mut Core, Now, &dyn QuorumLog, &mut Vec<Effect>),
    ) -> Vec<Effect> {
        let now = self.now();
        let mut effects = Vec::new();
        let log = self.broker.metadata.log.log();
        let facts = Facts { log: &log, snapshots: &self.snapshots };
        act(&mut self.core, now, &facts, &mut effects);
        effects
    }

    async fn handle(&mut self, input: Input) -> Result<(), Stopped> {
        let effects = match input {
            Input::Request(request, sender) => {
                let token = RequestToken(self.next_token);
                self.next_token += 1;
                self.waiting.insert(token, sender);
                self.call(|core, now, log, effects| {
                    core.handle_request(now, log, token, request, effects);
                })
            }
            Input::Answered(from, correlation, Some(response)) => {
                self.call(|core, now, log, effects| {
                    core.handle_response(now, log, from, correlation, response, effects);
                })
            }
            Input::Answered(from, correlation, None) => self.call(|core, now, log, effects| {
                core.handle_request_failed(now, log, from, correlation, effects);
            }),
            Input::Decide(decide, sender) => {
                // Without a controller the sender is dropped, which says so.
                if let Some(active) = &mut self.active {
                    let now = self.broker.env.clock.now();
                    self.decided.extend(active.decide(now, decide, sender));
                }
                Vec::new()
            }
            Input::Describe(sender) => {
                let _ = sender.send(self.describe());
                Vec::new()
            }
            Input::Snapshot(id, contents) => {
                self.write_snapshot(id, contents);
                Vec::new()
            }
            Input::Resign(sender) => {
                self.resigning.push(sender);
                self.call(|core, now, log, effects| core.handle_resignation(now, log, effects))
            }
        };
        self.settle(effects).await
    }

    async fn handle_deadlines(&mut self) -> Result<(), Stopped> {
        let effects = self.call(|core, now, log, effects| core.handle_deadline(now, log, effects));
        self.settle(effects).await?;
        let now = self.broker.env.clock.now();
        if let Some(active) = &mut self.active
            && active.next_deadline() <= now
        {
            self.decided.extend(active.handle_deadline(now));
            self.settle(Vec::new()).await?;
        }
        if self.next_clean <= now {
            self.next_clean = now + CLEAN_INTERVAL;
            self.clean().await?;
            self.settle(Vec::new()).await?;
        }
        Ok(())
    }

    /// Does the effects of one call, then what follows from them, until both cores are at rest. The quorum goes first:
    /// the controller decides nothing while the log is in flux.
    async fn settle(&mut self, effects: Vec<Effect>) -> Result<(), Stopped> {
        let mut effects = VecDeque::from(effects);
        loop {
            if let Some(effect) = effects.pop_front() {
                self.carry_out(effect).await?;
            } else if std::mem::take(&mut self.log_changed) {
                effects.extend(self.call(|core, now, log, effects| {
                    core.handle_log_changed(now, log, effects);
                }));
            } else if let Some(decided) = self.decided.pop_front() {
                effects.extend(self.carry_out_decided(decided)?);
            } else {
                return Ok(());
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), Stopped> {
        match effect {
            Effect::Persist(state) => {
                let dir = self.broker.metadata.log.id.to_string();
                let stored = disk::store_election(self.broker.env.disk.as_ref(), &dir, state).await;
                self.check(stored)?;
                self.observe_vote(state);
            }
            Effect::Send { to, correlation, request } => {
                // Each voter has its task, which ends with the broker.
                if let Some(peer) = self.peers.get(&to) {
                    let _ = peer.send((correlation, request));
                }
            }
            Effect::Answer { request, response } => self.answer(request, response),
            Effect::AnswerWithRecords { request, from, max_bytes, mut response } => {
                let records = disk::read(&self.broker.metadata.log.log(), from, max_bytes);
                response.outcome = FetchOutcome::Records(records);
                self.answer(request, Response::Fetch(response));
            }
            Effect::AnswerWithSnapshot {
                request,
                standing,
                snapshot,
                size,
                position,
                max_bytes,
            } => {
                let max_bytes = usize::try_from(max_bytes).unwrap_or_default();
                let bytes = self.check(self.snapshots.read(snapshot, position, max_bytes))?;
                let part = Some(SnapshotPart { snapshot, size, position, bytes });
                let response = FetchSnapshotResponse { standing, part };
                self.answer(request, Response::FetchSnapshot(response));
            }
            Effect::SyncLog(token) => {
                let (broker, log) = (Arc::clone(&self.broker), &self.broker.metadata.log);
                let synced = disk::sync(broker, Arc::clone(log));
                self.syncs.push(Box::pin(async move { (token, synced.await) }));
            }
            Effect::WriteSnapshot { snapshot, position, bytes } => {
                self.check(self.snapshots.write(snapshot, position, &bytes))?;
            }
            Effect::InstallSnapshot { snapshot } => self.install(snapshot).await?,
            effect @ (Effect::AppendFetched { .. }
            | Effect::AppendLeaderChange { .. }
            | Effect::TruncateLog { .. }) => self.change_log(effect)?,
            Effect::HighWatermarkMoved(offset) => {
                self.observe(ReplicaChange::HighWatermark(offset));
                self.broker.metadata.commit(offset);
                if let Some(active) = &mut self.active {
                    self.decided.extend(active.handle_committed(&self.broker, offset));
                }
            }
            Effect::LeaderChanged { epoch, leader } => {
                // That it leads itself is told with where the epoch begins.
                if leader != Some(self.broker.id()) {
                    self.observe(ReplicaChange::Follows { leader, epoch });
                }
                self.tell_leader(epoch, leader);
            }
            Effect::BecameLeader { epoch } => self.activate(epoch)?,
            Effect::LostLeadership { .. } => self.deactivate(),
            Effect::Halt(fault) => {
                self.broker.fail_with(&fault);
                return Err(Stopped);
            }
        }
        Ok(())
    }

    fn change_log(&mut self, effect: Effect) -> Result<(), Stopped> {
        self.log_changed = true;
        let now = self.broker.env.clock.wall_time();
        let changed = {
            let mut log = self.broker.metadata.log.log();
            let from = log.end_offset();
            match effect {
                Effect::AppendFetched { records } => {
                    let appended = disk::append_fetched(&mut log, &records, now);
                    let is_longer = log.end_offset() != from;
                    let appended = appended.map(|()| marks(&records).filter(|_| is_longer));
                    appended.map(|marks| marks.map(ReplicaChange::Replicated).collect())
                }
                Effect::AppendLeaderChange { epoch, leader, voters, granting } => {
                    let change = LeaderChange { epoch, leader, voters, granting };
                    let appended = disk::append_leader_change(&mut log, &change, now);
                    let leads = ReplicaChange::Leads { epoch, start: from };
                    appended.map(|mark| vec![leads, ReplicaChange::Replicated(mark)])
                }
                Effect::TruncateLog { to } => {
                    let cut = log.truncate_to(to, now);
                    let to = log.end_offset();
                    cut.map(|()| vec![ReplicaChange::Truncated { from, to }])
                }
                other => unreachable!("{other:?} does not change the log's records"),
            }
        };
        let changes: Vec<ReplicaChange> = self.check(changed)?;
        changes.into_iter().for_each(|change| self.observe(change));
        Ok(())
    }

    /// Does one thing that the controller has decided; what the quorum says to it comes back.
    fn carry_out_decided(&mut self, effect: ControllerEffect) -> Result<Vec<Effect>, Stopped> {
        let Some(active) = &mut self.active else { return Ok(Vec::new()) };
        match effect {
            ControllerEffect::Reply { request, response } => active.reply(request, response),
            ControllerEffect::Append { base, records } => {
                let now = self.broker.env.clock.wall_time();
                let (epoch, is_writable) =
                    (active.epoch, self.core.writable_epoch() == Some(active.epoch));
                let appended = {
                    let mut log = self.broker.metadata.log.log();
                    let fits = is_writable && log.end_offset() == base;
                    fits.then(|| disk::append_records(&mut log, &records, epoch, now))
                };
                let Some(appended) = appended else {
                    tracing::warn!(broker = self.broker.id().0, %base, "the controller resigns");
                    self.deactivate();
                    return Ok(self.call(|core, now, log, effects| {
                        core.handle_resignation(now, log, effects);
                    }));
                };
                let mark = self.check(appended)?;
                self.observe(ReplicaChange::Replicated(mark));
                self.log_changed = true;
            }
        }
        Ok(Vec::new())
    }

    fn activate(&mut self, epoch: LeaderEpoch) -> Result<(), Stopped> {
        let loaded = self.broker.metadata.load();
        let loaded = self.check(loaded)?;
        let choices = self.choices.take().expect("there is one active controller at a time");
        tracing::info!(broker = self.broker.id().0, %epoch, "active controller");
        let (active, effects) = ActiveController::activate(&self.broker, epoch, loaded, choices);
        self.active = Some(active);
        self.decided.extend(effects);
        Ok(())
    }

    fn deactivate(&mut self) {
        if let Some(active) = self.active.take() {
            // Whoever waits finds its sender gone, and looks for the controller.
            self.choices = Some(active.resign());
            self.decided.clear();
        }
    }

    /// Of the metadata log.
    pub(super) fn observe(&self, change: ReplicaChange) {
        let log = &self.broker.metadata.log;
        let (partition, topic_id) = (log.id.clone(), log.topic_id);
        self.broker.observe(Event::Replica { partition, topic_id, change });
    }

    fn observe_vote(&mut self, state: ElectionState) {
        let vote = state.voted.map(|voted| (state.epoch, voted.id));
        if let Some((epoch, candidate)) = vote.filter(|_| vote != self.voted) {
            self.broker.observe(Event::Voted { epoch, candidate });
        }
        self.voted = vote;
    }

    fn tell_leader(&mut self, epoch: LeaderEpoch, leader: Option<BrokerId>) {
        self.broker.quorum.leadership.set(Leadership { epoch, leader });
    }

    fn answer(&mut self, request: RequestToken, response: Response) {
        // Whoever asked may have gone.
        if let Some(sender) = self.waiting.remove(&request) {
            let _ = sender.send(response);
        }
    }

    fn describe(&self) -> Description {
        let (voters, observers) = self.core.progress();
        Description {
            role: self.core.role(),
            leadership: Leadership { epoch: self.core.epoch(), leader: self.core.leader() },
            high_watermark: self.core.high_watermark(),
            now: self.broker.env.clock.now(),
            voters,
            observers,
        }
    }

    pub(super) fn check<T>(&self, result: Result<T, LogError>) -> Result<T, Stopped> {
        result.map_err(|error| {
            self.broker.fail(&error);
            Stopped
        })
    }
}
