//! Replicas on a network in memory: what a shell does, without a disk or a clock.
//!
//! Everything happens at a virtual time, in one thread, as the world's dice say: messages are late, lost or
//! overtake each other; replicas lose power between any two effects, and with it what they did not sync.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    super::{
        Ballot, Correlation, Effect, ElectionState, FetchOutcome, FetchSnapshotResponse, Jitter,
        Now, Quorum, QuorumConfig, QuorumLog, QuorumPolicies, ReplicaKey, Request, RequestToken,
        Response, RoleName, SnapshotPart, SyncToken,
    },
    memory_log::{Entry, MemoryLog, index, offset},
    show,
    watcher::{Durability, Watcher},
};
use crate::{
    env::Instant,
    kafka::types::{BrokerId, LeaderEpoch},
};

/// SplitMix64: fast, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// In a million.
    pub fn hits(&mut self, rate: u32) -> bool {
        rate > 0 && self.below(1_000_000) < u64::from(rate)
    }
}

/// How bad the world is; rates are in a million.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Microseconds that most messages take.
    pub latency: (u64, u64),
    /// Messages that take up to three seconds.
    pub late: u32,
    pub lost: u32,
    /// Microseconds that a sync takes.
    pub sync: (u64, u64),
    /// A replica loses power after an effect.
    pub mid_call_crash: u32,
    /// A leader loses power when it called something committed for the first time, before anybody hears it.
    pub first_commit_crash: u32,
    /// Records that one Fetch brings.
    pub fetch_records: usize,
    /// Bytes that one FetchSnapshot brings.
    pub snapshot_bytes: usize,
}

impl Weather {
    pub const FINE: Weather = Weather {
        latency: (1000, 1000),
        late: 0,
        lost: 0,
        sync: (1000, 1000),
        mid_call_crash: 0,
        first_commit_crash: 0,
        fetch_records: 10,
        snapshot_bytes: 100,
    };
}

#[derive(Debug)]
enum Happening {
    Request { from: usize, life: u32, to: usize, correlation: Correlation, request: Request },
    Response { from: usize, to: usize, life: u32, correlation: Correlation, response: Response },
    Failure { at: usize, life: u32, to: usize, correlation: Correlation },
    Synced { at: usize, life: u32, sync: SyncToken, end: usize },
}

#[derive(Clone, Copy, Debug)]
struct Asker {
    node: usize,
    life: u32,
    correlation: Correlation,
    /// For whom, and in which epoch, a binding vote is asked.
    ballot: Option<(LeaderEpoch, ReplicaKey)>,
}

pub struct Node {
    pub config: QuorumConfig,
    /// `None` while it is down.
    pub quorum: Option<Quorum>,
    pub log: MemoryLog,
    pub quorum_state: Option<Vec<u8>>,
    life: u32,
    asked: BTreeMap<RequestToken, Asker>,
    next_deadline: Instant,
    /// Whether packets from (0) and to (1) it are cut off.
    pub severed: [bool; 2],
    /// Told to the controller, and not taken back.
    pub active: bool,
    pub jitter: Option<u32>,
}

pub struct World {
    pub now: Instant,
    pub nodes: Vec<Node>,
    queue: BTreeMap<(Instant, u64), Happening>,
    next: u64,
    next_value: u32,
    pub dice: Dice,
    pub weather: Weather,
    pub watcher: Watcher,
    /// What was done, for transcripts.
    pub told: Option<Vec<String>>,
    pub steps: u64,
    spinning: u32,
    pub truncations: u64,
    pub installs: u64,
}

pub fn key(id: i32) -> ReplicaKey {
    ReplicaKey::new(BrokerId(id), Uuid::from_u128(u128::from(id.unsigned_abs())))
}

impl World {
    pub fn new(voters: i32, observers: i32, policies: QuorumPolicies, seed: u64) -> Self {
        let durability = match policies.quorum_flush {
            super::super::QuorumFlush::BeforeAcknowledging => Durability::Checked,
            super::super::QuorumFlush::Never => Durability::Ignored,
        };
        let voter_keys: Vec<ReplicaKey> = (1..=voters).map(key).collect();
        let node = |id: i32| Node {
            config: QuorumConfig { policies, ..QuorumConfig::new(key(id), "c", &voter_keys) },
            quorum: None,
            log: MemoryLog::default(),
            quorum_state: None,
            life: 0,
            asked: BTreeMap::new(),
            next_deadline: Instant::FAR_FUTURE,
            severed: [false; 2],
            active: false,
            jitter: None,
        };
        World {
            now: Instant::from_nanos(0),
            nodes: (1..=voters + observers).map(node).collect(),
            queue: BTreeMap::new(),
            next: 0,
            next_value: 0,
            dice: Dice(seed),
            weather: Weather::FINE,
            watcher: Watcher::new(durability),
            told: None,
            steps: 0,
            spinning: 0,
            truncations: 0,
            installs: 0,
        }
    }

