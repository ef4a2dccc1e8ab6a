//! What sessions remember, tell and refuse, and who gives way to whom.

use std::{collections::HashSet, sync::Weak, time::Duration};

use kafka_protocol::messages::FetchResponse;
use proptest::prelude::*;

use super::{
    Answered, Ask, Asks, Demand, Found, PartitionKey, Read, Reads, Settled, TopicKey, Turn,
    cache::{Limits, SessionCache},
};
use crate::{
    env::{Disk, Instant, OpenMode},
    kafka::{
        log::{Slice, tests::memory_disk::MemoryDisk},
        protocol::ResponseError,
        types::{Offset, TopicName},
    },
};

const EVICTION: Duration = Duration::from_secs(120);
/// The state of the metadata under which all requests come.
const METADATA: u64 = 1;

fn cache(slots: usize) -> SessionCache {
    SessionCache::new(Limits { slots, eviction: EVICTION, bytes: 1 << 20 })
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Name(TopicName::from("t")), partition }
}

fn asks(partitions: &[(i32, i64)]) -> Asks {
    let ask = |offset| Ask {
        fetch_offset: offset,
        max_bytes: 100,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
    };
    partitions.iter().map(|(partition, offset)| (key(*partition), ask(*offset))).collect()
}

fn asked(reads: &Reads) -> Asks {
    reads.iter().map(|read| (read.key.clone(), read.ask)).collect()
}

fn demand(session_id: i32, epoch: i32, partitions: &[(i32, i64)], forgotten: &[i32]) -> Demand {
    Demand {
        session_id,
        epoch,
        privileged: false,
        topic_ids: false,
        asks: asks(partitions),
        forgotten: forgotten.iter().map(|partition| key(*partition)).collect(),
    }
}

/// What a partition answers.
#[derive(Clone, Copy)]
struct State {
    watermark: i64,
    start: i64,
    records: bool,
    error: Option<ResponseError>,
}

const QUIET: State = State { watermark: 5, start: 0, records: false, error: None };

fn answers(turn: &Turn, state: impl Fn(i32) -> State) -> Vec<Answered> {
    let found = |key: &PartitionKey| {
        let State { watermark, start, records, error } = state(key.partition);
        // A session looks at none of the records.
        let empty = || MemoryDisk::default().open("records", OpenMode::Create).unwrap();
        Found {
            error,
            high_watermark: Offset(watermark),
            log_start: Offset(start),
            instead: None,
            leader: None,
            records: records.then(|| Slice::new(empty(), 0, 7)),
        }
    };
    let answered = |(place, read): (usize, &Read)| Answered { place, found: found(&read.key) };
    turn.reads.iter().enumerate().map(answered).collect()
}

fn partitions(reads: &Reads) -> Vec<i32> {
    reads.iter().map(|read| read.key.partition).collect()
}

fn finish(
    cache: &mut SessionCache,
    now: Instant,
    turn: &Turn,
    state: impl Fn(i32) -> State,
) -> (FetchResponse, Vec<i32>) {
    let mut answers = answers(turn, state);
    // Ids that differ from one moment to the next.
    let mut next = (now.as_nanos() / 1_000_000_000) as i32;
    let head = cache.finish(now, turn, &mut answers, Vec::new(), || {
        next += 1;
        next
    });
    (head, answers.iter().map(|answer| turn.reads[answer.place].key.partition).collect())
}

/// A whole request: who was read, and who was answered.
fn fetch(
    cache: &mut SessionCache,
    now: Instant,
    demand: Demand,
    state: impl Fn(i32) -> State,
) -> (i32, Vec<i32>, Vec<i32>) {
    let turn = cache.begin(now, demand, METADATA).unwrap();
    let read = partitions(&turn.reads);
    let (head, answered) = finish(cache, now, &turn, state);
    assert_eq!(head.error_code, 0);
    (head.session_id, read, answered)
}

/// A session of that many partitions; 0 if there was no room.
fn create(cache: &mut SessionCache, now: Instant, privileged: bool, size: i32) -> i32 {
    let wanted: Vec<_> = (0..size).map(|partition| (partition, 0)).collect();
    let demand = Demand { privileged, ..demand(0, 0, &wanted, &[]) };
    fetch(cache, now, demand, |_| QUIET).0
}

