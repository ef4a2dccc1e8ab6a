//! What Fetch reads: one look at all the partitions of a request, a wait if that is too little, and another look at
//! those that something happened to.
//!
//! Kafka looks at all of them again; what nothing happened to would show the same. That holds for a follower's next
//! request too, which its leader notes and does not look into.

use std::{sync::Arc, time::Duration};

use super::{
    fetch_sessions::{Answered, Ask, Found, Instead, Settled},
    handlers::codes,
    partitions::{Held, Partition},
    purgatory::Waiter,
    replication::Aftermath,
    state::Broker,
    ticker::Due,
};
use crate::kafka::{
    log::{MinOneMessage, Slice},
    protocol::ResponseError,
    replica::{Facts, FetchOutcome, FollowerFetch, ReadFrom, ReadPosition, Replica, Visibility},
    types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset},
};

/// One asked-for partition, looked up once for all looks of the request.
pub(super) struct Wanted {
    /// Among the request's reads.
    pub place: usize,
    pub ask: Ask,
    pub partition: Result<Arc<Partition>, ResponseError>,
    /// As of the last look; none before the first, and for one that is settled.
    found: Option<Found>,
    /// How often something had happened to the partition before that look.
    changes: u64,
    /// Its high watermark and its log's start, where the last request left nothing to tell.
    settled: Option<(Offset, Offset)>,
}

/// Who fetches.
pub(super) enum Reader {
    Follower {
        id: BrokerId,
        epoch: BrokerEpoch,
    },
    Client {
        from: ReadFrom,
        /// Empty if it does not say.
        rack: String,
    },
}

/// How much to read, and how long to wait for it.
pub(super) struct Limits {
    pub min_bytes: usize,
    pub max_bytes: usize,
    pub wait: Duration,
}

/// Whether a follower's fetch is news, or was heard of and waited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    Again,
}

impl Wanted {
    pub fn new(place: usize, ask: Ask, partition: Result<Arc<Partition>, ResponseError>) -> Self {
        Wanted { place, ask, partition, found: None, changes: 0, settled: None }
    }

    /// One that had nothing to tell.
    pub fn settled(place: usize, ask: Ask, partition: Arc<Partition>, settled: &Settled) -> Self {
        let Settled { changes, high_watermark, log_start, .. } = *settled;
        let settled = Some((high_watermark, log_start));
        Wanted { place, ask, partition: Ok(partition), found: None, changes, settled }
    }

    /// What is to be told, and what the next request need not look at.
    pub fn end(self, reader: &Reader) -> (Option<Answered>, Option<(usize, Settled)>) {
        let Wanted { place, partition, found, changes, mut settled, .. } = self;
        if let Some(found) = &found {
            let has_more = found.is_news() || found.records.is_some() || !reader.is_follower();
            settled = (!has_more).then_some((found.high_watermark, found.log_start));
        }
        let settled =
            settled.zip(partition.ok()).map(|((high_watermark, log_start), partition)| {
                let partition = Arc::downgrade(&partition);
                (place, Settled { partition, changes, high_watermark, log_start })
            });
        (found.map(|found| Answered { place, found }), settled)
    }

    /// Nobody knows such a partition. That is for the answer alone: no other partition need hurry for it.
    pub fn is_unknown(&self) -> bool {
        let code = self.partition.as_ref().err();
        matches!(code, Some(ResponseError::UnknownTopicId | ResponseError::UnknownTopicOrPartition))
    }

    /// Nothing has happened since the last look.
    fn is_quiet(&self, reader: &Reader) -> bool {
        let partition = self.partition.as_ref();
        partition.map_or(true, |partition| reader.changes(partition) == self.changes)
    }

    /// Another look would show the same. Records are looked for again, since others may have left more or less room.
    fn is_as_seen(&self, reader: &Reader) -> bool {
        let found = self.found.as_ref();
        let shows_none = found.map_or(self.settled.is_some(), |found| found.records.is_none());
        shows_none && self.is_quiet(reader)
    }
}

impl Reader {
    fn is_follower(&self) -> bool {
        matches!(self, Reader::Follower { .. })
    }

    fn changes(&self, partition: &Partition) -> u64 {
        match self {
            Reader::Follower { .. } => partition.changes_for_followers(),
            Reader::Client { .. } => partition.changes_for_clients(),
        }
    }

