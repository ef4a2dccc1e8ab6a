//! Plays a text to a controller and writes down what comes back.
//!
//! A script has one input per line; what the controller does stands indented below it: `<-` a reply, `+` a
//! record appended, `at` a deadline that came. Appends are committed at once, unless `hold` is said: then by
//! `commit`. Topics of scripts have one partition, and AlterPartition knows the present epochs unless it is told
//! others. `broker N` registers, and says in its first heartbeat that it has read all.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use kafka_protocol::{
    messages::{
        AllocateProducerIdsRequest, AlterPartitionReassignmentsRequest, AlterPartitionRequest,
        AssignReplicasToDirsRequest, BrokerHeartbeatRequest, BrokerId as WireBrokerId,
        BrokerRegistrationRequest, CreatePartitionsRequest, CreateTopicsRequest,
        DeleteTopicsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest,
        ListPartitionReassignmentsRequest, TopicName, UnregisterBrokerRequest,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        alter_partition_request::{BrokerState, PartitionData, TopicData},
        assign_replicas_to_dirs_request::{
            DirectoryData as AssignedDirectory, PartitionData as AssignedPartition,
            TopicData as AssignedTopic,
        },
        broker_registration_request::Feature,
        create_partitions_request::CreatePartitionsTopic,
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
        elect_leaders_request::TopicPartitions,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{
    super::{
        Choices, Controller, ControllerConfig, ControllerResponse, Effect, Policies, Request,
        RequestToken,
    },
    show,
};
use crate::{
    env::Instant,
    kafka::{
        config::{BrokerConfig, Settings, Side},
        metadata::{Image, MetadataRecord},
        types::{BrokerId, Offset, TopicPartition},
    },
};

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Minimal ISR 2, no balancing and no record without meaning unless a test asks for it.
pub fn config(policies: Policies) -> ControllerConfig {
    let settings = Settings::from_pairs(Side::Broker, [("min.insync.replicas", "2")]).unwrap();
    let broker = Arc::new(BrokerConfig::from_settings(&settings).unwrap());
    ControllerConfig {
        balance_interval: None,
        no_op_interval: None,
        policies,
        ..ControllerConfig::new(BrokerId(100), "cluster".into(), broker)
    }
}

pub fn incarnation(broker: i32, life: u32) -> Uuid {
    Uuid::from_u128((1000 + broker as u128) << 32 | u128::from(life))
}

/// The one directory of a broker.
pub fn directory(broker: i32) -> Uuid {
    Uuid::from_u128(500 + broker as u128)
}

pub fn registration(broker: i32, life: u32, previous: i64) -> BrokerRegistrationRequest {
    BrokerRegistrationRequest::default()
        .with_broker_id(WireBrokerId(broker))
        .with_cluster_id(text("cluster"))
        .with_incarnation_id(incarnation(broker, life))
        .with_log_dirs(vec![directory(broker)])
        .with_previous_broker_epoch(previous)
}

/// Fails with the whole transcript if the controller does anything else than the script says.
#[track_caller]
pub fn plays(script: &str) {
    plays_with(config(Policies::default()), script);
}

#[track_caller]
pub fn plays_with(config: ControllerConfig, script: &str) {
    let script = script.trim_matches('\n');
    let indent = script.len() - script.trim_start().len();
    let wanted: Vec<&str> =
        script.lines().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    let wanted = wanted.join("\n").trim_end().to_owned() + "\n";
    let mut driver = Driver::new(config);
    let mut played = String::new();
    for line in wanted.lines().filter(|line| !line.starts_with("    ")) {
        writeln!(played, "{line}").unwrap();
        for told in driver.play(line) {
            writeln!(played, "    {told}").unwrap();
        }
    }
    assert!(played == wanted, "played:\n{played}\nwanted:\n{wanted}");
}

pub struct Driver {
    pub controller: Option<Controller>,
    config: ControllerConfig,
    now: Instant,
    next: u64,
    /// What of the log is committed, and all of it.
    committed: Offset,
    log: Vec<MetadataRecord>,
    holds: bool,
    lives: BTreeMap<i32, u32>,
}

impl Driver {
    pub fn new(config: ControllerConfig) -> Self {
        let now = Instant::from_nanos(0);
        let controller = Controller::activate(config.clone(), Image::default(), Offset(0), now);
        Driver {
            controller: Some(controller),
            config,
            now,
            next: 0,
            committed: Offset(0),
            log: Vec::new(),
            holds: false,
            lives: BTreeMap::new(),
        }
    }

    fn controller(&mut self) -> &mut Controller {
        self.controller.as_mut().expect("it leads")
    }

    fn request<R>(&mut self, body: R) -> Request<R> {
        self.next += 1;
        Request { token: RequestToken(self.next), body }
    }

    fn play(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut told = Vec::new();
        let mut effects = Vec::new();
        match words[..] {
            ["hold"] => self.holds = true,
            ["commit"] => {
                self.holds = false;
                self.commit(&mut effects);
            }
            ["tick", time] => return self.tick(time),
            ["show", partition] => told.push(self.show(partition)),
            ["failover"] => {
                let old = self.controller.take().expect("it leads");
                old.resign(&mut effects);
                self.tell(&effects, &Image::default(), &mut told);
                self.log.truncate(self.committed.0 as usize);
                let mut image = Image::default();
                self.log.iter().for_each(|record| image.apply(record.clone()));
                let (config, end) = (self.config.clone(), self.committed);
                self.controller = Some(Controller::activate(config, image, end, self.now));
                self.holds = false;
                return told;
            }
            ["bootstrap", feature] => {
                let (name, level) = feature.split_once('=').unwrap();
                let (name, level) = (name.to_owned(), level.parse().unwrap());
                let records = vec![MetadataRecord::FeatureLevel { name, level }];
                let now = self.now;
                self.controller().handle_bootstrap(now, records, &mut effects);
            }
            _ => self.ask(&words, &mut effects),
        }
        self.finish(effects, told)
    }

    /// Appends and commits what there is to.
    fn finish(&mut self, effects: Vec<Effect>, mut told: Vec<String>) -> Vec<String> {
        let image = self.controller().image().clone();
        self.tell(&effects, &image, &mut told);
        if !self.holds {
            let mut effects = Vec::new();
            self.commit(&mut effects);
            self.tell(&effects, &image, &mut told);
        }
        told
    }

    fn commit(&mut self, effects: &mut Vec<Effect>) {
        self.committed = Offset(self.log.len() as i64);
        let committed = self.committed;
        self.controller().handle_committed(committed, effects);
    }

    fn tell(&mut self, effects: &[Effect], image: &Image, told: &mut Vec<String>) {
        for effect in effects {
            match effect {
                Effect::Append { base, records } => {
                    assert_eq!(base.0, self.log.len() as i64, "records go to the log's end");
                    for record in records {
                        told.push(format!("+ {}", show::record(image, record)));
                        self.log.push(record.clone());
                    }
                }
                Effect::Reply { response, .. } => told.push(format!("<- {}", reply(response))),
            }
        }
    }

    fn tick(&mut self, time: &str) -> Vec<String> {
        let time: f64 = time.trim_end_matches('s').parse().unwrap();
        let until = self.now + Duration::from_secs_f64(time);
        let mut told = Vec::new();
        loop {
            let due = self.controller().next_deadline();
            if due > until {
                break;
            }
            self.now = self.now.max(due);
            let (now, mut effects) = (self.now, Vec::new());
            self.controller().handle_deadline(now, &mut effects);
            if !effects.is_empty() {
                told.push(format!("at {:.3}s", now.as_nanos() as f64 / 1e9));
            }
            told = self.finish(effects, told);
        }
        self.now = until;
        told
    }

    fn show(&mut self, partition: &str) -> String {
        let partition = TopicPartition::try_from(partition.to_owned()).unwrap();
        let image = self.controller().image().partition(&partition).expect("it is there").clone();
        let epochs = format!("epoch {}.{}", image.leader_epoch, image.partition_epoch);
        format!("{} {epochs}", show::partition(&image))
    }

    fn ask(&mut self, words: &[&str], effects: &mut Vec<Effect>) {
        let now = self.now;
        match *words {
            ["broker" | "register" | "restart" | "crash", id, ref rest @ ..] => {
                self.come(words[0], id.parse().unwrap(), rest, effects);
            }
            ["beat", id, ref wants @ ..] => {
                let body = self.heartbeat(id.parse().unwrap(), wants);
                let request = self.request(body);
                self.controller().handle_heartbeat(now, request, effects);
            }
            ["unregister", id] => {
                let id = WireBrokerId(id.parse().unwrap());
                let request = self.request(UnregisterBrokerRequest::default().with_broker_id(id));
                self.controller().handle_unregistration(now, request, effects);
            }
            ["topic", name, ref rest @ ..] => {
                let body = CreateTopicsRequest::default().with_topics(vec![topic(name, rest)]);
                let request = self.request(body);
                let choices = Choices(self.next);
                self.controller().handle_create_topics(now, request, choices, effects);
            }
            ["delete", name] => {
                let body =
                    DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text(name))]);
                let request = self.request(body);
                self.controller().handle_delete_topics(now, request, effects);
            }
            ["partitions", name, count] => {
                let topic = CreatePartitionsTopic::default()
                    .with_name(TopicName(text(name)))
                    .with_count(count.parse().unwrap())
                    .with_assignments(None);
                let body = CreatePartitionsRequest::default().with_topics(vec![topic]);
                let request = self.request(body);
                self.controller().handle_create_partitions(now, request, Choices(8), effects);
            }
            ["set", name, setting] => {
                let (key, value) = setting.split_once('=').unwrap();
                let config =
                    AlterableConfig::default().with_name(text(key)).with_value(Some(text(value)));
                let resource = AlterConfigsResource::default()
                    .with_resource_type(if name.parse::<i32>().is_ok() { 4 } else { 2 })
                    .with_resource_name(text(name))
                    .with_configs(vec![config]);
                let body = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
                let request = self.request(body);
                self.controller().handle_incremental_alter_configs(now, request, effects);
            }
            ["ids", id] => {
                let id: i32 = id.parse().unwrap();
                let body = AllocateProducerIdsRequest::default()
                    .with_broker_id(WireBrokerId(id))
                    .with_broker_epoch(self.epoch(id));
                let request = self.request(body);
                self.controller().handle_allocate_producer_ids(now, request, effects);
            }
            _ => self.ask_of_partition(words, effects),
        }
    }

    fn ask_of_partition(&mut self, words: &[&str], effects: &mut Vec<Effect>) {
        let now = self.now;
        match *words {
            ["isr", partition, isr, ref rest @ ..] => {
                let body = self.alter_partition(partition, isr, rest);
                let request = self.request(body);
                self.controller().handle_alter_partition(now, request, effects);
            }
            ["elect", kind, partition] => {
                let of = TopicPartition::try_from(partition.to_owned()).unwrap();
                let topics = TopicPartitions::default()
                    .with_topic(TopicName(text(of.topic.as_str())))
                    .with_partitions(vec![of.partition]);
                let body = ElectLeadersRequest::default()
                    .with_election_type(i8::from(kind == "unclean"))
                    .with_topic_partitions(Some(vec![topics]));
                let request = self.request(body);
                self.controller().handle_elect_leaders(now, request, effects);
            }
            ["reassign", partition, replicas, ref rest @ ..] => {
                let of = TopicPartition::try_from(partition.to_owned()).unwrap();
                let replicas = (replicas != "cancel").then(|| brokers(replicas));
                let target = ReassignablePartition::default()
                    .with_partition_index(of.partition)
                    .with_replicas(replicas);
                let topic = ReassignableTopic::default()
                    .with_name(TopicName(text(of.topic.as_str())))
                    .with_partitions(vec![target]);
                let body = AlterPartitionReassignmentsRequest::default()
                    .with_allow_replication_factor_change(rest != ["same-factor"])
                    .with_topics(vec![topic]);
                let request = self.request(body);
                self.controller().handle_alter_reassignments(now, request, effects);
            }
            ["assign", id, partition, disk] => {
                let body = self.assignment(id.parse().unwrap(), partition, disk);
                let request = self.request(body);
                self.controller().handle_assign_replicas_to_dirs(now, request, effects);
            }
            ["reassignments"] => {
                let body = ListPartitionReassignmentsRequest::default().with_topics(None);
                let request = self.request(body);
                self.controller().handle_list_reassignments(now, request, effects);
            }
            ref other => panic!("a script says {other:?}"),
        }
    }

    /// `broker`: registers and is unfenced; `register`: only that; `restart`: after a clean shutdown;
    /// `crash`: after one that was not; `disk=`: with another directory.
    fn come(&mut self, verb: &str, id: i32, rest: &[&str], effects: &mut Vec<Effect>) {
        let previous = if verb == "crash" { -1 } else { self.epoch(id) };
        let life = self.lives.entry(id).or_default();
        if !rest.contains(&"again") {
            *life += 1;
        }
        let rack = rest.iter().find_map(|word| word.strip_prefix("rack="));
        let body = registration(id, *life, previous).with_rack(rack.map(text));
        let cluster = rest.iter().find_map(|word| word.strip_prefix("cluster="));
        let disk = rest.iter().find_map(|word| word.strip_prefix("disk="));
        let body = match disk {
            Some(disk) => body.with_log_dirs(vec![Uuid::from_u128(disk.parse().unwrap())]),
            None => body,
        };
        let body = match cluster {
            Some(cluster) => body.with_cluster_id(text(cluster)),
            None => body,
        };
        let feature = |words: &str| {
            let (name, levels) = words.split_once(':').unwrap();
            let (min, max) = levels.split_once('-').unwrap();
            Feature::default()
                .with_name(text(name))
                .with_min_supported_version(min.parse().unwrap())
                .with_max_supported_version(max.parse().unwrap())
        };
        let features = rest.iter().filter_map(|word| word.strip_prefix("knows="));
        let body = body.with_features(features.map(feature).collect());
        let (now, request) = (self.now, self.request(body));
        self.controller().handle_registration(now, request, effects);
        if verb == "broker" {
            let body = self.heartbeat(id, &[]);
            let request = self.request(body);
            self.controller().handle_heartbeat(now, request, effects);
        }
    }

    fn epoch(&mut self, id: i32) -> i64 {
        self.controller().image().broker(BrokerId(id)).map_or(-1, |broker| broker.epoch.0)
    }

    fn heartbeat(&mut self, id: i32, words: &[&str]) -> BrokerHeartbeatRequest {
        let given = |name: &str| {
            let value = words.iter().find_map(|word| word.strip_prefix(name));
            value.map(|value| value.parse::<i64>().unwrap())
        };
        let read = self.controller().next_offset().0 - 1;
        let lost = words.contains(&"lost-disk").then(|| directory(id));
        BrokerHeartbeatRequest::default()
            .with_broker_id(WireBrokerId(id))
            .with_broker_epoch(given("epoch=").unwrap_or_else(|| self.epoch(id)))
            .with_current_metadata_offset(given("read=").unwrap_or(read))
            .with_want_fence(words.contains(&"fence"))
            .with_want_shut_down(words.contains(&"stop"))
            .with_offline_log_dirs(lost.into_iter().collect())
    }

    /// `partition` may be of a topic that is not there.
    fn assignment(&mut self, id: i32, partition: &str, disk: &str) -> AssignReplicasToDirsRequest {
        let of = TopicPartition::try_from(partition.to_owned()).unwrap();
        let topic = self.controller().image().topic(of.topic.as_str()).map(|topic| topic.id);
        let replica = AssignedPartition::default().with_partition_index(of.partition);
        let topic = AssignedTopic::default()
            .with_topic_id(topic.unwrap_or_default())
            .with_partitions(vec![replica]);
        let directory = AssignedDirectory::default()
            .with_id(Uuid::from_u128(disk.parse().unwrap()))
            .with_topics(vec![topic]);
        AssignReplicasToDirsRequest::default()
            .with_broker_id(WireBrokerId(id))
            .with_broker_epoch(self.epoch(id))
            .with_directories(vec![directory])
    }

    /// By the leader, with present epochs, unless `by=`, `leader-epoch=`, `partition-epoch=`, `epoch-of-N=` say
    /// others.
    fn alter_partition(&mut self, of: &str, isr: &str, words: &[&str]) -> AlterPartitionRequest {
        let of = TopicPartition::try_from(of.to_owned()).unwrap();
        let given = |name: &str| {
            let value = words.iter().find_map(|word| word.strip_prefix(name));
            value.map(|value| value.parse::<i64>().unwrap())
        };
        let image = self.controller().image().clone();
        let topic = image.topic(of.topic.as_str()).expect("it is there");
        let partition = image.partition(&of).expect("it is there");
        let leader = given("by=").map_or(partition.leader.0, |id| id as i32);
        let member = |id: &WireBrokerId| {
            let epoch = given(&format!("epoch-of-{}=", id.0));
            BrokerState::default().with_broker_id(*id).with_broker_epoch(epoch.unwrap_or_else(
                || image.broker(BrokerId(id.0)).map_or(-1, |broker| broker.epoch.0),
            ))
        };
        let or = |given: Option<i64>, present: i32| given.map_or(present, |given| given as i32);
        let data = PartitionData::default()
            .with_partition_index(of.partition)
            .with_leader_epoch(or(given("leader-epoch="), partition.leader_epoch.0))
            .with_partition_epoch(or(given("partition-epoch="), partition.partition_epoch.0))
            .with_leader_recovery_state(i8::from(words.contains(&"recovering")))
            .with_new_isr_with_epochs(brokers(isr).iter().map(member).collect());
        let data = TopicData::default().with_topic_id(topic.id).with_partitions(vec![data]);
        let epoch = given("epoch=").unwrap_or_else(|| self.epoch(leader));
        AlterPartitionRequest::default()
            .with_broker_id(WireBrokerId(leader))
            .with_broker_epoch(epoch)
            .with_topics(vec![data])
    }
}

