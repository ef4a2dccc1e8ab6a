//! What holds whatever brokers, leaders and operators do, in whatever order.
//!
//! - A partition's leader is in its ISR, unless there is none; the ISR, the removing and the adding are
//!   among the replicas, no replica twice; nobody is in the ISR and eligible.
//! - An ISR is empty only with ELR, and then there is no leader.
//! - A fenced or stopping broker leads nothing, and is in no ISR but as its last member: without ELR, or where
//!   an unclean election is allowed.
//! - Each change of a partition raises its partition epoch by one; its leader epoch rises with each change of
//!   the leader and never falls.
//! - Only where a topic allows it, or the last leader is all that is left, is a leader elected who was neither in
//!   the ISR nor eligible.
//! - The log adds up to the controller's image, also through bytes and through a snapshot; broker epochs rise.
//! - Every request is answered once, and not before its records are committed.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionRequest, BrokerHeartbeatRequest,
    BrokerId as WireBrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    ElectLeadersRequest, TopicName, UnregisterBrokerRequest,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    alter_partition_request::{BrokerState, PartitionData, TopicData},
    create_partitions_request::CreatePartitionsTopic,
    create_topics_request::{CreatableTopic, CreatableTopicConfig},
    elect_leaders_request::TopicPartitions,
};
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _};

use super::{
    super::{
        Choices, Controller, ControllerConfig, Effect, EligibleLeaders, Policies, Request,
        RequestToken,
    },
    driver::{config, registration, text},
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{Image, LeaderRecoveryState, MetadataRecord, PartitionImage, TopicImage},
        types::{BrokerEpoch, BrokerId, Offset},
    },
};

const BROKERS: i32 = 4;
const TOPICS: usize = 2;
const UNCLEAN: &str = "unclean.leader.election.enable";

