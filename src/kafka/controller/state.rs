//! What the controller knows, and how a decision becomes records and an answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;

use super::{
    ControllerConfig, ControllerResponse, Effect, RequestToken, heartbeats::Heartbeats,
    periodic::Periodic,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{Image, MetadataRecord, PartitionImage},
        types::{BrokerId, Offset},
    },
};

/// A partition of a topic by its id.
pub(super) type PartitionKey = (Uuid, i32);

/// The active controller.
///
/// - `image` is what the log up to `next_offset` adds up to, records under way included.
/// - `leaderless` and `imbalanced` have the partitions of `image` without a leader, and without their
///   preferred one.
/// - Every registered broker has a session in `heartbeats`, fenced as the image says, and an offset in
///   `registered_at`.
#[derive(Debug)]
pub struct Controller {
    pub(super) config: ControllerConfig,
    pub(super) image: Image,
    pub(super) heartbeats: Heartbeats,
    /// Offsets of the brokers' registrations: a broker is up to date once it has read its own.
    pub(super) registered_at: BTreeMap<BrokerId, Offset>,
    pub(super) leaderless: BTreeSet<PartitionKey>,
    pub(super) imbalanced: BTreeSet<PartitionKey>,
    pub(super) periodic: Periodic,
    /// Where the next record goes.
    next_offset: Offset,
    /// The end of what this controller wrote, and of what of the log is committed.
    written: Offset,
    committed: Offset,
    /// In the order of `end`.
    waiting: VecDeque<Waiting>,
}

/// An answer that must not go out before the records up to `end` are committed.
#[derive(Debug)]
struct Waiting {
    end: Offset,
    request: RequestToken,
    response: ControllerResponse,
}

/// What a request leads to.
pub(super) struct Decision {
    pub records: Vec<MetadataRecord>,
    pub response: ControllerResponse,
}

impl Controller {
    /// The node became leader of the quorum. `image` is the committed metadata, `log_end` the offset of the
    /// next record; all before it is committed (the shell waits for that, as Kafka's `RaftClient` does).
    ///
    /// Departure: how far a broker must have read to be unfenced is known for registrations this controller
    /// wrote itself; for earlier ones the broker's epoch stands in, the first offset of the batch with the
    /// registration. Kafka remembers the offset on every node.
    pub fn activate(config: ControllerConfig, image: Image, log_end: Offset, now: Instant) -> Self {
        let mut heartbeats = Heartbeats::new(config.session_timeout);
        let mut registered_at = BTreeMap::new();
        for broker in image.brokers() {
            heartbeats.register(now, broker.id, broker.fenced);
            registered_at.insert(broker.id, Offset(broker.epoch.0));
        }
        let mut controller = Controller {
            periodic: Periodic::new(config.no_op_interval.map(|interval| now + interval)),
            config,
            heartbeats,
            registered_at,
            leaderless: BTreeSet::new(),
            imbalanced: BTreeSet::new(),
            next_offset: log_end,
            written: log_end,
            committed: log_end,
            waiting: VecDeque::new(),
            image: Image::default(),
        };
        for topic in image.topics() {
            for (index, partition) in &topic.partitions {
                controller.note_leader((topic.id, *index), partition);
            }
        }
        controller.image = image;
        controller.schedule(now);
        controller
    }

    /// The metadata with all records that were written, committed or not.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Where the next record goes.
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The first records of an empty log: the levels of features that the cluster was formatted with. Once
    /// there is any, they change nothing.
    pub fn handle_bootstrap(
        &mut self,
        now: Instant,
        records: Vec<MetadataRecord>,
        effects: &mut Vec<Effect>,
    ) {
        if self.image == Image::default() {
            self.append(now, records, effects);
        }
    }

    /// The quorum put records of its own (leader changes, voters) at the log's end.
    pub fn handle_log_end(&mut self, log_end: Offset) {
        assert!(log_end >= self.next_offset, "the log of a leader never shrinks");
        self.next_offset = log_end;
    }

