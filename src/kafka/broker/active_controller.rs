//! The active controller of the cluster, on the node that leads the quorum: the shell around `kafka/controller`.
//!
//! It lives from BecameLeader to LostLeadership, in the quorum's task (`quorum/task.rs`), which appends what it
//! decides and tells it what is committed. A request's answer goes out once it is certain; whoever still waits when the
//! node ceases to lead learns that from the end of its channel, and asks whoever leads then.
//!
//! Departure: a cluster's levels of features are written by its first controller as the first records of an empty log,
//! and a plan's topics once the brokers are there that hold them; Kafka has `kafka-storage format` write the
//! former into a snapshot, and knows nothing of the latter.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, CreateTopicsRequest, TopicName as WireTopicName,
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::oneshot;

use super::{metadata::Loaded, node::InitialTopic, state::Broker};
use crate::{
    env::Instant,
    kafka::{
        controller::{
            Choices, Controller, ControllerConfig, ControllerResponse, Effect, Request,
            RequestToken,
        },
        metadata::{BrokerFeature, MetadataRecord},
        types::{BrokerId, LeaderEpoch, Offset},
    },
};

/// What this version can work with, and the level that a new cluster begins with: that of Kafka 4.0
/// (`MetadataVersion.IBP_4_0_IV3`, `EligibleLeaderReplicasVersion.ELRV_1`).
const FEATURES: [(&str, i16, i16, i16); 2] =
    [("metadata.version", 7, 25, 25), ("eligible.leader.replicas.version", 0, 1, 1)];

/// What a broker says of itself when it registers.
pub(super) fn supported_features() -> impl Iterator<Item = BrokerFeature> {
    FEATURES.iter().map(|(name, min, max, _)| BrokerFeature {
        name: (*name).to_owned(),
        min: *min,
        max: *max,
    })
}

/// What a decision is made with, beside the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub now: Instant,
    pub token: RequestToken,
    pub choices: Choices,
}

impl Moment {
    pub fn request<R>(self, body: R) -> Request<R> {
        Request { token: self.token, body }
    }
}

pub(super) struct ActiveController {
    pub epoch: LeaderEpoch,
    core: Controller,
    waiting: BTreeMap<RequestToken, oneshot::Sender<ControllerResponse>>,
    next_token: u64,
    choices: ChaCha8Rng,
    /// The plan's topics, until they are asked for; empty if the cluster has had topics.
    initial_topics: Vec<InitialTopic>,
}

impl ActiveController {
    /// The node leads under `epoch`, and all of its log is committed.
    pub fn activate(
        broker: &Arc<Broker>,
        epoch: LeaderEpoch,
        loaded: Loaded,
        choices: ChaCha8Rng,
    ) -> (Self, Vec<Effect>) {
        let node = &broker.config;
        let settings = Arc::new(node.config.clone());
        let config = ControllerConfig {
            policies: node.behaviour.controller,
            ..ControllerConfig::new(node.broker_id, node.cluster_id.clone(), settings)
        };
        let now = broker.env.clock.now();
        let initial_topics = if loaded.has_had_topics { Vec::new() } else { node.topics.clone() };
        let image = loaded.image.as_ref().clone();
        let mut active = ActiveController {
            epoch,
            core: Controller::activate(config, image, loaded.end, now),
            waiting: BTreeMap::new(),
            next_token: 0,
            choices,
            initial_topics,
        };
        let levels = FEATURES.iter().map(|(name, _, _, level)| MetadataRecord::FeatureLevel {
            name: (*name).to_owned(),
            level: *level,
        });
        let mut effects = Vec::new();
        active.core.handle_bootstrap(now, levels.collect(), &mut effects);
        (active, effects)
    }

    pub fn next_deadline(&self) -> Instant {
        self.core.next_deadline()
    }

    fn moment(&mut self, now: Instant) -> Moment {
        let token = RequestToken(self.next_token);
        self.next_token += 1;
        Moment { now, token, choices: Choices(self.choices.next_u64()) }
    }

    pub fn decide(
        &mut self,
        now: Instant,
        decide: impl FnOnce(&mut Controller, Moment, &mut Vec<Effect>),
        sender: oneshot::Sender<ControllerResponse>,
    ) -> Vec<Effect> {
        let moment = self.moment(now);
        self.waiting.insert(moment.token, sender);
        let mut effects = Vec::new();
        decide(&mut self.core, moment, &mut effects);
        effects
    }

    pub fn handle_deadline(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.core.handle_deadline(now, &mut effects);
        effects
    }

    pub fn handle_committed(&mut self, broker: &Broker, committed: Offset) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.core.handle_committed(committed, &mut effects);
        self.create_initial_topics(broker, &mut effects);
        effects
    }

    pub fn reply(&mut self, request: RequestToken, response: ControllerResponse) {
        match self.waiting.remove(&request) {
            // Whoever asked may have gone.
            Some(sender) => drop(sender.send(response)),
            None => report_refusals(&response),
        }
    }

    /// Ends it; what chance has left for the next one comes back.
    pub fn resign(self) -> ChaCha8Rng {
        let mut unanswered = Vec::new();
        self.core.resign(&mut unanswered);
        self.choices
    }

    /// Asks for the plan's topics, all at once, when every broker that shall hold one is there.
    fn create_initial_topics(&mut self, broker: &Broker, effects: &mut Vec<Effect>) {
        let image = self.core.image();
        let holders =
            self.initial_topics.iter().flat_map(|topic| topic.partitions.iter().flatten());
        let mut states =
            holders.map(|id| image.broker(*id).is_some_and(|broker| broker.is_active()));
        if self.initial_topics.is_empty() || !states.all(|is_there| is_there) {
            return;
        }
        let topics = std::mem::take(&mut self.initial_topics);
        let topics = topics.iter().map(creatable).collect();
        let moment = self.moment(broker.env.clock.now());
        let request = CreateTopicsRequest::default().with_topics(topics);
        let (now, choices) = (moment.now, moment.choices);
        self.core.handle_create_topics(now, moment.request(request), choices, effects);
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn creatable(topic: &InitialTopic) -> CreatableTopic {
    let assignment = |(index, replicas): (i32, &Vec<BrokerId>)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(replicas.iter().map(|id| WireBrokerId(id.0)).collect())
    };
    let config = |(name, value): &(String, String)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(WireTopicName(text(topic.name.as_str())))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments((0..).zip(&topic.partitions).map(assignment).collect())
        .with_configs(topic.config.iter().map(config).collect())
}

/// The plan's topics have nobody to tell of a refusal.
fn report_refusals(response: &ControllerResponse) {
    if let ControllerResponse::CreateTopics(response) = response {
        for topic in response.topics.iter().filter(|topic| topic.error_code != 0) {
            let (name, code) = (topic.name.as_str(), topic.error_code);
            tracing::error!(topic = name, code, message = ?topic.error_message, "topic not created");
        }
    }
}