pub fn brokers(list: &str) -> Vec<WireBrokerId> {
    let ids = list.split(',').filter(|id| !id.is_empty());
    ids.map(|id| WireBrokerId(id.parse().unwrap())).collect()
}

/// `on 1,2,3`, or a number of partitions and a replication factor; then settings.
fn topic(name: &str, words: &[&str]) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(TopicName(text(name)));
    let (topic, rest) = match words {
        ["on", replicas, rest @ ..] => {
            let assignment =
                CreatableReplicaAssignment::default().with_broker_ids(brokers(replicas));
            let topic = topic.with_num_partitions(-1).with_replication_factor(-1);
            (topic.with_assignments(vec![assignment]), rest)
        }
        [partitions, factor, rest @ ..] => {
            let topic = topic.with_num_partitions(partitions.parse().unwrap());
            (topic.with_replication_factor(factor.parse().unwrap()), rest)
        }
        _ => panic!("a topic needs places or numbers"),
    };
    let setting = |setting: &&str| {
        let (name, value) = setting.split_once('=').unwrap();
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    topic.with_configs(rest.iter().map(setting).collect())
}

fn refused(code: i16, message: Option<&StrBytes>) -> Option<String> {
    let message = message.filter(|message| !message.is_empty());
    (code != 0).then(|| match message {
        Some(message) => format!("{}: {message}", show::error_name(code)),
        None => show::error_name(code),
    })
}

