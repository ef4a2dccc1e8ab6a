//! What is known of one partition: its replicas, its leaders, the controller's word on it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    blame::Loss,
    committed::Committed,
    fork::{Followed, Told},
    invariant::Invariant,
    log::{Placed, ReplicaLog},
};
use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::history::{ElectionKind, EventId, NodeName},
};

/// One broker's replica.
#[derive(Debug, Default)]
pub(in crate::testbed::checker) struct Replica<'a> {
    pub(super) log: ReplicaLog,
    /// All before it is durable; told of the metadata log.
    pub(super) synced: Offset,
    pub(super) high_watermark: Offset,
    /// Up to here it has been compared with what leaders have shown.
    pub(super) compared: Offset,
    /// The epoch it leads in, and since when.
    pub(super) leads: Option<(i32, EventId)>,
    /// Since when it misses records that nobody told it to cut, until it has them again.
    pub(super) loss: Option<Loss>,
    /// Whom it has followed, and where it heard that logs part, in order.
    pub(super) followed: Vec<Followed<'a>>,
    pub(super) told: Vec<Told<'a>>,
    /// The ISR it knows, by the partition epoch.
    pub(super) confirmed: Option<(i32, BTreeSet<&'a str>)>,
}

/// The controller's last word.
#[derive(Debug)]
pub(in crate::testbed::checker) struct Word<'a> {
    pub leader: Option<&'a NodeName>,
    pub epoch: i32,
    pub partition_epoch: i32,
    pub isr: BTreeSet<&'a str>,
    pub replicas: BTreeSet<&'a str>,
    pub event: EventId,
}

impl Word<'_> {
    /// Of a partition that came into being before anybody told.
    pub(super) fn unknown(event: EventId) -> Self {
        Word {
            leader: None,
            epoch: -1,
            partition_epoch: -1,
            isr: BTreeSet::new(),
            replicas: BTreeSet::new(),
            event,
        }
    }
}

/// A broker began to lead.
#[derive(Debug)]
pub(in crate::testbed::checker) struct Takeover<'a> {
    pub event: EventId,
    pub leader: &'a NodeName,
    pub epoch: i32,
    /// Where its log ended.
    pub start: Offset,
    pub previous: Option<&'a NodeName>,
    /// The end of the machine that led before, if it was down.
    pub stop: Option<EventId>,
    pub how: Option<ElectionKind>,
    /// What the new leader had lost.
    pub loss: Option<Loss>,
    /// How far the other replicas had come, and by which event; without the leader before.
    pub fetched: Vec<(&'a str, Offset, Option<EventId>)>,
}

/// A log was cut by order.
#[derive(Debug)]
pub(in crate::testbed::checker) struct Cut<'a> {
    pub event: EventId,
    pub node: &'a NodeName,
    pub from: Offset,
    pub to: Offset,
}

#[derive(Debug)]
pub(in crate::testbed::checker) struct Partition<'a> {
    pub id: &'a TopicPartition,
    /// Another topic of the same name begins from nothing.
    pub(super) topic_id: &'a str,
    pub(super) replicas: BTreeMap<&'a str, Replica<'a>>,
    /// By epoch: who led, and since when.
    pub(super) leaders: BTreeMap<i32, (&'a NodeName, EventId)>,
    pub(super) committed: Committed<'a>,
    /// Compaction has written batches before this offset anew somewhere: they are compared no more.
    pub(super) cleaned: Offset,
    pub(super) word: Option<Word<'a>>,
    /// By partition epoch.
    pub(super) isrs: BTreeMap<i32, BTreeSet<&'a str>>,
    /// Leaders the controller named, by epoch.
    pub(super) granted: BTreeMap<i32, Option<&'a NodeName>>,
    /// How each epoch's leader was elected.
    pub(super) elections: BTreeMap<i32, (ElectionKind, EventId)>,
    pub takeovers: Vec<Takeover<'a>>,
    pub cuts: Vec<Cut<'a>>,
    /// What was taken from producers.
    pub(super) appends: Vec<Placed>,
    /// How much was held against each invariant, in their order.
    examined: [u64; Invariant::ALL.len()],
    /// The loss that explains what went wrong later.
    pub(super) excuse: Option<Loss>,
    /// As many intact replicas keep what is committed.
    pub(super) min_insync_replicas: u32,
}

