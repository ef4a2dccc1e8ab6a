//! Three brokers with logs in memory, a controller, and messages that arrive when they are told to.
//!
//! After every effect the world compares what all can see with what was ever committed, and notes each
//! breach in `violations`.

use std::{collections::BTreeSet, time::Duration};

use indexmap::IndexSet;

use super::{
    controller::{Controller, Elr, Image, Returning},
    memory_log::{Entry, MemoryLog},
};
use crate::{
    env::Instant,
    kafka::{
        protocol::ResponseError,
        replica::{
            AcksState, AlterPartition, AlteredPartition, Answer, BrokerFacts, Brokers, Effect,
            Facts, FetchAnswer, FetchOutcome, FollowerFetch, FollowerRequest, LogView, Question,
            ReadFrom, Replica, ReplicaConfig, ReplicaPolicy, RequiredAcks, Visibility,
        },
        types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset},
    },
};

/// Records of one fetch: few, so that logs differ often.
const FETCHED_RECORDS: usize = 2;

#[derive(Clone, Debug)]
pub enum Body {
    Ask { request: FollowerRequest, fetch: Option<FollowerFetch> },
    Answer { request: FollowerRequest, answer: Result<Answer, ResponseError>, records: Vec<Entry> },
    Alter { request: AlterPartition, epoch: BrokerEpoch },
    Altered(Result<AlteredPartition, ResponseError>),
}

/// `None` is the controller.
#[derive(Clone, Debug)]
pub struct Message {
    pub from: Option<BrokerId>,
    pub to: Option<BrokerId>,
    /// Which life of the broker may take it, if it goes to a broker's waiting request.
    life: Option<u32>,
    pub body: Body,
}

#[derive(Debug)]
pub struct Node {
    pub id: BrokerId,
    /// `None` while it is down.
    pub replica: Option<Replica>,
    pub log: MemoryLog,
    pub epoch: BrokerEpoch,
    /// The image it has.
    pub seen: usize,
    life: u32,
    checkpoint: Offset,
    pub synced: Offset,
    /// It lost records, and the controller does not know yet.
    lost: Option<Returning>,
    /// Writes with acks=all: the offset behind them, and their record.
    waiting: Vec<(Offset, u32)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub policy: ReplicaPolicy,
    pub elr: Elr,
    pub min_isr: usize,
    pub brokers: i32,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { policy: ReplicaPolicy::default(), elr: Elr::On, min_isr: 2, brokers: 3 }
    }
}

#[derive(Debug)]
pub struct World {
    pub now: Instant,
    pub nodes: Vec<Node>,
    pub controller: Controller,
    pub net: Vec<Message>,
    /// What any leader's high watermark has ever covered, by offset.
    pub committed: Vec<Entry>,
    pub acked: Vec<(Offset, u32)>,
    pub violations: IndexSet<String>,
    /// What was done, for transcripts.
    pub told: Vec<String>,
    setup: Setup,
    next_record: u32,
    lost_ever: BTreeSet<BrokerId>,
    /// Records below were deleted. Until a follower hears of it, it may hold others there: a leader cannot
    /// compare what it has deleted.
    deleted: Offset,
    /// (epoch, leader) of every reign.
    reigns: BTreeSet<(LeaderEpoch, BrokerId)>,
}

struct Registered<'a> {
    image: &'a Image,
    own: BrokerEpoch,
}