    /// Records before `committed` are committed: the quorum's high watermark.
    pub fn handle_committed(&mut self, committed: Offset, effects: &mut Vec<Effect>) {
        self.committed = self.committed.max(committed);
        while self.waiting.front().is_some_and(|waiting| waiting.end <= self.committed) {
            let Some(Waiting { request, response, .. }) = self.waiting.pop_front() else { return };
            effects.push(Effect::Reply { request, response });
        }
    }

    /// The node does not lead the quorum any more: whoever waits is told to look for the controller. What
    /// was appended may be committed yet.
    pub fn resign(self, effects: &mut Vec<Effect>) {
        for Waiting { request, response, .. } in self.waiting {
            effects.push(Effect::Reply { request, response: response.not_controller() });
        }
    }

    /// Carries out a decision: its records are appended and count from here on, its answer follows once
    /// they are committed. An answer without records waits for those before it, which it may have seen.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        request: RequestToken,
        decision: Decision,
        effects: &mut Vec<Effect>,
    ) {
        self.append(now, decision.records, effects);
        let response = decision.response;
        if self.written <= self.committed {
            effects.push(Effect::Reply { request, response });
        } else {
            self.waiting.push_back(Waiting { end: self.written, request, response });
        }
    }

    pub(super) fn append(
        &mut self,
        now: Instant,
        records: Vec<MetadataRecord>,
        effects: &mut Vec<Effect>,
    ) {
        if !records.is_empty() {
            let base = self.next_offset;
            for record in &records {
                self.replay(now, record);
            }
            self.written = self.next_offset;
            effects.push(Effect::Append { base, records });
        }
        self.schedule(now);
    }

    /// The offset of the last record, committed or not.
    pub(super) fn last_offset(&self) -> Offset {
        self.next_offset + -1
    }

    fn replay(&mut self, now: Instant, record: &MetadataRecord) {
        let offset = self.next_offset;
        if let MetadataRecord::RemoveTopic { id } = record {
            self.forget_topic(*id);
        }
        self.image.apply(record.clone());
        self.next_offset = offset + 1;
        match record {
            MetadataRecord::RegisterBroker(broker) => {
                self.registered_at.insert(broker.id, offset);
                self.heartbeats.remove(broker.id);
                self.heartbeats.register(now, broker.id, broker.fenced);
            }
            MetadataRecord::UnregisterBroker { id, .. } => {
                self.registered_at.remove(id);
                self.heartbeats.remove(*id);
            }
            MetadataRecord::RegistrationChange { id, .. } => {
                if let Some(broker) = self.image.broker(*id) {
                    self.heartbeats.register(now, *id, broker.fenced);
                }
            }
            MetadataRecord::Partition { topic_id, partition, .. }
            | MetadataRecord::PartitionChange { topic_id, partition, .. } => {
                let topic = self.image.topic_by_id(*topic_id);
                let image = topic.and_then(|topic| topic.partitions.get(partition)).cloned();
                if let Some(image) = image {
                    self.note_leader((*topic_id, *partition), &image);
                }
            }
            _ => {}
        }
    }

    fn note_leader(&mut self, key: PartitionKey, partition: &PartitionImage) {
        let note = |set: &mut BTreeSet<PartitionKey>, is_in: bool| {
            if is_in {
                set.insert(key);
            } else {
                set.remove(&key);
            }
        };
        note(&mut self.leaderless, !partition.has_leader());
        note(&mut self.imbalanced, !partition.has_preferred_leader());
    }

    fn forget_topic(&mut self, id: Uuid) {
        let Some(topic) = self.image.topic_by_id(id) else { return };
        for index in topic.partitions.keys() {
            self.leaderless.remove(&(id, *index));
            self.imbalanced.remove(&(id, *index));
        }
    }

    /// Whether a broker may lead and be in sync.
    pub(super) fn is_active(&self, broker: BrokerId) -> bool {
        self.image.broker(broker).is_some_and(|broker| broker.is_active())
    }

    /// Where a new replica of a broker goes.
    pub(super) fn default_directory(&self, broker: BrokerId) -> Uuid {
        let unassigned = crate::kafka::metadata::directory::UNASSIGNED;
        self.image.broker(broker).map_or(unassigned, |broker| broker.default_directory())
    }
}