impl<'a> Partition<'a> {
    pub fn new(id: &'a TopicPartition, min_insync_replicas: u32) -> Self {
        Partition {
            id,
            topic_id: "",
            replicas: BTreeMap::new(),
            leaders: BTreeMap::new(),
            committed: Committed::default(),
            cleaned: Offset(0),
            word: None,
            isrs: BTreeMap::new(),
            granted: BTreeMap::new(),
            elections: BTreeMap::new(),
            takeovers: Vec::new(),
            cuts: Vec::new(),
            appends: Vec::new(),
            examined: [0; Invariant::ALL.len()],
            excuse: None,
            min_insync_replicas,
        }
    }

    pub fn is_metadata(&self) -> bool {
        self.id.topic.as_str() == super::METADATA
    }

    pub fn examined(&self, invariant: Invariant) -> u64 {
        self.examined[invariant as usize]
    }

    pub(super) fn examine(&mut self, invariant: Invariant) {
        self.examined[invariant as usize] += 1;
    }

    /// Forgets everything if this is another topic of the same name.
    pub(super) fn of_topic(&mut self, topic_id: &'a str) {
        if self.topic_id != topic_id && !topic_id.is_empty() {
            let examined = self.examined;
            if !self.topic_id.is_empty() {
                *self = Partition::new(self.id, self.min_insync_replicas);
            }
            (self.topic_id, self.examined) = (topic_id, examined);
        }
    }

    pub(super) fn replica(&mut self, node: &'a NodeName) -> &mut Replica<'a> {
        self.replicas.entry(node).or_default()
    }

    /// What the other replicas have at this moment.
    pub(super) fn ends_without(
        &self,
        left_out: &[&str],
    ) -> Vec<(&'a str, Offset, Option<EventId>)> {
        let others = self.replicas.iter().filter(|(node, _)| !left_out.contains(node));
        let end = |(node, replica): (&&'a str, &Replica<'a>)| {
            (*node, replica.log.end(), replica.log.last().map(|placed: &Placed| placed.event))
        };
        others.map(end).collect()
    }

    /// What is shown from here on takes the place of what was, and replicas are compared with it anew.
    pub(super) fn forget_committed(&mut self, from: Offset) {
        self.committed.forget_from(from);
        for replica in self.replicas.values_mut() {
            replica.compared = replica.compared.min(from);
        }
    }

    /// When a record that was known of at `before`, and is not in the log in the end, was taken from its producer:
    /// the last append at its offset. What is there in the end is another record, also where it was taken
    /// first: an answer may come after others have taken the place.
    pub fn lost_append(&self, offset: Offset, before: EventId) -> Option<EventId> {
        let leader = self.word.as_ref().and_then(|word| word.leader);
        let stays = leader.and_then(|leader| self.replicas.get(&**leader)?.log.at(offset));
        let is_lost = |placed: &&Placed| {
            placed.event < before && stays.is_none_or(|stays| stays.batch != placed.batch)
        };
        self.appends_at(offset).rfind(is_lost).map(|placed| placed.event)
    }

    /// The first append at the offset after `after`.
    pub fn appended_after(&self, offset: Offset, after: EventId) -> Option<EventId> {
        let later = self.appends_at(offset).find(|placed| placed.event > after);
        later.map(|placed| placed.event)
    }

    fn appends_at(&self, offset: Offset) -> impl DoubleEndedIterator<Item = &Placed> {
        let covers =
            move |placed: &&Placed| placed.batch.base <= offset && offset <= placed.batch.last;
        self.appends.iter().filter(covers)
    }
}