impl Brokers for Registered<'_> {
    fn broker(&self, id: BrokerId) -> Option<BrokerFacts> {
        self.image.brokers.get(&id).copied()
    }

    /// Each is in a rack of its own.
    fn is_in_rack(&self, id: BrokerId, rack: &str) -> bool {
        self.image.brokers.contains_key(&id) && rack == format!("r{id}")
    }

    fn own_epoch(&self) -> BrokerEpoch {
        self.own
    }
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let controller = Controller::new(setup.brokers, setup.min_isr, setup.elr);
        let node = |id| Node {
            id: BrokerId(id),
            replica: None,
            log: MemoryLog::new(setup.min_isr),
            epoch: BrokerEpoch(0),
            seen: 0,
            life: 0,
            checkpoint: Offset(0),
            synced: Offset(0),
            lost: None,
            waiting: Vec::new(),
        };
        let mut world = World {
            now: Instant::from_nanos(0),
            nodes: (0..setup.brokers).map(node).collect(),
            controller,
            net: Vec::new(),
            committed: Vec::new(),
            acked: Vec::new(),
            violations: IndexSet::new(),
            told: Vec::new(),
            setup,
            next_record: 0,
            lost_ever: BTreeSet::new(),
            deleted: Offset(0),
            reigns: BTreeSet::new(),
        };
        for id in 0..world.nodes.len() {
            world.start(id);
        }
        world.told.clear();
        world
    }

    fn start(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        node.replica = Some(Replica::new(ReplicaConfig {
            broker: node.id,
            lag_time_max: Duration::from_secs(30),
            fetch_backoff: Duration::from_secs(1),
            policy: self.setup.policy,
        }));
        node.log.high_watermark = Offset(0);
        node.log.set_high_watermark(node.checkpoint);
        node.life += 1;
        self.see(id, usize::MAX);
    }

    /// Gives the replica an input and carries out what it says. Nothing happens to a broker that is down.
    pub fn act<T>(
        &mut self,
        id: usize,
        input: impl FnOnce(&mut Replica, Facts<'_>, &mut Vec<Effect>) -> T,
    ) -> Option<T> {
        self.act_with(id, &[], input)
    }

    fn act_with<T>(
        &mut self,
        id: usize,
        records: &[Entry],
        input: impl FnOnce(&mut Replica, Facts<'_>, &mut Vec<Effect>) -> T,
    ) -> Option<T> {
        let node = &mut self.nodes[id];
        let brokers = Registered { image: &self.controller.images[node.seen], own: node.epoch };
        let facts = Facts { now: self.now, log: &node.log, brokers: &brokers };
        let mut effects = Vec::new();
        let result = input(node.replica.as_mut()?, facts, &mut effects);
        for effect in effects {
            self.told.push(super::show::effect(node_name(id), &effect, records));
            self.carry_out(id, effect, records);
            self.check();
        }
        self.acknowledge(id);
        Some(result)
    }

    /// An input that changes nothing.
    pub fn ask<T>(&self, id: usize, input: impl FnOnce(&Replica, Facts<'_>) -> T) -> Option<T> {
        let node = &self.nodes[id];
        let brokers = Registered { image: &self.controller.images[node.seen], own: node.epoch };
        let facts = Facts { now: self.now, log: &node.log, brokers: &brokers };
        Some(input(node.replica.as_ref()?, facts))
    }

    fn carry_out(&mut self, id: usize, effect: Effect, records: &[Entry]) {
        let node = &mut self.nodes[id];
        match effect {
            Effect::BecomeLeader { epoch } => {
                node.log.assign_epoch(epoch, node.log.end_offset());
                let another = |(reign, leader): &(LeaderEpoch, BrokerId)| {
                    *reign == epoch && *leader != BrokerId(i32::try_from(id).unwrap())
                };
                if self.reigns.iter().any(another) {
                    self.violations.insert(format!("epoch {epoch} has two leaders"));
                }
                self.reigns.insert((epoch, node.id));
            }
            Effect::BecomeFollower { .. } => node.waiting.clear(),
            Effect::SetHighWatermark(offset) => {
                let leads = node.replica.as_ref().is_some_and(|replica| replica.leader().is_some());
                if leads && offset <= node.log.high_watermark {
                    self.violations.insert(format!("b{id}: a leader's high watermark fell"));
                }
                node.log.set_high_watermark(offset);
            }
            Effect::AppendFetched => records.iter().for_each(|entry| node.log.append(*entry)),
            Effect::RaiseLogStart(offset) => node.log.raise_start(offset),
            Effect::TruncateTo(offset) => {
                node.log.truncate_to(offset);
                node.synced = node.synced.min(node.log.end_offset());
            }
            Effect::TruncateFullyAndStartAt(offset) => {
                node.log.start_at(offset);
                node.synced = offset;
            }
            Effect::AlterPartition(request) => {
                let body = Body::Alter { request, epoch: node.epoch };
                let (from, life) = (Some(node.id), Some(node.life));
                self.net.push(Message { from, to: None, life, body });
            }
            Effect::LowWatermarkMoved | Effect::Observe(_) => {}
        }
    }

    /// Answers writes that wait for all in sync.
    fn acknowledge(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        let Some(leader) = node.replica.as_ref().and_then(Replica::leader) else { return };
        let mut acked = Vec::new();
        let log = &node.log;
        node.waiting.retain(|(end, record)| match leader.check_acks(log, *end) {
            AcksState::Waiting => true,
            AcksState::Satisfied => {
                acked.push((Offset(end.0 - 1), *record));
                false
            }
            AcksState::TooFewReplicas => {
                self.told
                    .push(format!("b{id}: {} NOT_ENOUGH_REPLICAS_AFTER_APPEND", letter(*record)));
                false
            }
        });
        let in_sync = leader.maximal_isr();
        if !acked.is_empty() && in_sync.len() < self.setup.min_isr {
            self.violations.insert(format!("b{id} acknowledged with {in_sync:?} in sync"));
        }
        for (offset, record) in acked {
            self.told.push(format!("b{id}: {} acknowledged", letter(record)));
            for member in &in_sync {
                let node = &self.nodes[usize::try_from(member.0).unwrap()];
                let has = node.log.get(offset).is_some_and(|entry| entry.1 == record);
                if !has && offset >= node.log.start_offset() && !self.lost_ever.contains(member) {
                    let text = format!("b{id} acknowledged {} without b{member}", letter(record));
                    self.violations.insert(text);
                }
            }
            self.acked.push((offset, record));
        }
    }

    /// An unclean election: what its winner lacks is no longer committed.
    pub fn elect_unclean(&mut self, id: usize) {
        let node = &self.nodes[id];
        let has = |(at, entry): (i64, &Entry)| node.log.get(Offset(at)) == Some(*entry);
        let kept = (0..).zip(&self.committed).take_while(|pair| has(*pair)).count();
        self.committed.truncate(kept);
        self.controller.elect_unclean(node.id);
    }

    /// What is committed, and that everybody's high watermark and every possible leader agree with it.
    pub fn check(&mut self) {
        for node in &self.nodes {
            let Some(replica) = &node.replica else { continue };
            for (offset, entry) in node.log.records() {
                if offset < self.deleted {
                    continue;
                }
                if offset >= node.log.high_watermark {
                    break;
                }
                match self.committed.get(usize::try_from(offset.0).unwrap()) {
                    Some(committed) if *committed == entry => {}
                    Some(_) => {
                        let id = node.id;
                        let text = format!(
                            "b{id}: offset {offset} below its high watermark is not what was committed"
                        );
                        self.violations.insert(text);
                    }
                    None if replica.leader().is_some() => self.committed.push(entry),
                    None => {
                        let text =
                            format!("b{}: its high watermark is above any leader's", node.id);
                        self.violations.insert(text);
                    }
                }
            }
        }
        let partition = &self.controller.latest().partition;
        for member in &partition.isr | &self.controller.elr {
            let node = &self.nodes[usize::try_from(member.0).unwrap()];
            let from = usize::try_from(node.log.start_offset().max(self.deleted).0).unwrap();
            let has = |(offset, entry): (usize, &Entry)| {
                node.log.get(Offset(i64::try_from(offset).unwrap())) == Some(*entry)
            };
            if node.lost.is_none() && !self.committed.iter().enumerate().skip(from).all(has) {
                self.violations.insert(format!("b{member} may lead and lacks what was committed"));
            }
        }
    }

    /// A write; whether the leader took it.
    pub fn produce(&mut self, id: usize, acks: RequiredAcks) -> Result<u32, ResponseError> {
        let record = self.next_record;
        let node = &mut self.nodes[id];
        let replica = node.replica.as_mut().ok_or(ResponseError::NetworkException)?;
        let epoch = replica.leader_mut()?.check_append(&node.log, acks)?;
        node.log.append((epoch, record));
        self.next_record += 1;
        if acks == RequiredAcks::All {
            node.waiting.push((node.log.end_offset(), record));
        }
        self.act(id, |replica, facts, effects| {
            replica.leader_mut().expect("it took the write").handle_appended(facts, effects);
        });
        Ok(record)
    }

    /// The broker's metadata catches up by at most `images`.
    pub fn see(&mut self, id: usize, images: usize) {
        let node = &mut self.nodes[id];
        if node.replica.is_some() {
            node.seen = node.seen.saturating_add(images).min(self.controller.images.len() - 1);
            let partition = self.controller.images[node.seen].partition.clone();
            self.act(id, |replica, facts, effects| {
                replica.handle_metadata(facts, &partition, effects);
            });
        }
        self.check();
    }

    /// Sends what the follower asks now.
    pub fn send(&mut self, id: usize) -> Option<FollowerRequest> {
        let request = self.ask(id, |replica, facts| replica.next_request(facts))??;
        let node = &self.nodes[id];
        let fetch = match &request.question {
            Question::Fetch { offset, last_fetched_epoch } => Some(FollowerFetch {
                follower: node.id,
                broker_epoch: node.epoch,
                current_leader_epoch: request.current_leader_epoch,
                fetch_offset: *offset,
                last_fetched_epoch: *last_fetched_epoch,
                log_start: node.log.start_offset(),
            }),
            _ => None,
        };
        self.net.push(Message {
            from: Some(node.id),
            to: Some(request.leader),
            life: Some(node.life),
            body: Body::Ask { request: request.clone(), fetch },
        });
        Some(request)
    }

    /// Lets a message arrive; one for a broker that is down is lost.
    pub fn deliver(&mut self, index: usize) {
        let Message { from, to, life, body } = self.net.remove(index);
        let place = |broker: Option<BrokerId>| broker.map(|id| usize::try_from(id.0).unwrap());
        let back = |body| Message { from: to, to: from, life, body };
        match (body, place(to)) {
            (Body::Ask { request, fetch }, Some(to)) => {
                let Some((answer, records)) = self.answer(to, &request, fetch) else { return };
                self.net.push(back(Body::Answer { request, answer, records }));
            }
            (Body::Alter { request, epoch }, _) => {
                let from = from.expect("a broker asks");
                if let Some(response) = self.controller.alter(from, epoch, &request) {
                    self.net.push(back(Body::Altered(response)));
                }
                self.check();
            }
            (Body::Answer { request, answer, records }, Some(to)) => {
                if life == Some(self.nodes[to].life) {
                    self.act_with(to, &records, |replica, facts, effects| {
                        replica.handle_answer(facts, &request, answer, effects);
                    });
                }
            }
            (Body::Altered(response), Some(to)) => {
                if life == Some(self.nodes[to].life) {
                    self.act(to, |replica, facts, effects| {
                        replica.handle_alter_partition_response(facts, response, effects);
                    });
                }
            }
            (_, None) => unreachable!("only AlterPartition goes to the controller"),
        }
    }

    fn answer(
        &mut self,
        id: usize,
        request: &FollowerRequest,
        fetch: Option<FollowerFetch>,
    ) -> Option<(Result<Answer, ResponseError>, Vec<Entry>)> {
        // Read before the fetch is taken into account, as a leader does.
        let readable = fetch.and_then(|fetch| {
            let log = &self.nodes[id].log;
            (log.start_offset()..=log.end_offset())
                .contains(&fetch.fetch_offset)
                .then(|| log.read(fetch.fetch_offset, FETCHED_RECORDS))
        });
        let epoch = request.current_leader_epoch;
        let bound = |replica: &Replica, facts: Facts<'_>| {
            replica.offset_bound(facts, ReadFrom::Leader, epoch, Visibility::LogEnd)
        };
        let mut records = Vec::new();
        let answer = match &request.question {
            Question::Fetch { .. } => {
                let fetch = fetch.expect("a fetch says where it stands");
                let answer = self.act(id, |replica, facts, effects| {
                    handle_fetch(replica, facts, &fetch, effects)
                })?;
                answer.map(|answer| match answer.outcome {
                    FetchOutcome::Records => {
                        records = readable.expect("its offset is in range");
                        let (high_watermark, log_start) = (answer.high_watermark, answer.log_start);
                        Answer::Fetched { high_watermark, log_start }
                    }
                    FetchOutcome::Diverging { epoch, end } => {
                        Answer::Diverging { epoch, end, high_watermark: answer.high_watermark }
                    }
                })
            }
            Question::EpochEnd(asked) => self
                .ask(id, |replica, facts| {
                    replica.epoch_end(facts.log, ReadFrom::Leader, epoch, *asked)
                })?
                .map(Answer::EpochEnd),
            Question::LatestOffset => {
                self.ask(id, |replica, facts| bound(replica, facts)?.latest)?.map(Answer::Offset)
            }
            Question::EarliestOffset => self
                .ask(id, |replica, facts| bound(replica, facts).map(|_| facts.log.start_offset()))?
                .map(Answer::Offset),
        };
        Some((answer, records))
    }

    /// The process ends; the page cache stays.
    pub fn kill(&mut self, id: usize) {
        self.nodes[id].replica = None;
        self.nodes[id].waiting.clear();
    }

    /// The machine loses power, and all records from `keep` on that were not synced.
    pub fn lose_power(&mut self, id: usize, keep: Offset) {
        self.kill(id);
        let node = &mut self.nodes[id];
        let keep = keep.max(node.synced);
        if keep < node.log.end_offset() {
            node.log.truncate_to(keep);
            node.lost = Some(Returning::Lossy);
            self.lost_ever.insert(node.id);
        }
    }

    pub fn wipe(&mut self, id: usize) {
        self.kill(id);
        let node = &mut self.nodes[id];
        node.log = MemoryLog::new(self.setup.min_isr);
        (node.checkpoint, node.synced) = (Offset(0), Offset(0));
        node.lost = Some(Returning::Lossy);
        self.lost_ever.insert(node.id);
    }

    /// Starts a broker that is down: it registers, and begins with the metadata of then.
    pub fn restart(&mut self, id: usize) {
        if self.nodes[id].replica.is_none() {
            let lost = self.nodes[id].lost.take();
            let returning = lost.unwrap_or(Returning::Whole);
            self.nodes[id].epoch =
                self.controller.register(BrokerId(i32::try_from(id).unwrap()), returning);
            self.check();
            self.start(id);
        }
    }

    /// Heartbeats: a broker that has seen its registration is unfenced.
    pub fn unfence(&mut self, id: usize) {
        let node = &self.nodes[id];
        let registered = self.controller.images[node.seen].brokers[&node.id].epoch == node.epoch;
        if node.replica.is_some() && registered {
            self.controller.unfence(node.id);
        }
        self.check();
    }

    pub fn tick(&mut self, duration: Duration) {
        self.now = self.now + duration;
        for id in 0..self.nodes.len() {
            let node = &self.nodes[id];
            let due = node.replica.as_ref().map(Replica::next_deadline);
            if due.is_some_and(|due| due <= self.now) {
                self.act(id, |replica, facts, effects| replica.handle_deadline(facts, effects));
            }
        }
    }

    /// Checkpoints the high watermark, and syncs the log.
    pub fn checkpoint(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        node.checkpoint = node.log.high_watermark;
    }

    pub fn sync(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        node.synced = node.log.end_offset();
    }

    pub fn delete_records(&mut self, id: usize, before: Offset) {
        let log = &mut self.nodes[id].log;
        if (log.start_offset()..=log.high_watermark).contains(&before) {
            log.raise_start(before);
            self.deleted = self.deleted.max(before);
        }
    }
}

/// What is noted of a repeated fetch is all that there would be to do for it.
fn handle_fetch(
    replica: &mut Replica,
    facts: Facts<'_>,
    fetch: &FollowerFetch,
    effects: &mut Vec<Effect>,
) -> Result<FetchAnswer, ResponseError> {
    let nothing_else = |answer: FetchAnswer| answer.outcome == FetchOutcome::Records;
    let may_repeat = replica.check_fetch(facts.log, fetch).is_ok_and(nothing_else);
    let repeats = may_repeat && replica.handle_repeated_fetch(facts, fetch);
    let noted = repeats.then(|| format!("{replica:?}"));
    let answer = replica.handle_fetch(facts, fetch, effects);
    // Else the metadata is another one by now, which the shell sees.
    if let (Some(noted), Ok(_)) = (noted, &answer) {
        assert_eq!((noted, &effects[..]), (format!("{replica:?}"), &[][..]));
    }
    answer
}

pub fn node_name(id: usize) -> &'static str {
    ["b0", "b1", "b2", "b3", "b4"][id]
}

/// Records are called a, b, c ...; behind z by their number.
pub fn letter(record: u32) -> String {
    match u8::try_from(record) {
        Ok(number @ 0..26) => char::from(b'a' + number).to_string(),
        _ => format!("#{record}"),
    }
}
