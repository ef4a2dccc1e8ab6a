//! What a client knows of the cluster: brokers, topics, partitions and their leaders.
//!
//! Pure: answers go in, questions are asked, and [`Metadata::due_at`] says when to refresh.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafka_protocol::{
    ResponseError,
    messages::{MetadataRequest, MetadataResponse, metadata_request::MetadataRequestTopic},
    protocol::StrBytes,
};
use rand_chacha::ChaCha8Rng;

use crate::{
    env::{Address, Instant},
    kafka::{
        client::{error::code_error, retry::Backoff},
        types::{BrokerId, LeaderEpoch, TopicName, TopicPartition},
    },
};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PartitionMetadata {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) epoch: LeaderEpoch,
}

/// Which topics a refresh asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum WantedTopics {
    All,
    Named(BTreeSet<TopicName>),
}

/// Whether asking for a missing topic may create it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AutoCreate {
    Allowed,
    Refused,
}

#[derive(Debug)]
pub(crate) struct Metadata {
    wanted: WantedTopics,
    auto_create: AutoCreate,
    max_age: Duration,
    backoff: Backoff,
    brokers: BTreeMap<BrokerId, Address>,
    controller: Option<BrokerId>,
    topics: BTreeMap<TopicName, Vec<PartitionMetadata>>,
    errors: BTreeMap<TopicName, ResponseError>,
    /// Counts the answers taken in.
    version: u64,
    update_requested: bool,
    /// `None` before the first answer.
    last_success: Option<Instant>,
    /// No request before this instant.
    allowed_at: Instant,
    failures: u32,
}

impl Metadata {
    pub(crate) fn new(
        wanted: WantedTopics,
        auto_create: AutoCreate,
        max_age: Duration,
        backoff: Backoff,
    ) -> Self {
        Metadata {
            wanted,
            auto_create,
            max_age,
            backoff,
            brokers: BTreeMap::new(),
            controller: None,
            topics: BTreeMap::new(),
            errors: BTreeMap::new(),
            version: 0,
            update_requested: false,
            last_success: None,
            allowed_at: Instant::default(),
            failures: 0,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn brokers(&self) -> &BTreeMap<BrokerId, Address> {
        &self.brokers
    }

    pub(crate) fn controller(&self) -> Option<BrokerId> {
        self.controller
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&TopicName, &[PartitionMetadata])> {
        self.topics.iter().map(|(topic, partitions)| (topic, partitions.as_slice()))
    }

    /// The partitions of a topic, indexed by number; `None` while the topic is not known.
    pub(crate) fn partitions(&self, topic: &TopicName) -> Option<&[PartitionMetadata]> {
        self.topics.get(topic).map(Vec::as_slice)
    }

    pub(crate) fn partition(&self, partition: &TopicPartition) -> Option<&PartitionMetadata> {
        self.topics.get(&partition.topic)?.get(usize::try_from(partition.partition).ok()?)
    }

    pub(crate) fn leader(&self, partition: &TopicPartition) -> Option<BrokerId> {
        self.partition(partition)?.leader
    }

    /// Why the last answer had no partitions for the topic.
    pub(crate) fn error(&self, topic: &TopicName) -> Option<ResponseError> {
        self.errors.get(topic).copied()
    }

    /// Adds a topic to what refreshes ask for, and asks for one if it is new.
    pub(crate) fn add_topic(&mut self, topic: &TopicName) {
        if let WantedTopics::Named(topics) = &mut self.wanted
            && !topics.contains(topic)
        {
            topics.insert(topic.clone());
            self.request_new_topics();
        }
    }

    /// Replaces what refreshes ask for.
    pub(crate) fn set_wanted(&mut self, wanted: WantedTopics) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.request_new_topics();
        }
    }

    /// What was never asked for is worth a request at once.
    fn request_new_topics(&mut self) {
        self.update_requested = true;
        self.allowed_at = Instant::default();
    }

    pub(crate) fn request_update(&mut self) {
        self.update_requested = true;
    }

    pub(crate) fn update_is_requested(&self) -> bool {
        self.update_requested
    }

    /// When the next refresh is due; never earlier than the backoff after the last one allows.
    pub(crate) fn due_at(&self) -> Instant {
        let expires = match self.last_success {
            _ if self.update_requested => Instant::default(),
            None => Instant::default(),
            Some(at) => at + self.max_age,
        };
        expires.max(self.allowed_at)
    }

