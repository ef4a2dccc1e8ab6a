//! The coordinator under random use: clients that join, sync, beat, leave and commit whenever they like,
//! appends that take their time or fail, time that jumps.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafka_protocol::{
    messages::{
        HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest,
        SyncGroupRequest,
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::OffsetFetchRequestGroup,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};
use proptest::{collection::vec, prelude::*};
use uuid::Uuid;

use super::{
    super::{
        AppendToken, Caller, Effect, GroupCoordinator, GroupEvent, GroupResponse, GroupState, Now,
        OffsetsVisible, Request, RequestToken, subscription::assigned_partitions,
    },
    driver::{assignment, config, subscription, text},
};
use crate::{
    env::{Instant, WallTime},
    kafka::{
        coordinator::records::Record,
        protocol::ResponseError,
        types::{GroupId, MemberId, TopicPartition},
    },
};

const CLIENTS: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Join(usize, Subscription),
    Sync(usize),
    Beat(usize),
    Leave(usize),
    Commit(usize, i64),
    Fetch(usize, OffsetsVisible),
    Delete(usize),
    /// The oldest append under way is over.
    Finish(Fate),
    /// Milliseconds.
    Tick(u64),
    /// A client forgets all it knows, as in a restart.
    Forget(usize),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Subscription {
    Same,
    Other,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Committed,
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    let kind = prop_oneof![5 => Just(Subscription::Same), 1 => Just(Subscription::Other)];
    let visible = prop_oneof![Just(OffsetsVisible::Committed), Just(OffsetsVisible::Stable)];
    prop_oneof![
        8 => (client(), kind).prop_map(|(client, kind)| Step::Join(client, kind)),
        8 => client().prop_map(Step::Sync),
        3 => client().prop_map(Step::Beat),
        1 => client().prop_map(Step::Leave),
        4 => (client(), 0..100_i64).prop_map(|(client, offset)| Step::Commit(client, offset)),
        1 => (client(), visible).prop_map(|(client, visible)| Step::Fetch(client, visible)),
        1 => client().prop_map(Step::Delete),
        8 => Just(Step::Finish(Fate::Committed)),
        1 => Just(Step::Finish(Fate::Lost)),
        6 => (0..7_000_u64).prop_map(Step::Tick),
        1 => client().prop_map(Step::Forget),
    ]
}

