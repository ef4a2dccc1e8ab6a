//! One fetch session: the partitions a client wants, and what it knows of them.

use std::{collections::HashSet, sync::Weak};

use indexmap::IndexMap;
use uuid::Uuid;

use super::super::partitions::Partition;
use crate::{
    env::Instant,
    kafka::{
        log::Slice,
        protocol::ResponseError,
        types::{BrokerId, LeaderEpoch, Offset, TopicName},
    },
};

/// The epoch of a request that wants a new session.
pub(super) const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants none, and of versions that know no sessions.
pub(super) const FINAL_EPOCH: i32 = -1;

/// What an entry takes beside its topic's name, with its places in the hash table and in the order.
const ENTRY_BYTES: usize = size_of::<(PartitionKey, Known)>() + 5 * size_of::<usize>();

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

/// What a request names.
pub(in super::super) type Asks = IndexMap<PartitionKey, Ask>;
/// All that is to be read for a request, in this order.
pub(in super::super) type Reads = Vec<Read>;

pub(in super::super) struct Read {
    pub key: PartitionKey,
    pub ask: Ask,
    /// As the session's last request left it, if this one asks the same.
    pub settled: Option<Settled>,
}

/// A partition whose reader has heard all there is to say.
pub(in super::super) struct Settled {
    /// One that is deleted does not stay for this.
    pub partition: Weak<Partition>,
    /// How often something had happened to it.
    pub changes: u64,
    pub high_watermark: Offset,
    pub log_start: Offset,
}

impl Read {
    pub fn new((key, ask): (PartitionKey, Ask)) -> Self {
        Read { key, ask, settled: None }
    }
}

/// What was found for the read at `place` in its [`Reads`].
pub(in super::super) struct Answered {
    pub place: usize,
    pub found: Found,
}

/// What is to be said of a partition, and where its records lie.
pub(in super::super) struct Found {
    pub error: Option<ResponseError>,
    /// -1 with an error.
    pub high_watermark: Offset,
    /// -1 with an error.
    pub log_start: Offset,
    pub instead: Option<Instead>,
    /// Whom to ask instead of this broker, beside an error that says that it is not the one.
    pub leader: Option<(BrokerId, LeaderEpoch)>,
    pub records: Option<Slice>,
}

/// What is said where no records can be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Instead {
    /// The reader's last epoch ended here.
    Diverging { epoch: LeaderEpoch, end: Offset },
    /// A nearer replica (KIP-392).
    ReadFrom(BrokerId),
}

impl Found {
    pub fn failed(error: ResponseError) -> Self {
        Found {
            error: Some(error),
            high_watermark: Offset(-1),
            log_start: Offset(-1),
            instead: None,
            leader: None,
            records: None,
        }
    }

    /// There is something to tell beside records.
    pub fn is_news(&self) -> bool {
        self.error.is_some() || self.instead.is_some()
    }
}

/// A partition as the session remembers it.
struct Known {
    ask: Ask,
    /// As last told; -1 if nothing was, or an error.
    high_watermark: Offset,
    log_start: Offset,
    /// Away while a request is under way.
    settled: Option<Settled>,
}

/// - `order` names the index of each of `partitions` once: the order in which they are read.
/// - `bytes` is what the partitions are counted as.
pub(super) struct Session {
    /// A follower's.
    pub privileged: bool,
    pub topic_ids: bool,
    pub created: Instant,
    pub last_used: Instant,
    /// Of the next request.
    pub epoch: i32,
    /// The state of the metadata at the last request.
    metadata: u64,
    partitions: IndexMap<PartitionKey, Known>,
    order: Vec<usize>,
    bytes: usize,
}