    /// Whether the last request has seen all of this partition that there is to see, and heard it. If so, a
    /// follower's leader notes that it asked.
    fn repeats(&self, broker: &Broker, one: &Wanted) -> bool {
        let (Reader::Follower { id, epoch }, Ok(partition)) = (self, &one.partition) else {
            return false;
        };
        if one.settled.is_none() || self.changes(partition) != one.changes {
            return false;
        }
        let mut held = partition.held();
        let Held { log, replica: Some(replica), .. } = &mut *held else { return false };
        one.settled == Some((log.high_watermark(), log.start_offset()))
            && replica.handle_repeated_fetch(
                Facts { now: broker.env.clock.now(), log, brokers: broker },
                &follower_fetch(&one.ask, *id, *epoch),
            )
    }

    fn wait_on(&self, partition: &Partition, waiter: &Arc<Waiter>) {
        match self {
            Reader::Follower { .. } => partition.followers.add(waiter),
            Reader::Client { .. } => partition.waiters.add(waiter),
        }
    }
}

/// What a look at all partitions gave together.
struct Sum {
    bytes: usize,
    is_news: bool,
}

/// Leaves in all of `wanted` what was found.
pub(super) async fn read_or_wait(
    broker: &Arc<Broker>,
    reader: &Reader,
    limits: &Limits,
    wanted: &mut [Wanted],
) {
    let enough = |sum: &Sum| sum.is_news || sum.bytes >= limits.min_bytes;
    let sum = look(broker, reader, Look::First, wanted, limits.max_bytes);
    if enough(&sum) || limits.wait.is_zero() || wanted.iter().all(Wanted::is_unknown) {
        return;
    }
    let waiter = Arc::new(Waiter::default());
    let deadline = broker.env.clock.now() + limits.wait;
    let key = broker.ticker.schedule(deadline, Due::Wake(Arc::clone(&waiter)));
    loop {
        for partition in wanted.iter().flat_map(|wanted| &wanted.partition) {
            reader.wait_on(partition, &waiter);
        }
        // What came between the look and the hanging up woke nobody.
        if wanted.iter().all(|one| one.is_quiet(reader)) {
            tokio::select! {
                biased;
                () = waiter.wait() => {}
                () = broker.ending.wait() => {}
            }
        }
        let sum = look(broker, reader, Look::Again, wanted, limits.max_bytes);
        if enough(&sum) || broker.env.clock.now() >= deadline || broker.ending.is_stopping() {
            broker.ticker.cancel(key);
            return;
        }
    }
}

/// Reads what there is, within the limits. The first batch found comes whole, whatever its size.
fn look(
    broker: &Broker,
    reader: &Reader,
    look: Look,
    wanted: &mut [Wanted],
    max_bytes: usize,
) -> Sum {
    let mut sum = Sum { bytes: 0, is_news: false };
    for one in wanted {
        let is_as_before = match look {
            Look::First => reader.repeats(broker, one),
            Look::Again => one.is_as_seen(reader),
        };
        if is_as_before {
            continue;
        }
        let limit = max_bytes.saturating_sub(sum.bytes);
        let found = match &one.partition {
            Ok(partition) => {
                one.changes = reader.changes(partition);
                let limit = limit.min(usize::try_from(one.ask.max_bytes).unwrap_or_default());
                let min_one = if sum.bytes == 0 { MinOneMessage::Yes } else { MinOneMessage::No };
                let reading = Reading { broker, partition, ask: &one.ask, limit, min_one };
                reading.read(reader, look).unwrap_or_else(Found::failed)
            }
            Err(code) => Found::failed(*code),
        };
        sum.is_news |= found.is_news() && !one.is_unknown();
        sum.bytes += found.records.as_ref().map_or(0, Slice::len);
        one.found = Some(found);
    }
    sum
}

/// -1 for one that does not say.
pub(super) fn known_epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}

/// One look at one partition.
struct Reading<'a> {
    broker: &'a Broker,
    partition: &'a Partition,
    ask: &'a Ask,
    limit: usize,
    min_one: MinOneMessage,
}