#[derive(Clone, Debug)]
enum Step {
    /// A new life; after a clean shutdown or not.
    Start(i32, Goodbye),
    Beat(i32, Wish),
    Unregister(i32),
    Create(usize, i32, i16, Unclean),
    Delete(usize),
    Grow(usize, i32),
    /// The leader of a partition asks for an ISR: of these brokers, as it knows them or as they were.
    Isr(usize, i32, u8, Knows),
    Elect(usize, i32, i8),
    Reassign(usize, i32, Option<Vec<i32>>),
    Tick(u64),
    Commit,
    Failover,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Goodbye {
    Said,
    Unsaid,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Wish {
    Live,
    Fence,
    Stop,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Unclean {
    Allowed,
    Forbidden,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Knows {
    Present,
    Past,
}

fn step() -> impl Strategy<Value = Step> {
    let broker = || 1..=BROKERS;
    let topic = || 0..TOPICS;
    let partition = || 0..2i32;
    let replicas =
        prop::sample::subsequence((1..=BROKERS).collect::<Vec<_>>(), 1..=3).prop_shuffle();
    let unclean = prop::bool::weighted(0.3)
        .prop_map(|on| if on { Unclean::Allowed } else { Unclean::Forbidden });
    let goodbye = any::<bool>().prop_map(|said| if said { Goodbye::Said } else { Goodbye::Unsaid });
    let wish = prop_oneof![6 => Just(Wish::Live), 2 => Just(Wish::Fence), 2 => Just(Wish::Stop)];
    let knows = prop_oneof![6 => Just(Knows::Present), 1 => Just(Knows::Past)];
    prop_oneof![
        6 => (broker(), goodbye).prop_map(|(id, goodbye)| Step::Start(id, goodbye)),
        12 => (broker(), wish).prop_map(|(id, wish)| Step::Beat(id, wish)),
        1 => broker().prop_map(Step::Unregister),
        3 => (topic(), 1..3i32, 1..4i16, unclean)
            .prop_map(|(topic, count, factor, unclean)| Step::Create(topic, count, factor, unclean)),
        1 => topic().prop_map(Step::Delete),
        1 => (topic(), 1..3i32).prop_map(|(topic, count)| Step::Grow(topic, count)),
        10 => (topic(), partition(), any::<u8>(), knows)
            .prop_map(|(topic, index, isr, knows)| Step::Isr(topic, index, isr, knows)),
        3 => (topic(), partition(), 0..2i8)
            .prop_map(|(topic, index, kind)| Step::Elect(topic, index, kind)),
        4 => (topic(), partition(), prop::option::weighted(0.8, replicas))
            .prop_map(|(topic, index, to)| Step::Reassign(topic, index, to)),
        4 => (0..12_000u64).prop_map(Step::Tick),
        3 => Just(Step::Commit),
        1 => Just(Step::Failover),
    ]
}

/// A topic's name; the index of its partition.
type Where = (uuid::Uuid, i32);

struct Bench {
    controller: Option<Controller>,
    config: ControllerConfig,
    now: Instant,
    next: u64,
    log: Vec<MetadataRecord>,
    /// What the log adds up to.
    image: Image,
    committed: usize,
    /// Requests that wait for their answer.
    open: BTreeSet<RequestToken>,
    lives: BTreeMap<i32, u32>,
    seen: Vec<PartitionImage>,
    /// Whether the step under way asks for an unclean election.
    asked: Unclean,
}

impl Bench {
    fn new(config: ControllerConfig) -> Self {
        let now = Instant::from_nanos(0);
        let controller = Controller::activate(config.clone(), Image::default(), Offset(0), now);
        Bench {
            controller: Some(controller),
            config,
            now,
            next: 0,
            log: Vec::new(),
            image: Image::default(),
            committed: 0,
            open: BTreeSet::new(),
            lives: BTreeMap::new(),
            seen: Vec::new(),
            asked: Unclean::Forbidden,
        }
    }

    fn controller(&mut self) -> &mut Controller {
        self.controller.as_mut().expect("it leads")
    }

    fn request<R>(&mut self, body: R) -> Request<R> {
        self.next += 1;
        let token = RequestToken(self.next);
        self.open.insert(token);
        Request { token, body }
    }

    fn name(topic: usize) -> &'static str {
        ["t", "u"][topic]
    }

    fn topic(&self, topic: usize) -> Option<&TopicImage> {
        self.image.topic(Self::name(topic)).map(AsRef::as_ref)
    }

    fn epoch(&self, id: i32) -> i64 {
        self.image.broker(BrokerId(id)).map_or(-1, |broker| broker.epoch.0)
    }

    fn play(&mut self, step: &Step) {
        let mut effects = Vec::new();
        let now = self.now;
        let asks = matches!(step, Step::Elect(_, _, 1));
        self.asked = if asks { Unclean::Allowed } else { Unclean::Forbidden };
        match step {
            Step::Start(id, goodbye) => {
                *self.lives.entry(*id).or_default() += 1;
                let previous = if *goodbye == Goodbye::Said { self.epoch(*id) } else { -1 };
                let request = self.request(registration(*id, self.lives[id], previous));
                self.controller().handle_registration(now, request, &mut effects);
            }
            Step::Beat(id, wish) => {
                let read = self.log.len() as i64 - 1;
                // Who has begun to stop never changes its mind.
                let stops = self.image.broker(BrokerId(*id));
                let stops = stops.is_some_and(|broker| broker.in_controlled_shutdown);
                let body = BrokerHeartbeatRequest::default()
                    .with_broker_id(WireBrokerId(*id))
                    .with_broker_epoch(self.epoch(*id))
                    .with_current_metadata_offset(read)
                    .with_want_fence(*wish == Wish::Fence)
                    .with_want_shut_down(stops || *wish == Wish::Stop);
                let request = self.request(body);
                self.controller().handle_heartbeat(now, request, &mut effects);
            }
            Step::Unregister(id) => {
                let body = UnregisterBrokerRequest::default().with_broker_id(WireBrokerId(*id));
                let request = self.request(body);
                self.controller().handle_unregistration(now, request, &mut effects);
            }
            Step::Tick(millis) => {
                self.now = now + std::time::Duration::from_millis(*millis);
                let now = self.now;
                self.controller().handle_deadline(now, &mut effects);
                assert!(self.controller().next_deadline() > now, "what is due is done");
            }
            Step::Commit => return self.commit(),
            Step::Failover => return self.failover(),
            _ => self.change_topics(step, &mut effects),
        }
        self.take(effects);
    }

    fn change_topics(&mut self, step: &Step, effects: &mut Vec<Effect>) {
        let now = self.now;
        let name = |topic: usize| TopicName(text(Self::name(topic)));
        match step {
            Step::Create(topic, count, factor, unclean) => {
                let setting = CreatableTopicConfig::default()
                    .with_name(text(UNCLEAN))
                    .with_value(Some(text("true")));
                let settings =
                    if *unclean == Unclean::Allowed { vec![setting] } else { Vec::new() };
                let topic = CreatableTopic::default()
                    .with_name(name(*topic))
                    .with_num_partitions(*count)
                    .with_replication_factor(*factor)
                    .with_configs(settings);
                let request = self.request(CreateTopicsRequest::default().with_topics(vec![topic]));
                let choices = Choices(self.next);
                self.controller().handle_create_topics(now, request, choices, effects);
            }
            Step::Delete(topic) => {
                let body = DeleteTopicsRequest::default().with_topic_names(vec![name(*topic)]);
                let request = self.request(body);
                self.controller().handle_delete_topics(now, request, effects);
            }
            Step::Grow(topic, count) => {
                let topic = CreatePartitionsTopic::default()
                    .with_name(name(*topic))
                    .with_count(*count)
                    .with_assignments(None);
                let body = CreatePartitionsRequest::default().with_topics(vec![topic]);
                let request = self.request(body);
                let choices = Choices(self.next);
                self.controller().handle_create_partitions(now, request, choices, effects);
            }
            Step::Isr(topic, index, isr, knows) => {
                if let Some(body) = self.alter_partition(*topic, *index, *isr, *knows) {
                    let request = self.request(body);
                    self.controller().handle_alter_partition(now, request, effects);
                }
            }
            Step::Elect(topic, index, kind) => {
                let topics = TopicPartitions::default()
                    .with_topic(name(*topic))
                    .with_partitions(vec![*index]);
                let body = ElectLeadersRequest::default()
                    .with_election_type(*kind)
                    .with_topic_partitions(Some(vec![topics]));
                let request = self.request(body);
                self.controller().handle_elect_leaders(now, request, effects);
            }
            Step::Reassign(topic, index, to) => {
                let to = to.as_ref().map(|to| to.iter().map(|id| WireBrokerId(*id)).collect());
                let target =
                    ReassignablePartition::default().with_partition_index(*index).with_replicas(to);
                let topic = ReassignableTopic::default()
                    .with_name(name(*topic))
                    .with_partitions(vec![target]);
                let body = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
                let request = self.request(body);
                self.controller().handle_alter_reassignments(now, request, effects);
            }
            other => panic!("{other:?} is no change of topics"),
        }
    }

    fn alter_partition(
        &self,
        topic: usize,
        index: i32,
        isr: u8,
        knows: Knows,
    ) -> Option<AlterPartitionRequest> {
        let topic = self.topic(topic)?;
        let partition = topic.partitions.get(&index).filter(|partition| partition.has_leader())?;
        let past = i32::from(knows == Knows::Past);
        let member = |id: &BrokerId| {
            let epoch = self.epoch(id.0) - i64::from(past);
            BrokerState::default().with_broker_id(WireBrokerId(id.0)).with_broker_epoch(epoch)
        };
        let is_in = |id: &&BrokerId| **id == partition.leader || isr >> (id.0 % 8) & 1 == 1;
        let members = partition.replicas.iter().filter(is_in).map(member).collect();
        let data = PartitionData::default()
            .with_partition_index(index)
            .with_leader_epoch(partition.leader_epoch.0)
            .with_partition_epoch(partition.partition_epoch.0 - (past & i32::from(isr & 1)))
            .with_new_isr_with_epochs(members);
        let data = TopicData::default().with_topic_id(topic.id).with_partitions(vec![data]);
        let body = AlterPartitionRequest::default()
            .with_broker_id(WireBrokerId(partition.leader.0))
            .with_broker_epoch(self.epoch(partition.leader.0));
        Some(body.with_topics(vec![data]))
    }

    fn commit(&mut self) {
        self.committed = self.log.len();
        let (end, mut effects) = (Offset(self.committed as i64), Vec::new());
        self.controller().handle_committed(end, &mut effects);
        self.take(effects);
        assert!(self.open.is_empty(), "what is committed is answered");
    }

    /// Another controller: what was not committed is lost.
    fn failover(&mut self) {
        let mut effects = Vec::new();
        self.controller.take().expect("it leads").resign(&mut effects);
        for effect in effects {
            let Effect::Reply { request, .. } = effect else { panic!("it resigns") };
            assert!(self.open.remove(&request), "answered once");
        }
        assert!(self.open.is_empty(), "all were told");
        self.log.truncate(self.committed);
        self.image = Image::default();
        for record in &self.log {
            self.image.apply(record.clone());
        }
        let (config, image) = (self.config.clone(), self.image.clone());
        let end = Offset(self.committed as i64);
        self.controller = Some(Controller::activate(config, image, end, self.now));
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append { base, records } => {
                    assert_eq!(base.0, self.log.len() as i64, "at the log's end");
                    for record in records {
                        self.append(record);
                    }
                }
                Effect::Reply { request, .. } => {
                    assert!(self.open.remove(&request), "answered once");

                    assert_eq!(self.committed, self.log.len(), "only what is committed is told");
                }
            }
        }
        self.check();
    }

    /// Checks what one record does.
    fn append(&mut self, record: MetadataRecord) {
        let decoded = MetadataRecord::decode(&record.encode());
        assert_eq!(decoded.as_ref(), Ok(&record), "it survives the log");
        let before = self.image.clone();
        self.image.apply(record.clone());
        match &record {
            MetadataRecord::RegisterBroker(broker) => {
                let epoch = before.broker(broker.id).map_or(BrokerEpoch::NONE, |b| b.epoch);
                assert!(broker.epoch > epoch, "broker epochs rise");
                assert!(broker.epoch.0 <= self.log.len() as i64);
            }
            MetadataRecord::PartitionChange { topic_id, partition, .. } => {
                let key = (*topic_id, *partition);
                let old = Self::partition(&before, key).expect("there is one to change");
                let new = Self::partition(&self.image, key).expect("it stays");
                assert_ne!(old, new);
                Self::check_change(old, new, self.unclean_election(key));
                self.seen.push(new.clone());
            }
            _ => {}
        }
        self.log.push(record);
    }

    fn partition(image: &Image, (topic, index): Where) -> Option<&PartitionImage> {
        image.topic_by_id(topic)?.partitions.get(&index).map(AsRef::as_ref)
    }

    /// By the topic's setting, or because somebody asks for it right now.
    fn unclean_election(&self, (topic, _): Where) -> Unclean {
        let topic = self.image.topic_by_id(topic).expect("it is there");
        let is_allowed = topic.config.contains_key(UNCLEAN);
        if is_allowed { Unclean::Allowed } else { self.asked }
    }

    fn check_change(old: &PartitionImage, new: &PartitionImage, unclean: Unclean) {
        assert_eq!(new.partition_epoch.0, old.partition_epoch.0 + 1, "each change counts");
        let risen = new.leader_epoch.0 - old.leader_epoch.0;
        assert!(risen == 0 || risen == 1);
        assert!(new.leader == old.leader || risen == 1, "a leader has an epoch of its own");
        let loses = old.replicas.iter().any(|id| !new.replicas.contains(id));
        assert!(!loses || risen == 1, "who is taken away is fenced: {old:?} {new:?}");
        let knew_all = old.isr.contains(&new.leader) || old.eligible.contains(&new.leader);
        let was_last = old.last_known_eligible == [new.leader];
        let is_marked = new.recovery == LeaderRecoveryState::Recovering;
        let ends = old.is_reassigning() && !new.is_reassigning();
        assert!(
            new.leader == old.leader
                || !new.has_leader()
                || knew_all
                || ends
                || is_marked && (unclean == Unclean::Allowed || was_last),
            "elected out of nothing: {old:?} {new:?}"
        );
    }

    fn check(&mut self) {
        let image = &self.image;
        assert_eq!(self.controller.as_ref().expect("it leads").image(), image);
        let mut restored = Image::default();
        image.records().into_iter().for_each(|record| restored.apply(record));
        assert_eq!(&restored, image, "a snapshot is the image");
        for topic in image.topics() {
            for partition in topic.partitions.values() {
                let is_unclean = topic.config.contains_key(UNCLEAN);
                self.check_partition(
                    partition,
                    if is_unclean { Unclean::Allowed } else { Unclean::Forbidden },
                );
            }
        }
    }

    fn check_partition(&self, partition: &PartitionImage, unclean: Unclean) {
        let has_elr = self.config.policies.eligible_leaders == EligibleLeaders::Kip966;
        let different: BTreeSet<_> = partition.replicas.iter().collect();
        assert_eq!(different.len(), partition.replicas.len(), "no replica twice");
        let lists = [&partition.isr, &partition.removing, &partition.adding, &partition.eligible];
        for list in lists {
            assert!(list.iter().all(|id| partition.replicas.contains(id)), "{partition:?}");
        }
        assert!(partition.eligible.iter().all(|id| !partition.isr.contains(id)), "{partition:?}");
        assert_eq!(partition.directories.len(), partition.replicas.len());
        assert!(!partition.has_leader() || partition.isr.contains(&partition.leader));
        assert!(!partition.isr.is_empty() || (has_elr && !partition.has_leader()));
        assert!(has_elr || partition.eligible.is_empty());
        let is_active =
            |id: &BrokerId| self.image.broker(*id).is_some_and(|broker| broker.is_active());
        assert!(!partition.has_leader() || is_active(&partition.leader), "{partition:?}");
        let all_active = partition.isr.iter().all(is_active);
        // A reassignment that is cancelled uncleanly leaves a first replica that may be away.
        let may_be_away = !has_elr || unclean == Unclean::Allowed;
        assert!(all_active || (may_be_away && partition.isr.len() == 1), "{partition:?}");
    }
}

fn policies(eligible_leaders: EligibleLeaders) -> Policies {
    Policies { eligible_leaders, ..Policies::default() }
}

fn holds(eligible_leaders: EligibleLeaders, steps: &[Step]) -> Bench {
    let mut config = config(policies(eligible_leaders));
    config.balance_interval = Some(std::time::Duration::from_secs(30));
    let mut bench = Bench::new(config);
    for id in 1..=3 {
        bench.play(&Step::Start(id, Goodbye::Unsaid));
        bench.play(&Step::Beat(id, Wish::Live));
    }
    bench.play(&Step::Create(0, 2, 3, Unclean::Forbidden));
    bench.play(&Step::Commit);
    steps.iter().for_each(|step| bench.play(step));
    bench.play(&Step::Commit);
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn partitions_stay_sound(steps in vec(step(), 0..80)) {
        holds(EligibleLeaders::Kip966, &steps);
    }

    #[test]
    fn partitions_stay_sound_without_elr(steps in vec(step(), 0..80)) {
        holds(EligibleLeaders::Off, &steps);
    }
}

/// The properties above look at all that they are about.
#[test]
fn random_steps_reach_what_matters() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = Vec::new();
    for _ in 0..300 {
        let steps = vec(step(), 60..80).new_tree(&mut runner).expect("it draws").current();
        seen.extend(holds(EligibleLeaders::Kip966, &steps).seen);
    }
    let reaches = |what: &str, is: fn(&PartitionImage) -> bool| {
        let times = seen.iter().filter(|partition| is(partition)).count();
        assert!(times >= 10, "{what}: {times} times in {}", seen.len());
    };
    reaches("an ISR with several members", |p| p.isr.len() > 1);
    reaches("an empty ISR", |p| p.isr.is_empty());
    reaches("an eligible replica", |p| !p.eligible.is_empty());
    reaches("a leader from the eligible", |p| p.has_leader() && p.isr.len() == 1);
    reaches("an unclean election", |p| p.recovery == LeaderRecoveryState::Recovering);
    reaches("a reassignment", PartitionImage::is_reassigning);
    reaches("a leader that is not preferred", |p| p.has_leader() && !p.has_preferred_leader());
    reaches("a preferred leader again", |p| p.has_preferred_leader() && p.leader_epoch.0 > 1);
}