/// Without deletions and lost appends.
fn calm_step() -> impl Strategy<Value = Step> {
    step().prop_map(|step| match step {
        Step::Delete(_) | Step::Finish(_) => Step::Finish(Fate::Committed),
        other => other,
    })
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Pace {
    /// Appends may take longer than is waited for them.
    Slow,
    /// None does.
    Prompt,
}

#[derive(Clone, Default, Debug)]
struct Client {
    member_id: StrBytes,
    generation: i32,
    /// Whom it is to assign to, if it leads.
    members: Vec<StrBytes>,
}

struct Bench {
    coordinator: GroupCoordinator,
    now: Instant,
    clients: Vec<Client>,
    /// Which client asked, and what it knew of itself then.
    waiting: BTreeMap<RequestToken, (usize, Client)>,
    pace: Pace,
    next: u64,
    appends: Vec<(AppendToken, Vec<Record>)>,
    log: Vec<Record>,
    generations: BTreeMap<GroupId, i32>,
    owners: BTreeMap<(StrBytes, i32, TopicPartition), StrBytes>,
}

impl Bench {
    fn new(pace: Pace) -> Self {
        Bench {
            pace,
            coordinator: GroupCoordinator::new(config()),
            now: Instant::from_nanos(0),
            clients: vec![Client::default(); CLIENTS],
            waiting: BTreeMap::new(),
            next: 0,
            appends: Vec::new(),
            log: Vec::new(),
            generations: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Four clients share one group, the last is alone.
    fn group(client: usize) -> usize {
        usize::from(client + 1 == CLIENTS)
    }

    fn name(client: usize) -> StrBytes {
        text(["many", "one"][Self::group(client)])
    }

    fn request<R>(&mut self, client: usize, body: R) -> Request<R> {
        let token = RequestToken(self.next);
        self.next += 1;
        self.waiting.insert(token, (client, self.clients[client].clone()));
        let caller = Caller { client_id: text("c"), client_host: text("/h"), api_version: 9 };
        Request { token, caller, body }
    }

    fn with(&mut self, act: impl FnOnce(&mut GroupCoordinator, Now, &mut Vec<Effect>)) {
        let wall = WallTime(i64::try_from(self.now.as_nanos() / 1_000_000).unwrap());
        let mut effects = Vec::new();
        act(&mut self.coordinator, Now { instant: self.now, wall }, &mut effects);
        for effect in effects {
            match effect {
                Effect::Reply { request, response } => {
                    let (client, then) = self.waiting.remove(&request).expect("answered once");
                    self.learn(client, &then, response);
                }
                Effect::Append { append, records } => self.appends.push((append, records)),
                Effect::Observe(GroupEvent::GenerationStarted { group, generation, .. }) => {
                    // A group that was deleted, or never written, begins anew.
                    if generation.0 == 1 {
                        self.owners.retain(|(name, ..), _| **name != *group.0);
                    }
                    let last = self.generations.insert(group, generation.0).unwrap_or(0);
                    assert!(generation.0 > last || generation.0 == 1, "generations rise");
                }
                Effect::Observe(_) => {}
            }
        }
    }

    fn learn(&mut self, client: usize, then: &Client, response: GroupResponse) {
        match response {
            GroupResponse::Join(join) if join.error_code == 0 => {
                let members = join.members.into_iter().map(|member| member.member_id).collect();
                let (member_id, generation) = (join.member_id, join.generation_id);
                self.clients[client] = Client { member_id, generation, members };
            }
            GroupResponse::Join(join)
                if join.error_code == ResponseError::MemberIdRequired.code() =>
            {
                self.clients[client] = Client { member_id: join.member_id, ..Client::default() };
            }
            GroupResponse::Join(join)
                if join.error_code == ResponseError::UnknownMemberId.code() =>
            {
                self.clients[client] = Client::default();
            }
            GroupResponse::Sync(sync) if sync.error_code == 0 => {
                for partition in assigned_partitions(&sync.assignment) {
                    let key = (Self::name(client), then.generation, partition);
                    let owner = self.owners.entry(key).or_insert_with(|| then.member_id.clone());
                    assert_eq!(*owner, then.member_id, "one owner of a partition in a generation");
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, fate: Fate) {
        if self.appends.is_empty() {
            return;
        }
        let (append, records) = self.appends.remove(0);
        let result = match fate {
            Fate::Committed => {
                self.log.extend(records);
                Ok(())
            }
            Fate::Lost => Err(ResponseError::NotEnoughReplicas),
        };
        self.with(|coordinator, now, effects| {
            coordinator.handle_append_done(now, append, result, effects);
        });
    }

    fn tick(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.keep_pace();
        while self.coordinator.next_deadline() <= end {
            self.now = self.coordinator.next_deadline().max(self.now);
            self.with(|coordinator, now, effects| coordinator.handle_deadline(now, effects));
            self.keep_pace();
        }
        self.now = end;
    }

    fn keep_pace(&mut self) {
        if self.pace == Pace::Prompt {
            self.finish_all();
        }
    }

    fn join(&mut self, client: usize, kind: Subscription) {
        let topics = if kind == Subscription::Same { "t" } else { "t,u" };
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(subscription(topics));
        let body = JoinGroupRequest::default()
            .with_group_id(Self::name(client).into())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(15_000)
            .with_member_id(self.clients[client].member_id.clone())
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let request = self.request(client, body);
        let new_member = Uuid::from_u128(u128::from(self.next));
        self.with(|coordinator, now, effects| {
            coordinator.handle_join_group(now, request, new_member, effects);
        });
    }

    fn sync(&mut self, client: usize) {
        let known = self.clients[client].clone();
        let assign = |(number, member): (usize, &StrBytes)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(member.clone())
                .with_assignment(assignment(&format!("t-{number}")))
        };
        let body = SyncGroupRequest::default()
            .with_group_id(Self::name(client).into())
            .with_generation_id(known.generation)
            .with_member_id(known.member_id)
            .with_assignments(known.members.iter().enumerate().map(assign).collect());
        let request = self.request(client, body);
        self.with(|coordinator, now, effects| coordinator.handle_sync_group(now, request, effects));
    }

    fn commit(&mut self, client: usize, offset: i64) {
        let known = self.clients[client].clone();
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(text("t").into())
            .with_partitions(vec![partition]);
        let generation = if known.member_id.is_empty() { -1 } else { known.generation };
        let body = OffsetCommitRequest::default()
            .with_group_id(Self::name(client).into())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(known.member_id)
            .with_topics(vec![topic]);
        let request = self.request(client, body);
        self.with(|coordinator, now, effects| {
            coordinator.handle_offset_commit(now, request, effects)
        });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Join(client, kind) => self.join(client, kind),
            Step::Sync(client) => self.sync(client),
            Step::Commit(client, offset) => self.commit(client, offset),
            Step::Finish(fate) => self.finish(fate),
            Step::Tick(ms) => self.tick(ms),
            Step::Forget(client) => self.clients[client] = Client::default(),
            Step::Beat(client) => {
                let known = self.clients[client].clone();
                let body = HeartbeatRequest::default()
                    .with_group_id(Self::name(client).into())
                    .with_generation_id(known.generation)
                    .with_member_id(known.member_id);
                let request = self.request(client, body);
                self.with(|coordinator, now, effects| {
                    coordinator.handle_heartbeat(now, request, effects);
                });
            }
            Step::Leave(client) => {
                let member = self.clients[client].member_id.clone();
                let body = LeaveGroupRequest::default()
                    .with_group_id(Self::name(client).into())
                    .with_members(vec![MemberIdentity::default().with_member_id(member)]);
                let request = self.request(client, body);
                self.with(|coordinator, now, effects| {
                    coordinator.handle_leave_group(now, request, effects);
                });
            }
            Step::Fetch(client, visible) => {
                let body =
                    OffsetFetchRequestGroup::default().with_group_id(Self::name(client).into());
                let request = self.request(client, body);
                self.with(|coordinator, _, effects| {
                    coordinator.handle_offset_fetch(request, visible, effects);
                });
            }
            Step::Delete(client) => {
                let request = self.request(client, vec![Self::name(client).into()]);
                self.with(|coordinator, now, effects| {
                    coordinator.handle_delete_groups(now, request, effects);
                });
            }
        }
        self.check();
    }

    /// What `Group` promises of itself.
    fn check(&self) {
        for group in self.coordinator.groups.values() {
            let without = matches!(group.state, GroupState::Empty | GroupState::PreparingRebalance);
            assert!(!group.members.is_empty() || without, "{:?} without members", group.state);
            assert!(group.state != GroupState::Empty || group.members.is_empty());
            assert_eq!(group.leader.is_some(), !group.members.is_empty());
            assert!(group.leader.iter().all(|leader| group.members.contains_key(leader)));
            let members: BTreeSet<MemberId> = group.members.keys().cloned().collect();
            assert!(members.is_disjoint(&group.pending_joins));
        }
    }

    fn finish_all(&mut self) {
        while !self.appends.is_empty() {
            self.finish(Fate::Committed);
        }
    }

    /// A coordinator that knows nothing but the log.
    fn replayed(&self) -> GroupCoordinator {
        let mut replayed = GroupCoordinator::new(config());
        let now = Now { instant: self.now, wall: WallTime(0) };
        for record in self.log.clone() {
            replayed.replay(now, record.key, record.value).unwrap();
        }
        replayed
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// More than ten minutes end every session, every wait for members and every append.
    #[test]
    fn every_request_is_answered_once(steps in vec(step(), 0..150)) {
        let mut bench = Bench::new(Pace::Slow);
        for step in steps {
            bench.take(step);
        }
        bench.tick(400_000);
        bench.finish_all();
        bench.tick(400_000);
        bench.finish_all();
        prop_assert!(bench.waiting.is_empty(), "{:?} wait", bench.waiting);
    }

    #[test]
    fn answers_equal_a_replay_of_the_log(steps in vec(calm_step(), 0..150)) {
        let mut bench = Bench::new(Pace::Prompt);
        for step in steps {
            bench.take(step);
        }
        bench.finish_all();
        let replayed = bench.replayed();
        prop_assert_eq!(&replayed.offsets, &bench.coordinator.offsets);
        let names = |coordinator: &GroupCoordinator| -> Vec<GroupId> {
            coordinator.groups.keys().cloned().collect()
        };
        prop_assert_eq!(names(&replayed), names(&bench.coordinator));
        // A rebalance that is on is not in the log.
        for group in bench.coordinator.groups.values() {
            if matches!(group.state, GroupState::Stable | GroupState::Empty) {
                let name = group.id.as_str();
                prop_assert_eq!(replayed.describe(name), bench.coordinator.describe(name));
            }
        }
    }

    #[test]
    fn a_coordinator_that_resigns_answers_all(steps in vec(step(), 0..80)) {
        let mut bench = Bench::new(Pace::Slow);
        for step in steps {
            bench.take(step);
        }
        let fresh = GroupCoordinator::new(config());
        let coordinator = std::mem::replace(&mut bench.coordinator, fresh);
        bench.with(|_, _, effects| coordinator.resign(effects));
        prop_assert!(bench.waiting.is_empty());
    }
}
