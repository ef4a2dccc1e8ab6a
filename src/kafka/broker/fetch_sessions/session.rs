//! One fetch session: the partitions a client wants, and what it knows of them.

use std::collections::HashSet;

use indexmap::IndexMap;
use kafka_protocol::messages::fetch_response::PartitionData;
use uuid::Uuid;

use crate::{
    env::Instant,
    kafka::{log::Slice, types::TopicName},
};

/// The epoch of a request that wants a new session.
pub(super) const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants none, and of versions that know no sessions.
pub(super) const FINAL_EPOCH: i32 = -1;

/// What an entry takes beside its topic's name, with its place in the hash table.
const ENTRY_BYTES: usize = size_of::<(PartitionKey, Known)>() + 4 * size_of::<usize>();

/// A topic as the request names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in super::super) enum TopicKey {
    Name(TopicName),
    Id(Uuid),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in super::super) struct PartitionKey {
    pub topic: TopicKey,
    pub partition: i32,
}

/// What a client wants of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Ask {
    pub fetch_offset: i64,
    pub max_bytes: i32,
    /// -1 for a client that does not say.
    pub current_leader_epoch: i32,
    /// -1 for a client that does not say.
    pub last_fetched_epoch: i32,
    /// Where a follower's log starts; -1 for others.
    pub log_start_offset: i64,
}

/// In the order in which they are read.
pub(in super::super) type Asks = IndexMap<PartitionKey, Ask>;
pub(in super::super) type Answers = Vec<(PartitionKey, Found)>;

/// What is to be said of a partition, and where its records lie.
pub(in super::super) struct Found {
    pub data: PartitionData,
    pub records: Option<Slice>,
}

/// A partition as the session remembers it.
#[derive(Debug)]
struct Known {
    ask: Ask,
    /// As last told; -1 if nothing was, or an error.
    high_watermark: i64,
    log_start_offset: i64,
}

#[derive(Debug)]
pub(super) struct Session {
    /// A follower's.
    pub privileged: bool,
    pub topic_ids: bool,
    pub created: Instant,
    pub last_used: Instant,
    /// Of the next request.
    pub epoch: i32,
    partitions: IndexMap<PartitionKey, Known>,
}

impl Session {
    /// What a full request asked and was answered.
    pub fn new(
        now: Instant,
        privileged: bool,
        topic_ids: bool,
        asks: &Asks,
        answers: &Answers,
    ) -> Self {
        let known = |(key, found): &(PartitionKey, Found)| {
            let known = Known {
                ask: *asks.get(key)?,
                high_watermark: found.data.high_watermark,
                log_start_offset: found.data.log_start_offset,
            };
            Some((key.clone(), known))
        };
        Session {
            privileged,
            topic_ids,
            created: now,
            last_used: now,
            epoch: next_epoch(INITIAL_EPOCH),
            partitions: answers.iter().filter_map(known).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// An upper bound: a topic's name counts once for each of its partitions.
    pub fn bytes(&self) -> usize {
        self.partitions.keys().map(entry_bytes).sum()
    }

    pub fn asks(&self) -> Asks {
        self.partitions.iter().map(|(key, known)| (key.clone(), known.ask)).collect()
    }

    /// Takes in what a request says. A partition both asked for and forgotten is forgotten.
    pub fn update(&mut self, asks: &Asks, forgotten: &HashSet<PartitionKey>) {
        for (key, ask) in asks {
            let never_told = Known { ask: *ask, high_watermark: -1, log_start_offset: -1 };
            self.partitions.entry(key.clone()).or_insert(never_told).ask = *ask;
        }
        if !forgotten.is_empty() {
            self.partitions.retain(|key, _| !forgotten.contains(key));
        }
    }

    /// Leaves in the answers what the client does not know yet. Partitions with records go behind the others,
    /// so that a size limit does not hit the same ones each time.
    pub fn keep_news(&mut self, answers: &mut Answers) {
        answers.retain(|(key, found)| {
            self.partitions.get_mut(key).is_none_or(|known| known.take_news(found))
        });
        let served: HashSet<_> = answers
            .iter()
            .filter(|(_, found)| found.records.is_some())
            .map(|(key, _)| key)
            .collect();
        if !served.is_empty() {
            self.partitions.sort_by_cached_key(|key, _| served.contains(key));
        }
    }
}

impl Known {
    /// Whether the client has to hear of this; remembers that it does.
    /// (`CachedPartition.maybeUpdateResponseData`.)
    fn take_news(&mut self, found: &Found) -> bool {
        let data = &found.data;
        let is_error = data.error_code != 0;
        let news = is_error
            || found.records.is_some()
            || data.diverging_epoch.epoch >= 0
            || data.preferred_read_replica.0 >= 0
            || self.high_watermark != data.high_watermark
            || self.log_start_offset != data.log_start_offset;
        // After an error the partition is news again, whatever became of it.
        self.high_watermark = if is_error { -1 } else { data.high_watermark };
        self.log_start_offset = data.log_start_offset;
        news
    }
}

fn entry_bytes(key: &PartitionKey) -> usize {
    let name = match &key.topic {
        TopicKey::Name(name) => name.as_str().len(),
        TopicKey::Id(_) => 0,
    };
    ENTRY_BYTES + name
}

/// The epochs of a session's requests go round without meeting those that mean something else.
pub(in super::super) fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => INITIAL_EPOCH + 1,
        epoch => epoch + 1,
    }
}