impl Reading<'_> {
    fn read(&self, reader: &Reader, look: Look) -> Result<Found, ResponseError> {
        let mut held = self.partition.held();
        // Its topic was deleted while the request waited.
        if self.partition.is_retired() {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        let Reader::Follower { id, epoch } = reader else { return self.for_client(&held, reader) };
        if held.replica.is_none() {
            return self.committed(&held, held.log.high_watermark());
        }
        let fetch = follower_fetch(self.ask, *id, *epoch);
        let (found, after) = self.for_follower(&mut held, &fetch, look);
        drop(held);
        self.partition.follow_up(self.broker, (found, after))
    }

    /// The records are looked for before the replica hears of the fetch, which may raise the high watermark.
    fn for_follower(
        &self,
        held: &mut Held,
        fetch: &FollowerFetch,
        look: Look,
    ) -> (Result<Found, ResponseError>, Aftermath) {
        let located = self.locate(held, held.log.end_offset());
        let (judged, after) = match look {
            Look::First => held.drive(self.broker, self.partition, &[], |replica, facts, fx| {
                Some(replica.handle_fetch(facts, fetch, fx))
            }),
            Look::Again => {
                let replica = held.replica.as_ref().expect("seen by the caller");
                (Some(replica.check_fetch(&held.log, fetch)), Aftermath::default())
            }
        };
        let found = judged.expect("there is a replica").and_then(|answer| {
            let (instead, records) = match answer.outcome {
                FetchOutcome::Records => (None, located?),
                FetchOutcome::Diverging { epoch, end } => {
                    (Some(Instead::Diverging { epoch, end }), None)
                }
            };
            let (high_watermark, log_start) = (answer.high_watermark, answer.log_start);
            Ok(Found { error: None, high_watermark, log_start, instead, leader: None, records })
        });
        (found, after)
    }

    fn for_client(&self, held: &Held, reader: &Reader) -> Result<Found, ResponseError> {
        // The log of metadata has none; its observers read what is committed.
        let (Some(replica), Reader::Client { from, rack }) = (&held.replica, reader) else {
            return self.committed(held, held.log.high_watermark());
        };
        let position = replica.check_read(
            &held.log,
            *from,
            known_epoch(self.ask.current_leader_epoch),
            Offset(self.ask.fetch_offset),
            known_epoch(self.ask.last_fetched_epoch),
            Visibility::HighWatermark,
        )?;
        let upto = match position {
            ReadPosition::UpTo(upto) => upto,
            ReadPosition::Diverging { epoch, end } => {
                return Ok(shown(held, Some(Instead::Diverging { epoch, end }), None));
            }
        };
        match self.nearer(held, replica, rack) {
            Some(nearer) => Ok(shown(held, Some(Instead::ReadFrom(nearer)), None)),
            None => self.committed(held, upto),
        }
    }

    fn nearer(&self, held: &Held, replica: &Replica, rack: &str) -> Option<BrokerId> {
        if !self.broker.config.config.replication.rack_aware_reads {
            return None;
        }
        let asked = Offset(self.ask.fetch_offset);
        replica.leader()?.preferred_read_replica(held.facts(self.broker), rack, asked)
    }

    /// Between `upto` and the end there is nothing to show yet, but nothing is wrong either.
    fn committed(&self, held: &Held, upto: Offset) -> Result<Found, ResponseError> {
        Ok(shown(held, None, self.locate(held, upto)?))
    }

    fn locate(&self, held: &Held, upto: Offset) -> Result<Option<Slice>, ResponseError> {
        let asked = Offset(self.ask.fetch_offset);
        if asked >= upto && asked <= held.log.end_offset() {
            return Ok(None);
        }
        let located = held.log.locate(asked, self.limit, upto, self.min_one);
        located.map_err(|error| codes::of_read(&error))
    }
}

fn follower_fetch(ask: &Ask, follower: BrokerId, broker_epoch: BrokerEpoch) -> FollowerFetch {
    FollowerFetch {
        follower,
        broker_epoch,
        current_leader_epoch: known_epoch(ask.current_leader_epoch),
        fetch_offset: Offset(ask.fetch_offset),
        last_fetched_epoch: known_epoch(ask.last_fetched_epoch),
        log_start: Offset(ask.log_start_offset),
    }
}

/// With what readers know of the log beside its records.
fn shown(held: &Held, instead: Option<Instead>, records: Option<Slice>) -> Found {
    let (high_watermark, log_start) = (held.log.high_watermark(), held.log.start_offset());
    Found { error: None, high_watermark, log_start, instead, leader: None, records }
}