fn refusal(cache: &mut SessionCache, demand: Demand) -> Option<ResponseError> {
    cache.begin(at(0), demand, METADATA).err()
}

#[test]
fn a_session_answers_only_what_is_new() {
    let mut cache = cache(1);
    let now = at(0);
    let (id, _, answered) = fetch(&mut cache, now, demand(0, 0, &[(0, 5), (1, 5)], &[]), |_| QUIET);
    assert_eq!(answered, [0, 1]);
    let mut epoch = 0;
    let mut next = |state: &dyn Fn(i32) -> State| {
        epoch += 1;
        let (same, read, answered) = fetch(&mut cache, now, demand(id, epoch, &[], &[]), state);
        assert_eq!((same, read.len()), (id, 2));
        answered
    };
    assert!(next(&|_| QUIET).is_empty());
    let moved = |partition: i32| State { watermark: 5 + i64::from(partition), ..QUIET };
    assert_eq!(next(&moved), [1]);
    assert!(next(&moved).is_empty());
    let trimmed = |partition: i32| State { start: i64::from(partition), ..moved(partition) };
    assert_eq!(next(&trimmed), [1]);
    let error = |partition| (partition == 1).then_some(ResponseError::CorruptMessage);
    let failing = |partition: i32| State { error: error(partition), ..trimmed(partition) };
    assert_eq!(next(&failing), [1]);
    assert_eq!(next(&failing), [1]);
    // That the error is over is news as well.
    assert_eq!(next(&trimmed), [1]);
    assert!(next(&trimmed).is_empty());
}

#[test]
fn partitions_that_gave_records_are_read_last_the_next_time() {
    let mut cache = cache(1);
    let all = [(0, 0), (1, 0), (2, 0), (3, 0)];
    let (id, ..) = fetch(&mut cache, at(0), demand(0, 0, &all, &[]), |_| QUIET);
    let full = |partition| State { records: partition < 2, ..QUIET };
    assert_eq!(fetch(&mut cache, at(0), demand(id, 1, &[], &[]), full).2, [0, 1]);
    assert_eq!(fetch(&mut cache, at(0), demand(id, 2, &[], &[]), |_| QUIET).1, [2, 3, 0, 1]);
}

#[test]
fn partitions_are_added_changed_and_forgotten() {
    let mut cache = cache(1);
    let (id, ..) = fetch(&mut cache, at(0), demand(0, 0, &[(0, 1), (1, 1)], &[]), |_| QUIET);
    let turn = cache.begin(at(0), demand(id, 1, &[(2, 7), (1, 9)], &[0]), METADATA).unwrap();
    assert_eq!(asked(&turn.reads), asks(&[(1, 9), (2, 7)]));
    // The new one is news although nothing happened to it.
    assert_eq!(finish(&mut cache, at(0), &turn, |_| QUIET).1, [2]);
    // A session without partitions ends; what the request names is read all the same.
    let turn = cache.begin(at(0), demand(id, 2, &[(3, 0)], &[1, 2, 3]), METADATA).unwrap();
    assert_eq!(asked(&turn.reads), asks(&[(3, 0)]));
    assert_eq!(finish(&mut cache, at(0), &turn, |_| QUIET).0.session_id, 0);
    assert_eq!(cache.counted(), (0, 0));
}

#[test]
fn requests_out_of_step_are_refused_and_change_nothing() {
    let mut cache = cache(2);
    let (id, ..) = fetch(&mut cache, at(0), demand(0, 0, &[(0, 1)], &[]), |_| QUIET);
    let unknown = Some(ResponseError::FetchSessionIdNotFound);
    assert_eq!(refusal(&mut cache, demand(id + 1, 1, &[], &[])), unknown);
    assert_eq!(refusal(&mut cache, demand(0, 1, &[], &[])), unknown);
    let out_of_step = Some(ResponseError::InvalidFetchSessionEpoch);
    for epoch in [2, -2, i32::MIN, i32::MAX] {
        assert_eq!(refusal(&mut cache, demand(id, epoch, &[(9, 9)], &[0])), out_of_step);
    }
    let by_id = Demand { topic_ids: true, ..demand(id, 1, &[], &[]) };
    assert_eq!(refusal(&mut cache, by_id), Some(ResponseError::FetchSessionTopicIdError));
    assert_eq!(fetch(&mut cache, at(0), demand(id, 1, &[], &[]), |_| QUIET).1, [0]);
}