    fn now(&mut self, at: usize) -> Now {
        let drawn = (self.dice.next() >> 32) as u32;
        Now { instant: self.now, jitter: Jitter(self.nodes[at].jitter.unwrap_or(drawn)) }
    }

    fn tell(&mut self, at: usize, what: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(format!("{} {}: {}", self.now, at + 1, what()));
        }
    }

    fn schedule(&mut self, delay: u64, happening: Happening) {
        self.next += 1;
        self.queue.insert((self.now + Duration::from_micros(delay), self.next), happening);
    }

    fn delay(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.dice.below(most - least + 1)
    }

    pub fn start(&mut self, at: usize) {
        let now = self.now(at);
        let node = &mut self.nodes[at];
        assert!(node.quorum.is_none(), "{} runs already", at + 1);
        let stored =
            node.quorum_state.as_deref().map(|bytes| ElectionState::from_json(bytes).unwrap());
        node.life += 1;
        let mut effects = Vec::new();
        node.quorum =
            Some(Quorum::start(now, node.config.clone(), stored, &node.log, &mut effects));
        self.finish(at, effects);
    }

    /// Ends the process; `surviving` records of the log outlast it, and all that was synced.
    pub fn crash(&mut self, at: usize, surviving: usize) {
        let node = &mut self.nodes[at];
        node.quorum = None;
        node.life += 1;
        node.active = false;
        node.asked.clear();
        node.next_deadline = Instant::FAR_FUTURE;
        node.log.lose(surviving);
        self.watcher.crashed(BrokerId(at as i32 + 1));
    }

    /// Power loss: some of the unsynced records survive.
    pub fn lose_power(&mut self, at: usize) {
        let end = self.nodes[at].log.entries.len() as u64 + 1;
        let surviving = self.dice.below(end) as usize;
        self.crash(at, surviving);
    }

    /// Calls the core and does what it says, until the log stands still.
    fn call(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Quorum, Now, &dyn QuorumLog, &mut Vec<Effect>),
    ) {
        let now = self.now(at);
        let node = &mut self.nodes[at];
        let Some(quorum) = &mut node.quorum else { return };
        let mut effects = Vec::new();
        act(quorum, now, &node.log, &mut effects);
        self.finish(at, effects);
    }

    fn finish(&mut self, at: usize, mut effects: Vec<Effect>) {
        loop {
            let mut changed = false;
            for effect in effects {
                let node = &self.nodes[at];
                let leads = node.quorum.as_ref().is_some_and(|it| it.role() == RoleName::Leader);
                let crash = match effect {
                    // The first that it calls committed, if it does not act as controller yet.
                    Effect::HighWatermarkMoved(_) if leads && !node.active => {
                        self.weather.first_commit_crash
                    }
                    _ => self.weather.mid_call_crash,
                };
                changed |= self.perform(at, effect);
                if self.dice.hits(crash) {
                    self.lose_power(at);
                }
                if self.nodes[at].quorum.is_none() {
                    return;
                }
            }
            if !changed {
                break;
            }
            let now = self.now(at);
            let node = &mut self.nodes[at];
            let Some(quorum) = &mut node.quorum else { return };
            effects = Vec::new();
            quorum.handle_log_changed(now, &node.log, &mut effects);
        }
        let node = &mut self.nodes[at];
        let Some(quorum) = &node.quorum else { return };
        node.next_deadline = quorum.next_deadline();
        if quorum.role() == RoleName::Leader {
            let epoch = quorum.epoch();
            self.watcher.leads(BrokerId(at as i32 + 1), epoch, &node.log);
        }
    }

    /// Whether the log changed.
    fn perform(&mut self, at: usize, effect: Effect) -> bool {
        if self.told.is_some()
            && let Some(shown) = show::effect(&effect)
        {
            self.tell(at, || shown);
        }
        let id = BrokerId(at as i32 + 1);
        match effect {
            Effect::Persist(state) => {
                let bytes = state.to_json();
                assert_eq!(ElectionState::from_json(&bytes), Ok(state));
                self.nodes[at].quorum_state = Some(bytes);
                self.watcher.persisted(id, state);
            }
            Effect::Send { to, correlation, request } => {
                let (from, life, to) = (at, self.nodes[at].life, to.0 as usize - 1);
                self.transmit(at, to, Happening::Request { from, life, to, correlation, request });
            }
            Effect::Answer { request, response } => self.answer(at, request, response),
            Effect::AnswerWithRecords { request, from, response, .. } => {
                let records = self.nodes[at].log.read(index(from), self.weather.fetch_records);
                let outcome = FetchOutcome::Records(records);
                let response = Response::Fetch(super::super::FetchResponse { outcome, ..response });
                self.answer(at, request, response);
            }
            Effect::AnswerWithSnapshot { request, standing, snapshot, size, position, .. } => {
                let bytes = (size - position).min(self.weather.snapshot_bytes as u64) as usize;
                let bytes = Bytes::from(vec![0; bytes]);
                let part = Some(SnapshotPart { snapshot, size, position, bytes });
                let response = FetchSnapshotResponse { standing, part };
                self.answer(at, request, Response::FetchSnapshot(response));
            }
            Effect::SyncLog(sync) => {
                let (life, end) = (self.nodes[at].life, self.nodes[at].log.entries.len());
                let delay = self.delay(self.weather.sync);
                self.schedule(delay, Happening::Synced { at, life, sync, end });
            }
            Effect::WriteSnapshot { .. } => {}
            Effect::AppendFetched { .. }
            | Effect::AppendLeaderChange { .. }
            | Effect::TruncateLog { .. }
            | Effect::InstallSnapshot { .. } => {
                self.change_log(at, effect);
                return true;
            }
            Effect::HighWatermarkMoved(to) => {
                self.watcher.committed(id, to, &self.nodes[at].log);
            }
            Effect::LeaderChanged { .. } => {}
            Effect::BecameLeader { .. } => self.nodes[at].active = true,
            Effect::LostLeadership { .. } => self.nodes[at].active = false,
            Effect::Halt(fault) => {
                self.watcher.halted(id, fault);
                let all = self.nodes[at].log.entries.len();
                self.crash(at, all);
            }
        }
        false
    }

    fn change_log(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::AppendFetched { records } => {
                self.nodes[at].log.append(records);
            }
            Effect::AppendLeaderChange { epoch, .. } => {
                let value = self.new_value();
                self.nodes[at].log.entries.push(Entry { epoch: epoch.0, value });
            }
            Effect::TruncateLog { to } => {
                self.nodes[at].log.truncate(index(to));
                self.forget_syncs(at, index(to));
                self.truncations += 1;
                self.watcher.truncated(BrokerId(at as i32 + 1), index(to));
            }
            Effect::InstallSnapshot { snapshot } => {
                let end = index(snapshot.offset);
                assert!(end <= self.watcher.committed.len(), "only what is committed is installed");
                self.forget_syncs(at, end);
                self.installs += 1;
                self.nodes[at].log.install(snapshot, &self.watcher.committed);
            }
            other => panic!("{other:?} changes no log"),
        }
    }

    /// Syncs under way cover nothing that is appended after a truncation.
    fn forget_syncs(&mut self, node: usize, to: usize) {
        for happening in self.queue.values_mut() {
            if let Happening::Synced { at, end, .. } = happening
                && *at == node
            {
                *end = to.min(*end);
            }
        }
    }

    fn new_value(&mut self) -> u32 {
        self.next_value += 1;
        self.next_value
    }

    fn answer(&mut self, at: usize, token: RequestToken, response: Response) {
        let asker = self.nodes[at].asked.remove(&token).expect("a request is answered once");
        let Asker { node: to, life, correlation, ballot } = asker;
        if let (Response::Vote { granted: true, .. }, Some((epoch, candidate))) =
            (&response, ballot)
        {
            let bytes = self.nodes[at].quorum_state.as_deref().expect("a vote is durable");
            let stored = ElectionState::from_json(bytes).unwrap();
            assert_eq!((stored.epoch, stored.voted), (epoch, Some(candidate)), "a vote is durable");
            self.watcher.voted(BrokerId(at as i32 + 1), epoch, candidate);
        }
        self.transmit(at, to, Happening::Response { from: at, to, life, correlation, response });
    }

    fn transmit(&mut self, from: usize, to: usize, packet: Happening) {
        if self.dice.hits(self.weather.lost) {
            return;
        }
        if self.nodes[from].severed[0] || self.nodes[to].severed[1] {
            return;
        }
        let most =
            if self.dice.hits(self.weather.late) { 3_000_000 } else { self.weather.latency.1 };
        let delay = self.delay((self.weather.latency.0, most));
        self.schedule(delay, packet);
    }

    /// When anything happens next.
    pub fn next_event(&self) -> Instant {
        let deadlines = self.nodes.iter().map(|node| node.next_deadline);
        let first = self.queue.first_key_value().map(|((at, _), _)| *at);
        deadlines.chain(first).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) {
        self.steps += 1;
        let at = self.next_event();
        assert!(at < Instant::FAR_FUTURE, "nothing will ever happen");
        self.spinning = if at > self.now { 0 } else { self.spinning + 1 };
        assert!(self.spinning < 20_000, "time stands still at {}", self.now);
        self.now = self.now.max(at);
        if let Some(late) = self.nodes.iter().position(|node| node.next_deadline <= self.now) {
            self.call(late, |quorum, now, log, effects| quorum.handle_deadline(now, log, effects));
        } else {
            let (_, happening) = self.queue.pop_first().expect("it is the next event");
            self.happen(happening);
        }
        self.check();
    }

    fn check(&mut self) {
        let voters = self.nodes[0].config.voters.len();
        let logs = self.nodes[..voters].iter().map(|node| &node.log);
        self.watcher.check_durable(voters / 2 + 1, logs);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request { from, life, to, correlation, request } => {
                if self.nodes[to].quorum.is_none() {
                    let failure = Happening::Failure { at: from, life, to, correlation };
                    return self.schedule(1000, failure);
                }
                self.tell(to, || format!("<- {} {}", from + 1, show::request(&request)));
                let token = RequestToken(self.next);
                self.next += 1;
                let ballot = match &request {
                    Request::Vote(vote) if vote.ballot == Ballot::Vote => {
                        Some((vote.epoch, vote.replica))
                    }
                    _ => None,
                };
                self.nodes[to].asked.insert(token, Asker { node: from, life, correlation, ballot });
                self.call(to, |quorum, now, log, effects| {
                    quorum.handle_request(now, log, token, request, effects);
                });
            }
            Happening::Response { from, to, life, correlation, response } => {
                if self.nodes[to].life != life {
                    return;
                }
                self.tell(to, || format!("<- {} {}", from + 1, show::response(&response)));
                let from = BrokerId(from as i32 + 1);
                self.call(to, |quorum, now, log, effects| {
                    quorum.handle_response(now, log, from, correlation, response, effects);
                });
            }
            Happening::Failure { at, life, to, correlation } => {
                if self.nodes[at].life == life {
                    let to = BrokerId(to as i32 + 1);
                    self.call(at, |quorum, now, log, effects| {
                        quorum.handle_request_failed(now, log, to, correlation, effects);
                    });
                }
            }
            Happening::Synced { at, life, sync, end } => {
                if self.nodes[at].life == life {
                    let log = &mut self.nodes[at].log;
                    log.synced = log.synced.max(end);
                    self.call(at, |quorum, now, log, effects| {
                        quorum.handle_log_synced(now, log, sync, effects);
                    });
                }
            }
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_event() <= until {
            self.step();
        }
        self.now = until;
    }

    /// The controller at `at` appends, if it may.
    pub fn append(&mut self, at: usize) -> bool {
        let node = &self.nodes[at];
        let epoch = node.quorum.as_ref().and_then(Quorum::writable_epoch);
        assert_eq!(epoch.is_some(), node.active && node.quorum.is_some());
        let Some(epoch) = epoch else { return false };
        let value = self.new_value();
        self.nodes[at].log.entries.push(Entry { epoch: epoch.0, value });
        self.call(at, |quorum, now, log, effects| quorum.handle_log_changed(now, log, effects));
        true
    }

    /// A snapshot of all that is committed as far as `at` knows takes the place of its log.
    pub fn snapshot(&mut self, at: usize) -> bool {
        let node = &mut self.nodes[at];
        let known = node.quorum.as_ref().and_then(Quorum::high_watermark);
        let Some(end) = known.map(index).filter(|end| *end > node.log.start) else { return false };
        node.log.snapshot(end);
        self.call(at, |quorum, now, log, effects| quorum.handle_log_changed(now, log, effects));
        true
    }

    pub fn resign(&mut self, at: usize) {
        self.call(at, |quorum, now, log, effects| quorum.handle_resignation(now, log, effects));
    }

    pub fn leader(&self) -> Option<usize> {
        let leads =
            |node: &Node| node.quorum.as_ref().is_some_and(|it| it.role() == RoleName::Leader);
        let leaders = (0..self.nodes.len()).filter(|at| leads(&self.nodes[*at]));
        leaders.max_by_key(|at| self.nodes[*at].quorum.as_ref().map(Quorum::epoch))
    }

    /// Whether all have the same log, and know all of it to be committed.
    pub fn is_level(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let end = offset(self.nodes[leader].log.entries.len());
        self.nodes.iter().all(|node| {
            let known = node.quorum.as_ref().and_then(Quorum::high_watermark);
            node.log.entries == self.nodes[leader].log.entries && known == Some(end)
        })
    }
}