    pub(crate) fn request(&self) -> MetadataRequest {
        let topics = match &self.wanted {
            WantedTopics::All => None,
            WantedTopics::Named(names) => Some(
                names
                    .iter()
                    .map(|name| {
                        let name = StrBytes::from_string(name.as_str().to_owned());
                        MetadataRequestTopic::default().with_name(Some(name.into()))
                    })
                    .collect(),
            ),
        };
        MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(self.auto_create == AutoCreate::Allowed)
    }

    /// A refresh was sent: what is requested from here on needs another one.
    pub(crate) fn sent(&mut self) {
        self.update_requested = false;
    }

    pub(crate) fn failed(&mut self, now: Instant, rng: &mut ChaCha8Rng) {
        self.update_requested = true;
        self.allowed_at = now + self.backoff.delay(self.failures, rng);
        self.failures += 1;
    }

    pub(crate) fn update(
        &mut self,
        response: MetadataResponse,
        now: Instant,
        rng: &mut ChaCha8Rng,
    ) {
        self.version += 1;
        self.failures = 0;
        self.last_success = Some(now);
        self.allowed_at = now + self.backoff.delay(0, rng);
        let address = |host: &StrBytes, port: i32| {
            Address::new(host.as_str(), u16::try_from(port).unwrap_or_default())
        };
        self.brokers = response
            .brokers
            .iter()
            .map(|broker| (BrokerId(broker.node_id.0), address(&broker.host, broker.port)))
            .collect();
        let controller = BrokerId(response.controller_id.0);
        self.controller = (controller.0 >= 0).then_some(controller);
        let known = std::mem::take(&mut self.topics);
        self.errors.clear();
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            let name = TopicName::from(name.0.as_str());
            if let Some(error) = code_error(topic.error_code) {
                if is_stale_metadata(error) {
                    self.update_requested = true;
                }
                self.errors.insert(name, error);
                continue;
            }
            let partitions = self.read_partitions(topic, known.get(&name));
            self.topics.insert(name, partitions);
        }
        let known =
            |name: &TopicName| self.topics.contains_key(name) || self.errors.contains_key(name);
        if let WantedTopics::Named(wanted) = &self.wanted
            && !wanted.iter().all(known)
        {
            self.update_requested = true;
        }
    }

    /// A leader of an older epoch than one already seen comes from a broker that lags behind.
    fn read_partitions(
        &mut self,
        topic: &kafka_protocol::messages::metadata_response::MetadataResponseTopic,
        known: Option<&Vec<PartitionMetadata>>,
    ) -> Vec<PartitionMetadata> {
        let count = topic.partitions.iter().map(|p| p.partition_index + 1).max().unwrap_or(0);
        let unknown = PartitionMetadata { leader: None, epoch: LeaderEpoch(-1) };
        let mut partitions = vec![unknown; usize::try_from(count).unwrap_or(0)];
        for partition in &topic.partitions {
            let Ok(index) = usize::try_from(partition.partition_index) else { continue };
            let leader = BrokerId(partition.leader_id.0);
            let fresh = PartitionMetadata {
                leader: (leader.0 >= 0).then_some(leader),
                epoch: LeaderEpoch(partition.leader_epoch),
            };
            if fresh.leader.is_none() || code_error(partition.error_code).is_some() {
                self.update_requested = true;
            }
            partitions[index] = match known.and_then(|known| known.get(index)) {
                Some(old) if fresh.epoch.0 >= 0 && old.epoch > fresh.epoch => old.clone(),
                _ => fresh,
            };
        }
        partitions
    }
}

/// Errors that say the client's picture of the cluster is old (`InvalidMetadataException`).
pub(crate) fn is_stale_metadata(error: ResponseError) -> bool {
    use ResponseError as E;
    matches!(
        error,
        E::UnknownTopicOrPartition
            | E::LeaderNotAvailable
            | E::NotLeaderOrFollower
            | E::ReplicaNotAvailable
            | E::NetworkException
            | E::KafkaStorageError
            | E::FencedLeaderEpoch
            | E::ListenerNotFound
            | E::UnknownTopicId
            | E::InconsistentTopicId
            | E::PreferredLeaderNotAvailable
            | E::EligibleLeadersNotAvailable
    )
}