#[test]
fn a_request_overtaken_by_another_of_its_session_answers_nothing() {
    let mut cache = cache(1);
    let (id, ..) = fetch(&mut cache, at(0), demand(0, 0, &[(0, 1)], &[]), |_| QUIET);
    let waiting = cache.begin(at(0), demand(id, 1, &[], &[]), METADATA).unwrap();
    fetch(&mut cache, at(0), demand(id, 2, &[], &[]), |_| QUIET);
    let (head, answered) =
        finish(&mut cache, at(0), &waiting, |_| State { records: true, ..QUIET });
    let code = ResponseError::InvalidFetchSessionEpoch.code();
    assert_eq!((head.error_code, head.session_id, answered), (code, id, vec![]));
}

#[test]
fn a_full_request_ends_the_session_it_names() {
    let mut cache = cache(1);
    let (first, ..) = fetch(&mut cache, at(0), demand(0, 0, &[(0, 1)], &[]), |_| QUIET);
    // There is one slot, so the second session has the first one's.
    let (second, ..) = fetch(&mut cache, at(0), demand(first, 0, &[(0, 1)], &[]), |_| QUIET);
    assert_ne!(second, 0);
    assert_eq!(cache.counted().0, 1);
    let (none, ..) = fetch(&mut cache, at(0), demand(second, -1, &[(0, 1)], &[]), |_| QUIET);
    assert_eq!((none, cache.counted()), (0, (0, 0)));
}

#[test]
fn a_full_cache_gives_no_session_before_one_is_stale() {
    let mut cache = cache(1);
    let old = create(&mut cache, at(0), false, 1);
    assert_eq!(create(&mut cache, at(120), false, 9), 0);
    assert_ne!(create(&mut cache, at(121), false, 1), 0);
    assert_eq!(cache.counted().0, 1);
    let stale = Some(ResponseError::FetchSessionIdNotFound);
    assert_eq!(refusal(&mut cache, demand(old, 2, &[], &[])), stale);
    assert_eq!(create(&mut self::cache(0), at(0), true, 1), 0);
}

#[test]
fn a_followers_session_takes_a_clients_place_and_not_the_other_way_round() {
    let mut cache = cache(1);
    create(&mut cache, at(0), false, 9);
    assert_ne!(create(&mut cache, at(0), true, 1), 0);
    assert_eq!(create(&mut cache, at(0), false, 9), 0);
    assert_eq!(create(&mut cache, at(0), true, 9), 0);
}

#[test]
fn a_settled_session_in_use_gives_way_only_to_a_larger_one() {
    let mut cache = cache(1);
    let id = create(&mut cache, at(0), false, 3);
    for (epoch, seconds) in [(1, 100), (2, 200)] {
        fetch(&mut cache, at(seconds), demand(id, epoch, &[], &[]), |_| QUIET);
    }
    assert_eq!(create(&mut cache, at(201), false, 3), 0);
    assert_ne!(create(&mut cache, at(201), false, 4), 0);
}

#[test]
fn sessions_are_bounded_in_bytes() {
    let limits = Limits { slots: 1000, eviction: EVICTION, bytes: 10_000 };
    let mut cache = SessionCache::new(limits);
    let made = (0..1000).filter(|_| create(&mut cache, at(0), false, 10) != 0).count();
    assert!((1..100).contains(&made), "{made}");
    assert!(cache.counted().1 <= 10_000);
    // One that outgrows the cache ends.
    let mut cache = SessionCache::new(limits);
    let id = create(&mut cache, at(0), false, 1);
    let many: Vec<_> = (0..1000).map(|partition| (partition, 0)).collect();
    let ended = Some(ResponseError::FetchSessionIdNotFound);
    assert_eq!(refusal(&mut cache, demand(id, 1, &many, &[])), ended);
    assert_eq!(cache.counted(), (0, 0));
    assert_eq!(create(&mut cache, at(0), false, 1000), 0);
}