impl Session {
    /// What a full request asked and was answered.
    pub fn new(
        now: Instant,
        privileged: bool,
        topic_ids: bool,
        metadata: u64,
        reads: &Reads,
        answers: &[Answered],
    ) -> Self {
        let known = |Answered { place, found }: &Answered| {
            let Read { key, ask, .. } = &reads[*place];
            let (high_watermark, log_start) = (found.high_watermark, found.log_start);
            (key.clone(), Known { ask: *ask, high_watermark, log_start, settled: None })
        };
        let partitions: IndexMap<_, _> = answers.iter().map(known).collect();
        Session {
            privileged,
            topic_ids,
            created: now,
            last_used: now,
            epoch: next_epoch(INITIAL_EPOCH),
            metadata,
            order: (0..partitions.len()).collect(),
            bytes: partitions.keys().map(entry_bytes).sum(),
            partitions,
        }
    }

    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// An upper bound: a topic's name counts once for each of its partitions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is to be read for the next request. With other metadata nothing is settled.
    pub fn reads(&mut self, metadata: u64) -> Reads {
        let is_same = std::mem::replace(&mut self.metadata, metadata) == metadata;
        let partitions = &mut self.partitions;
        let read = |index: &usize| {
            let (key, known) = partitions.get_index_mut(*index).expect("`order` names it");
            let settled = known.settled.take().filter(|_| is_same);
            Read { key: key.clone(), ask: known.ask, settled }
        };
        self.order.iter().map(read).collect()
    }

    /// What the request under way left settled, by places in its reads.
    pub fn settle(&mut self, settled: Vec<(usize, Settled)>) {
        for (place, settled) in settled {
            self.partitions[self.order[place]].settled = Some(settled);
        }
    }

    /// Takes in what a request says. A partition both asked for and forgotten is forgotten.
    pub fn update(&mut self, asks: &Asks, forgotten: &HashSet<PartitionKey>) {
        for (key, ask) in asks {
            if let Some(known) = self.partitions.get_mut(key) {
                (known.ask, known.settled) = (*ask, None);
            } else {
                let none = Offset(-1);
                let never_told =
                    Known { ask: *ask, high_watermark: none, log_start: none, settled: None };
                self.order.push(self.partitions.len());
                self.bytes += entry_bytes(key);
                self.partitions.insert(key.clone(), never_told);
            }
        }
        if !forgotten.is_empty() {
            let order = std::mem::take(&mut self.order);
            let mut all: Vec<_> =
                std::mem::take(&mut self.partitions).into_iter().map(Some).collect();
            let in_order = order.into_iter().filter_map(|index| all[index].take());
            self.partitions = in_order.filter(|(key, _)| !forgotten.contains(key)).collect();
            self.order = (0..self.partitions.len()).collect();
            self.bytes = self.partitions.keys().map(entry_bytes).sum();
        }
    }

    /// Leaves in the answers to its reads what the client does not know yet. Partitions with records go behind
    /// the others, so that a size limit does not hit the same ones each time.
    pub fn keep_news(&mut self, answers: &mut Vec<Answered>) {
        answers.retain(|Answered { place, found }| {
            self.partitions[self.order[*place]].take_news(found)
        });
        let mut served = vec![];
        for Answered { place, .. } in answers.iter().filter(|answer| answer.found.records.is_some())
        {
            served.resize(self.order.len(), false);
            served[*place] = true;
        }
        if !served.is_empty() {
            let places = || self.order.iter().zip(&served);
            let of = |wanted: bool| places().filter(move |(_, served)| **served == wanted);
            self.order = of(false).chain(of(true)).map(|(index, _)| *index).collect();
        }
    }
}

impl Known {
    /// Whether the client has to hear of this; remembers that it does.
    /// (`CachedPartition.maybeUpdateResponseData`.)
    fn take_news(&mut self, found: &Found) -> bool {
        let news = found.is_news()
            || found.records.is_some()
            || self.high_watermark != found.high_watermark
            || self.log_start != found.log_start;
        // After an error the partition is news again, whatever became of it.
        self.high_watermark = if found.error.is_some() { Offset(-1) } else { found.high_watermark };
        self.log_start = found.log_start;
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
