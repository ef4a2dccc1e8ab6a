//! Plays a text to a coordinator and writes down what comes back.
//!
//! A script has one input per line; what the coordinator does stands indented below it:
//! `<-` a reply, `+` a record appended, `*` an event. Clients remember their member id and generation as real
//! ones do. Appends are committed at once, unless `hold` is said: then by `done` or `fail ERROR`.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest,
        JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, OffsetDeleteRequest,
        SyncGroupRequest,
        consumer_protocol_assignment::TopicPartition as AssignedTopic,
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::{Encodable, StrBytes},
};
use uuid::Uuid;

use super::{
    super::{
        AppendToken, Caller, Effect, GroupConfig, GroupCoordinator, GroupResponse, Now,
        OffsetsVisible, Request, RequestToken,
    },
    show::{Names, error_name},
};
use crate::{
    env::{Instant, WallTime},
    kafka::{coordinator::records::Record, protocol::ResponseError, types::TopicPartition},
};

pub fn config() -> GroupConfig {
    GroupConfig {
        min_session_timeout: Duration::from_secs(6),
        max_session_timeout: Duration::from_secs(1800),
        initial_rebalance_delay: Duration::from_secs(3),
        max_size: 3,
        offset_metadata_max_bytes: 8,
        commit_timeout: Duration::from_secs(5),
        offsets_retention: Duration::from_secs(3600),
        retention_check_interval: Duration::from_secs(600),
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Fails with the whole transcript if the coordinator does anything else than the script says.
#[track_caller]
pub fn plays(script: &str) {
    let script = script.trim_matches('\n');
    let indent = script.len() - script.trim_start().len();
    let wanted: Vec<&str> =
        script.lines().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    let wanted = wanted.join("\n").trim_end().to_owned() + "\n";
    let mut driver = Driver::new(config());
    let mut played = String::new();
    for line in wanted.lines().filter(|line| !line.starts_with("    ")) {
        writeln!(played, "{line}").unwrap();
        for told in driver.play(line) {
            writeln!(played, "    {told}").unwrap();
        }
    }
    assert!(played == wanted, "played:\n{played}\nwanted:\n{wanted}");
}

#[derive(Default)]
struct Client {
    member_id: StrBytes,
    generation: i32,
}

enum Appends {
    AtOnce,
    Held,
}

pub struct Driver {
    config: GroupConfig,
    coordinator: GroupCoordinator,
    now: Instant,
    clients: BTreeMap<String, Client>,
    /// Who asked what.
    asked: BTreeMap<RequestToken, String>,
    appends: Appends,
    held: Vec<(AppendToken, Vec<Record>)>,
    log: Vec<Record>,
    next: u64,
    told: Vec<String>,
}

impl Driver {
    pub fn new(config: GroupConfig) -> Self {
        Driver {
            coordinator: GroupCoordinator::new(config.clone()),
            config,
            now: Instant::from_nanos(0),
            clients: BTreeMap::new(),
            asked: BTreeMap::new(),
            appends: Appends::AtOnce,
            held: Vec::new(),
            log: Vec::new(),
            next: 0,
            told: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        let wall = WallTime(i64::try_from(self.now.as_nanos() / 1_000_000).unwrap());
        Now { instant: self.now, wall }
    }

    /// One line of a script; returns what the coordinator did.
    fn play(&mut self, line: &str) -> Vec<String> {
        let line = line.split('#').next().unwrap_or("");
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((verb, rest)) = words.split_first() else { return Vec::new() };
        let (options, names): (Vec<&str>, Vec<&str>) =
            rest.iter().partition(|word| word.contains('='));
        let options = Options(options.iter().map(|word| word.split_once('=').unwrap()).collect());
        match *verb {
            "join" => self.join(names[0], &options),
            "sync" => self.sync(names[0], &options),
            "beat" => self.beat(names[0], &options),
            "leave" => self.leave(&names, &options),
            "commit" => self.commit(names[0], &options),
            "fetch" => self.fetch(&options),
            "delete" => self.delete(&names),
            "delete-offset" => self.delete_offset(names[0]),
            "tick" => self.tick(duration(names[0])),
            "hold" => self.appends = Appends::Held,
            "flow" => {
                self.appends = Appends::AtOnce;
                while !self.held.is_empty() {
                    self.finish(Ok(()));
                }
            }
            "done" => self.finish(Ok(())),
            "fail" => self.finish(Err(error_named(names[0]))),
            "restart" => self.restart(&options),
            "resign" => self.resign(),
            "describe" => {
                let group = self.coordinator.describe("g");
                let shown = Names.described(&group);
                self.told.push(shown);
            }
            other => panic!("`{other}` is no input"),
        }
        std::mem::take(&mut self.told)
    }

    fn ask<R>(&mut self, who: &str, body: R, version: i16) -> Request<R> {
        let token = RequestToken(self.next);
        self.next += 1;
        self.asked.insert(token, who.to_owned());
        let caller = Caller { client_id: text(who), client_host: text("/h"), api_version: version };
        Request { token, caller, body }
    }

    fn with(&mut self, act: impl FnOnce(&mut GroupCoordinator, Now, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        let now = self.now();
        act(&mut self.coordinator, now, &mut effects);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { request, response } => {
                    let who = self.asked.remove(&request).expect("a request is answered once");
                    self.learn(&who, &response);
                    self.told.push(format!("{who} <- {}", Names.response(&response)));
                }
                Effect::Append { append, records } => {
                    let shown = records.iter().map(|record| format!("+ {}", Names.record(record)));
                    self.told.extend(shown);
                    self.held.push((append, records));
                    if matches!(self.appends, Appends::AtOnce) {
                        self.finish(Ok(()));
                    }
                }
                Effect::Observe(event) => self.told.push(format!("* {}", Names.event(&event))),
            }
        }
    }

    /// What a client remembers of an answer.
    fn learn(&mut self, who: &str, response: &GroupResponse) {
        let client = self.clients.entry(who.to_owned()).or_default();
        if let GroupResponse::Join(join) = response {
            let required = ResponseError::MemberIdRequired.code();
            if join.error_code == 0 || join.error_code == required {
                client.member_id = join.member_id.clone();
                client.generation = join.generation_id;
            } else if join.error_code == ResponseError::UnknownMemberId.code() {
                *client = Client::default();
            }
        }
    }

    fn client(&mut self, who: &str, options: &Options<'_>) -> (StrBytes, i32, Option<StrBytes>) {
        let client = self.clients.entry(who.to_owned()).or_default();
        let member = options.get("id").map_or(client.member_id.clone(), |id| Names.long(id));
        let generation =
            options.get("generation").map_or(client.generation, |n| n.parse().unwrap());
        (member, generation, options.get("instance").map(text))
    }

    fn join(&mut self, who: &str, options: &Options<'_>) {
        let (member, _, instance) = self.client(who, options);
        let topics = options.get("topics").unwrap_or("t");
        let protocol = |name: &str| {
            JoinGroupRequestProtocol::default()
                .with_name(text(name))
                .with_metadata(subscription(topics))
        };
        let names = options.get("protocols").unwrap_or("range").split(',');
        let body = JoinGroupRequest::default()
            .with_group_id(text(options.get("group").unwrap_or("g")).into())
            .with_session_timeout_ms(options.ms("session", 10_000))
            .with_rebalance_timeout_ms(options.ms("rebalance", 60_000))
            .with_member_id(member)
            .with_group_instance_id(instance)
            .with_protocol_type(text(options.get("type").unwrap_or("consumer")))
            .with_protocols(names.filter(|name| !name.is_empty()).map(protocol).collect())
            .with_reason(options.get("reason").map(text));
        let request = self.ask(who, body, options.version(9));
        let new_member = Uuid::from_u128(u128::from(self.next));
        self.with(|coordinator, now, effects| {
            coordinator.handle_join_group(now, request, new_member, effects);
        });
    }

    /// `a=t-0,t-1` is an assignment; other options as elsewhere.
    fn sync(&mut self, who: &str, options: &Options<'_>) {
        let (member, generation, instance) = self.client(who, options);
        let mut assignments = Vec::new();
        for (name, partitions) in &options.0 {
            if let Some(client) = self.clients.get(*name) {
                assignments.push(
                    SyncGroupRequestAssignment::default()
                        .with_member_id(client.member_id.clone())
                        .with_assignment(assignment(partitions)),
                );
            }
        }
        let body = SyncGroupRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id(generation)
            .with_member_id(member)
            .with_group_instance_id(instance)
            .with_protocol_type(options.get("type").map(text))
            .with_protocol_name(options.get("protocol").map(text))
            .with_assignments(assignments);
        let request = self.ask(who, body, 5);
        self.with(|coordinator, now, effects| coordinator.handle_sync_group(now, request, effects));
    }

    fn beat(&mut self, who: &str, options: &Options<'_>) {
        let (member, generation, instance) = self.client(who, options);
        let body = HeartbeatRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id(generation)
            .with_member_id(member)
            .with_group_instance_id(instance);
        let request = self.ask(who, body, 4);
        self.with(|coordinator, now, effects| coordinator.handle_heartbeat(now, request, effects));
    }

    fn leave(&mut self, who: &[&str], options: &Options<'_>) {
        let mut members = Vec::new();
        for name in who {
            let (member, _, instance) = self.client(name, options);
            let leaving = MemberIdentity::default().with_member_id(member);
            members.push(leaving.with_group_instance_id(instance));
        }
        let alone = members[0].member_id.clone();
        let version = options.version(5);
        let mut body = LeaveGroupRequest::default().with_group_id(text("g").into());
        if version < 3 {
            body.member_id = alone;
        } else {
            body.members = members;
        }
        let request = self.ask(who[0], body, version);
        self.with(|coordinator, now, effects| {
            coordinator.handle_leave_group(now, request, effects)
        });
    }

    /// `t-0=5` is an offset.
    fn commit(&mut self, who: &str, options: &Options<'_>) {
        let (member, generation, instance) = match who {
            "outside" => (StrBytes::default(), -1, None),
            _ => self.client(who, options),
        };
        let mut topics = Vec::new();
        for (name, offset) in &options.0 {
            let Ok(partition) = TopicPartition::try_from((*name).to_owned()) else { continue };
            let committed = OffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(offset.parse().unwrap())
                .with_committed_metadata(options.get("metadata").map(text));
            topics.push(
                OffsetCommitRequestTopic::default()
                    .with_name(text(partition.topic.as_str()).into())
                    .with_partitions(vec![committed]),
            );
        }
        let body = OffsetCommitRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(member)
            .with_group_instance_id(instance)
            .with_topics(topics);
        let request = self.ask(who, body, options.version(8));
        self.with(|coordinator, now, effects| {
            coordinator.handle_offset_commit(now, request, effects)
        });
    }

    /// All offsets of the group, or those of `of=t-0,t-1`.
    fn fetch(&mut self, options: &Options<'_>) {
        let topics = options.get("of").map(|names| {
            let topic = |name: &str| {
                let partition = TopicPartition::try_from(name.to_owned()).unwrap();
                OffsetFetchRequestTopics::default()
                    .with_name(text(partition.topic.as_str()).into())
                    .with_partition_indexes(vec![partition.partition])
            };
            names.split(',').map(topic).collect()
        });
        let body =
            OffsetFetchRequestGroup::default().with_group_id(text("g").into()).with_topics(topics);
        let visible = match options.get("visible") {
            Some("stable") => OffsetsVisible::Stable,
            _ => OffsetsVisible::Committed,
        };
        let request = self.ask("reader", body, 8);
        self.with(|coordinator, _, effects| {
            coordinator.handle_offset_fetch(request, visible, effects);
        });
    }

    fn delete(&mut self, groups: &[&str]) {
        let names = groups.iter().map(|name| text(name).into()).collect();
        let request = self.ask("admin", names, 2);
        self.with(|coordinator, now, effects| {
            coordinator.handle_delete_groups(now, request, effects)
        });
    }

    fn delete_offset(&mut self, partition: &str) {
        let partition = TopicPartition::try_from(partition.to_owned()).unwrap();
        let number =
            OffsetDeleteRequestPartition::default().with_partition_index(partition.partition);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(text(partition.topic.as_str()).into())
            .with_partitions(vec![number]);
        let body =
            OffsetDeleteRequest::default().with_group_id(text("g").into()).with_topics(vec![topic]);
        let request = self.ask("admin", body, 0);
        self.with(|coordinator, now, effects| {
            coordinator.handle_offset_delete(now, request, effects)
        });
    }

    /// Wakes the coordinator at each of its deadlines on the way.
    fn tick(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.now = self.coordinator.next_deadline().max(self.now).min(end);
            let before = self.told.len();
            self.with(|coordinator, now, effects| coordinator.handle_deadline(now, effects));
            if self.told.len() > before {
                self.told.insert(before, format!("at {}", self.now));
            }
            if self.now == end && self.coordinator.next_deadline() > end {
                return;
            }
        }
    }

    fn finish(&mut self, result: Result<(), ResponseError>) {
        let (append, records) = self.held.remove(0);
        if result.is_ok() {
            self.log.extend(records);
        }
        self.with(|coordinator, now, effects| {
            coordinator.handle_append_done(now, append, result, effects);
        });
    }

    fn restart(&mut self, options: &Options<'_>) {
        self.config.max_size = options.ms("max-size", self.config.max_size as i32) as usize;
        self.coordinator = GroupCoordinator::new(self.config.clone());
        self.held.clear();
        self.asked.clear();
        let now = self.now();
        for record in self.log.clone() {
            self.coordinator.replay(now, record.key, record.value).unwrap();
        }
        self.with(|coordinator, now, effects| coordinator.loaded(now, effects));
    }

    fn resign(&mut self) {
        let fresh = GroupCoordinator::new(self.config.clone());
        let coordinator = std::mem::replace(&mut self.coordinator, fresh);
        let mut effects = Vec::new();
        coordinator.resign(&mut effects);
        self.take(effects);
    }
}

struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn ms(&self, name: &str, otherwise: i32) -> i32 {
        self.get(name).map_or(otherwise, |value| value.parse().unwrap())
    }

    fn version(&self, otherwise: i16) -> i16 {
        self.get("v").map_or(otherwise, |value| value.parse().unwrap())
    }
}

fn duration(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(ms) => Duration::from_millis(ms.parse().unwrap()),
        None => Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap()),
    }
}

fn error_named(name: &str) -> ResponseError {
    let known = (-1..130).filter_map(ResponseError::try_from_code);
    known.into_iter().find(|error| error_name(error.code()) == name).expect("an error's name")
}

pub fn subscription(topics: &str) -> Bytes {
    let topics = topics.split(',').map(text).collect();
    versioned(&ConsumerProtocolSubscription::default().with_topics(topics))
}

pub fn assignment(partitions: &str) -> Bytes {
    let topic = |name: &str| {
        let partition = TopicPartition::try_from(name.to_owned()).unwrap();
        AssignedTopic::default()
            .with_topic(text(partition.topic.as_str()).into())
            .with_partitions(vec![partition.partition])
    };
    let topics = partitions.split(',').map(topic).collect();
    versioned(&ConsumerProtocolAssignment::default().with_assigned_partitions(topics))
}

fn versioned(message: &impl Encodable) -> Bytes {
    let mut bytes = bytes::BytesMut::from(&[0, 0][..]);
    message.encode(&mut bytes, 0).unwrap();
    bytes.freeze()
}