fn reply(response: &ControllerResponse) -> String {
    use ControllerResponse as R;
    let ok = || "ok".to_owned();
    match response {
        R::Registration(r) => {
            refused(r.error_code, None).unwrap_or_else(|| format!("epoch {}", r.broker_epoch))
        }
        R::Heartbeat(r) => refused(r.error_code, None).unwrap_or_else(|| {
            let words = [
                (r.is_caught_up, "caught up"),
                (r.is_fenced, "fenced"),
                (r.should_shut_down, "may stop"),
            ];
            let words: Vec<_> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
            if words.is_empty() { "behind".into() } else { words.join(", ") }
        }),
        R::Unregistration(r) => refused(r.error_code, r.error_message.as_ref()).unwrap_or_else(ok),
        R::CreateTopics(r) => {
            let topic = &r.topics[0];
            refused(topic.error_code, topic.error_message.as_ref()).unwrap_or_else(|| {
                format!("{} x {}", topic.num_partitions, topic.replication_factor)
            })
        }
        R::DeleteTopics(r) => {
            let topic = &r.responses[0];
            refused(topic.error_code, topic.error_message.as_ref()).unwrap_or_else(ok)
        }
        R::CreatePartitions(r) => {
            let topic = &r.results[0];
            refused(topic.error_code, topic.error_message.as_ref()).unwrap_or_else(ok)
        }
        R::AlterPartition(r) => refused(r.error_code, None).unwrap_or_else(|| {
            let partition = &r.topics[0].partitions[0];
            refused(partition.error_code, None).unwrap_or_else(|| {
                let isr: Vec<_> = partition.isr.iter().map(|id| BrokerId(id.0)).collect();
                let (leader, partition) = (partition.leader_epoch, partition.partition_epoch);
                format!("isr {} epoch {leader}.{partition}", show::ids(&isr))
            })
        }),
        R::AssignReplicas(r) => refused(r.error_code, None).unwrap_or_else(|| {
            let partition = &r.directories[0].topics[0].partitions[0];
            refused(partition.error_code, None).unwrap_or_else(ok)
        }),
        R::ElectLeaders(_) | R::Reassign(_) | R::Reassignments(_) => moved(response),
        R::AlterConfigs(r) => {
            let resource = &r.responses[0];
            refused(resource.error_code, resource.error_message.as_ref()).unwrap_or_else(ok)
        }
        R::IncrementalAlterConfigs(r) => {
            let resource = &r.responses[0];
            refused(resource.error_code, resource.error_message.as_ref()).unwrap_or_else(ok)
        }
        R::ProducerIds(r) => refused(r.error_code, None)
            .unwrap_or_else(|| format!("{} from {}", r.producer_id_len, r.producer_id_start.0)),
    }
}

fn moved(response: &ControllerResponse) -> String {
    use ControllerResponse as R;
    let ok = || "ok".to_owned();
    match response {
        R::ElectLeaders(r) => refused(r.error_code, None).unwrap_or_else(|| {
            let partition = &r.replica_election_results[0].partition_result[0];
            refused(partition.error_code, None).unwrap_or_else(ok)
        }),
        R::Reassign(r) => {
            let partition = &r.responses[0].partitions[0];
            refused(partition.error_code, partition.error_message.as_ref()).unwrap_or_else(ok)
        }
        R::Reassignments(r) => {
            let ids = |ids: &[WireBrokerId]| {
                show::ids(&ids.iter().map(|id| BrokerId(id.0)).collect::<Vec<_>>())
            };
            let ongoing = r.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| {
                    format!(
                        "{}-{} {} adding {} removing {}",
                        topic.name.as_str(),
                        partition.partition_index,
                        ids(&partition.replicas),
                        ids(&partition.adding_replicas),
                        ids(&partition.removing_replicas)
                    )
                })
            });
            let ongoing: Vec<_> = ongoing.collect();
            if ongoing.is_empty() { "none".into() } else { ongoing.join("; ") }
        }
        other => panic!("{other:?} moves no replica"),
    }
}