#[test]
fn epochs_go_round_past_those_that_mean_something_else() {
    assert_eq!(super::session::next_epoch(i32::MAX), 1);
    assert_eq!(super::session::next_epoch(0), 1);
}

proptest! {
    /// A client that keeps what it was told knows after every request what a full request would tell it.
    #[test]
    fn what_a_session_leaves_out_the_client_knows_already(
        rounds in prop::collection::vec(
            (prop::collection::vec((0..6, 0..3_i64), 0..4), prop::collection::hash_set(0..6, 0..2),
             prop::collection::vec((0..3_i64, 0..2_i64, prop::bool::weighted(0.2)), 6)),
            1..20,
        ),
    ) {
        let mut cache = cache(1);
        let (mut id, mut epoch) = (0, 0);
        let mut told = std::collections::BTreeMap::new();
        let mut wanted = HashSet::new();
        for (added, forgotten, states) in rounds {
            let state = |partition: i32| {
                let (watermark, start, fails) = states[partition as usize];
                if fails {
                    let error = Some(ResponseError::CorruptMessage);
                    State { watermark: -1, start: -1, records: false, error }
                } else {
                    State { watermark, start, ..QUIET }
                }
            };
            let forgotten: Vec<_> = forgotten.into_iter().filter(|_| epoch > 0).collect();
            wanted.extend(added.iter().map(|(partition, _)| *partition));
            wanted.retain(|partition| !forgotten.contains(partition));
            told.retain(|partition, _| wanted.contains(partition));
            let turn = cache.begin(at(0), demand(id, epoch, &added, &forgotten), METADATA).unwrap();
            let mut answers = answers(&turn, state);
            let head = cache.finish(at(0), &turn, &mut answers, Vec::new(), || 7);
            for Answered { place, found } in answers {
                let state = (found.high_watermark.0, found.log_start.0, found.error);
                told.insert(turn.reads[place].key.partition, state);
            }
            if head.session_id == 0 {
                (id, epoch) = (0, 0);
                told.clear();
                wanted.clear();
                continue;
            }
            (id, epoch) = (head.session_id, epoch + 1);
            let all: std::collections::BTreeMap<_, _> = wanted
                .iter()
                .map(|partition| {
                    let State { watermark, start, error, .. } = state(*partition);
                    (*partition, (watermark, start, error))
                })
                .collect();
            prop_assert_eq!(&told, &all);
        }
    }
}

/// A partition that is gone, and had told all.
fn settled() -> Settled {
    let partition = Weak::new();
    Settled { partition, changes: 3, high_watermark: Offset(5), log_start: Offset(0) }
}

#[test]
fn what_is_settled_stays_so_until_it_is_asked_otherwise_or_the_metadata_changes() {
    let mut cache = cache(1);
    let id = create(&mut cache, at(0), true, 3);
    let mut epoch = 0;
    let mut still = |metadata: u64, asked: &[(i32, i64)]| {
        epoch += 1;
        let demand = Demand { privileged: true, ..demand(id, epoch, asked, &[]) };
        let turn = cache.begin(at(0), demand, metadata).unwrap();
        let was = turn.reads.iter().filter(|read| read.settled.is_some());
        let was: Vec<_> = was.map(|read| read.key.partition).collect();
        let quiet = vec![(0, settled()), (1, settled())];
        cache.finish(at(0), &turn, &mut Vec::new(), quiet, || 7);
        was
    };
    assert!(still(METADATA, &[]).is_empty());
    assert_eq!(still(METADATA, &[]), [0, 1]);
    assert_eq!(still(METADATA, &[(1, 9)]), [0]);
    assert!(still(METADATA + 1, &[]).is_empty());
    assert_eq!(still(METADATA + 1, &[]), [0, 1]);
}
