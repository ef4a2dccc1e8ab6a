//! Compaction: what stays, what goes, and when.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::fixture::{Fixture, config, now};
use crate::{
    env::WallTime,
    kafka::{
        config::{CleanupPolicy, TopicConfig},
        log::{CleanerLimits, MinOneMessage, Outcome, Step},
        protocol::batch::{BatchBuilder, BatchOptions, Batches, Compression},
        types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp},
    },
};

/// Key and value; without a value it is a tombstone.
type Entry = (u8, Option<&'static str>);
/// Offset, key, and whether there is a value.
type Read = (i64, u8, Option<Vec<u8>>);

const LIMITS: CleanerLimits = CleanerLimits { memory: 1 << 20, load_factor: 0.9, step_bytes: 100 };

fn compacted() -> TopicConfig {
    TopicConfig { cleanup_policy: CleanupPolicy::Compact, segment_bytes: 400, ..config() }
}

fn keyed(entries: &[Entry], codec: Compression, options: &BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(codec, 0);
    for (key, value) in entries {
        builder.append(Timestamp(500), Some(&[*key]), value.map(str::as_bytes), &[]);
    }
    builder.build(options)
}

fn put(log: &mut Fixture, entries: &[Entry]) {
    log.append(&keyed(entries, Compression::None, &BatchOptions::default())).unwrap();
}

/// Begins a new segment, commits and flushes, so that all there is can be cleaned.
fn ripen(log: &mut Fixture) {
    log.roll(WallTime(500)).unwrap();
    let end = log.end_offset();
    log.set_high_watermark(end);
    log.flush();
}

/// One cleaning, whether it is worth it or not; returns how far the log is clean.
fn clean_with(log: &mut Fixture, from: i64, at: i64, limits: CleanerLimits) -> Offset {
    let cleanable = log.cleanable(Some(Offset(from)), WallTime(at)).unwrap();
    let mut cleaning = log.begin_cleaning(&cleanable, limits, WallTime(at)).unwrap();
    loop {
        match cleaning.step().unwrap() {
            Step::More => {}
            Step::Done(end) => return end,
            Step::Cleaned(mut cleaned) => {
                now(cleaned.store()).unwrap();
                now(log.swap_in(cleaned).unwrap().finish()).unwrap();
            }
        }
    }
}

fn clean(log: &mut Fixture, at: i64) -> Offset {
    clean_with(log, 0, at, LIMITS)
}

/// All records, in the order they are read.
fn all(log: &Fixture) -> Vec<Read> {
    let mut from = log.start_offset();
    let mut read = Vec::new();
    while from < log.end_offset() {
        let info = log.read(from, 300, log.end_offset(), MinOneMessage::Yes).unwrap();
        assert!(info.next_offset > from, "a read makes progress");
        for batch in Batches::new(info.records).map(Result::unwrap) {
            batch.check_crc().unwrap();
            for record in batch.records().unwrap().map(Result::unwrap) {
                let value = record.value.map(|value| value.to_vec());
                read.push((record.offset.0, record.key.unwrap()[0], value));
            }
        }
        from = info.next_offset;
    }
    read
}

fn shown(log: &Fixture) -> Vec<(i64, u8)> {
    all(log).into_iter().map(|(offset, key, _)| (offset, key)).collect()
}

#[test]
fn the_last_record_of_each_key_stays_at_its_offset() {
    let mut log = Fixture::with(compacted());
    put(&mut log, &[(1, Some("a")), (2, Some("b"))]);
    put(&mut log, &[(1, Some("c"))]);
    put(&mut log, &[(3, Some("d")), (2, Some("e"))]);
    ripen(&mut log);
    put(&mut log, &[(3, Some("in the active segment"))]);
    assert_eq!(clean(&mut log, 600), Offset(5));
    // 3 is written again later, but the active segment is no part of it.
    let left = [(2, 1), (3, 3), (4, 2), (5, 3)];
    assert_eq!(shown(&log), left);
    assert_eq!(shown(&log.reopen()), left);
}

#[test]
fn a_log_that_was_cut_meanwhile_is_not_what_was_cleaned() {
    let mut log = Fixture::with(compacted());
    put(&mut log, &[(1, Some("a")), (2, Some("b"))]);
    put(&mut log, &[(1, Some("c"))]);
    ripen(&mut log);
    let cleanable = log.cleanable(Some(Offset(0)), WallTime(600)).unwrap();
    let mut cleaning = log.begin_cleaning(&cleanable, LIMITS, WallTime(600)).unwrap();
    let mut cleaned = loop {
        if let Step::Cleaned(cleaned) = cleaning.step().unwrap() {
            break cleaned;
        }
    };
    now(cleaned.store()).unwrap();
    assert!(log.is_as_cleaned(&cleaning));
    log.truncate_to(Offset(2), WallTime(600)).unwrap();
    assert!(!log.is_as_cleaned(&cleaning));
    now(cleaned.discard()).unwrap();
    let left = [(0, 1), (1, 2)];
    assert_eq!(shown(&log), left);
    assert_eq!(shown(&log.reopen()), left, "nothing is swapped in by a start either");
}

#[test]
fn what_was_to_be_cleaned_of_a_log_that_was_cut_since_is_not_begun() {
    let mut log = Fixture::with(compacted());
    let fill = |log: &mut Fixture| {
        put(log, &[(1, Some("a")), (2, Some("b"))]);
        put(log, &[(1, Some("c"))]);
        ripen(log);
    };
    fill(&mut log);
    let begins = |log: &Fixture, cleanable| log.begin_cleaning(cleanable, LIMITS, WallTime(600));
    let cleanable = log.cleanable(Some(Offset(0)), WallTime(600)).unwrap();
    assert!(begins(&log, &cleanable).is_some());
    log.truncate_to(Offset(0), WallTime(600)).unwrap();
    fill(&mut log);
    assert!(begins(&log, &cleanable).is_none(), "all of it is durable, and it is another log");
}

#[test]
fn every_offset_leads_to_the_next_record_there_is() {
    let mut log = Fixture::with(compacted());
    for round in 0..40 {
        put(&mut log, &[(round % 7, Some("x")), (200, Some("y"))]);
    }
    ripen(&mut log);
    clean(&mut log, 600);
    let left = all(&log);
    for from in 0..80 {
        let next = left.iter().find(|(offset, ..)| *offset >= from).cloned();
        let mut at = Offset(from);
        let found = loop {
            let info = log.read(at, 1, log.end_offset(), MinOneMessage::Yes).unwrap();
            let batches = Batches::new(info.records).flat_map(|b| b.unwrap().records().unwrap());
            let found = batches.map(|record| record.unwrap().offset.0).find(|&o| o >= from);
            if found.is_some() || info.next_offset == at {
                break found;
            }
            at = info.next_offset;
        };
        assert_eq!(found, next.map(|(offset, ..)| offset), "from {from}");
    }
}

#[test]
fn small_segments_are_merged_and_each_ends_where_the_next_begins() {
    let mut log = Fixture::with(compacted());
    for _ in 0..60 {
        put(&mut log, &[(1, Some("some value that takes its room"))]);
    }
    ripen(&mut log);
    let before = log.segment_bases().len();
    clean(&mut log, 600);
    // What is left of a segment is the header of its last batch.
    assert_eq!((before, log.segment_bases().len()), (16, 16));
    clean(&mut log, 600);
    assert_eq!(log.segment_bases().len(), 4);
    clean(&mut log, 600);
    assert_eq!(log.segment_bases().len(), 2);
    assert_eq!(shown(&log), [(59, 1)]);
    let bases: Vec<_> = log.segment_bases().collect();
    assert_eq!(bases, [Offset(0), Offset(60)]);
}

#[test]
fn tombstones_go_delete_retention_after_they_were_first_met() {
    let mut log = Fixture::with(compacted());
    put(&mut log, &[(1, Some("a")), (2, Some("b"))]);
    put(&mut log, &[(1, None)]);
    ripen(&mut log);
    clean(&mut log, 2_000);
    assert_eq!(shown(&log), [(1, 2), (2, 1)]);
    // delete.retention.ms is 1000, and counts from the cleaning at 2000 however often one looks.
    clean(&mut log, 2_500);
    let mut log = log.reopen();
    log.set_high_watermark(Offset(3));
    clean(&mut log, 2_999);
    assert_eq!(shown(&log), [(1, 2), (2, 1)]);
    let times = |log: &Fixture| {
        let read = log.read(Offset(0), 1 << 10, log.end_offset(), MinOneMessage::Yes).unwrap();
        let records =
            Batches::new(read.records).flat_map(|batch| batch.unwrap().records().unwrap());
        records.map(|record| record.unwrap().timestamp.0).collect::<Vec<_>>()
    };
    assert_eq!(times(&log), [500, 500], "the horizon is not the records' time");
    clean(&mut log, 3_000);
    assert_eq!(shown(&log), [(1, 2)]);
}

#[test]
fn a_tombstone_removes_what_it_deletes_at_once() {
    let mut log = Fixture::with(compacted());
    put(&mut log, &[(1, Some("a"))]);
    put(&mut log, &[(1, None), (1, Some("b")), (1, None)]);
    ripen(&mut log);
    clean(&mut log, 2_000);
    assert_eq!(shown(&log), [(3, 1)]);
    clean(&mut log, 3_000);
    assert_eq!(shown(&log), []);
    assert_eq!(log.end_offset(), Offset(4));
    let log = log.reopen();
    assert_eq!(log.end_offset(), Offset(4));
}

#[test]
fn a_batch_that_loses_nothing_keeps_its_bytes_and_another_its_codec() {
    for codec in Compression::ALL {
        let mut log = Fixture::with(TopicConfig { segment_bytes: 4_000, ..compacted() });
        let batch = |entries: &[Entry]| keyed(entries, codec, &BatchOptions::default());
        log.append(&batch(&[(1, Some("a")), (2, Some("b"))])).unwrap();
        log.append(&batch(&[(3, Some("c")), (4, Some("d"))])).unwrap();
        log.append(&batch(&[(1, Some("e"))])).unwrap();
        ripen(&mut log);
        let read = |log: &Fixture| {
            let read = log.read(Offset(0), 1 << 10, log.end_offset(), MinOneMessage::Yes).unwrap();
            Batches::new(read.records).map(Result::unwrap).collect::<Vec<_>>()
        };
        let before = read(&log);
        clean(&mut log, 600);
        let after = read(&log);
        assert_eq!(shown(&log), [(1, 2), (2, 3), (3, 4), (4, 1)]);
        assert_eq!(after[0].header.attributes.compression(), Ok(codec));
        assert_eq!(after[0].header.last_offset(), Offset(1));
        assert_eq!(after[1].bytes, before[1].bytes);
        assert_eq!(after[2].bytes, before[2].bytes);
    }
}

#[test]
fn a_full_map_ends_a_cleaning_early_and_the_next_goes_on() {
    let mut log = Fixture::with(compacted());
    for round in 0..3 {
        for key in 0..20 {
            put(&mut log, &[(key, Some(["x", "y", "z"][round]))]);
        }
    }
    ripen(&mut log);
    let eight_keys = CleanerLimits { memory: 8 * 24, load_factor: 1.0, ..LIMITS };
    let (mut end, mut cleanings) = (Offset(0), 0);
    while end < Offset(60) {
        let next = clean_with(&mut log, end.0, 600, eight_keys);
        assert!(next > end, "a cleaning makes progress");
        (end, cleanings) = (next, cleanings + 1);
    }
    assert!(cleanings > 5, "{cleanings}");
    let left: Vec<_> = (40..60).map(|offset| (offset, (offset - 40) as u8)).collect();
    assert_eq!(shown(&log), left);
}

fn sequenced(sequence: i32, key: u8) -> Bytes {
    let options = BatchOptions {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(sequence),
        ..BatchOptions::default()
    };
    keyed(&[(key, Some("x"))], Compression::None, &options)
}

#[test]
fn producers_are_known_after_a_cleaning_and_a_restart() {
    let mut log = Fixture::with(compacted());
    for sequence in 0..20 {
        log.append(&sequenced(sequence, 1)).unwrap();
    }
    // Somebody else outdates the producer's last record.
    put(&mut log, &[(1, Some("y"))]);
    ripen(&mut log);
    clean(&mut log, 600);
    clean(&mut log, 600);
    assert_eq!(shown(&log), [(20, 1)]);
    // Without snapshots all is read off the log.
    log.flush();
    let files = ["snapshot"];
    let mut log = log.reopen_without(&files);
    let again = log.append(&sequenced(19, 1)).unwrap();
    assert_eq!((again.outcome, again.first_offset), (Outcome::Duplicate, Offset(19)));
    assert!(log.append(&sequenced(21, 1)).is_err());
    assert_eq!(log.append(&sequenced(20, 1)).unwrap().outcome, Outcome::Appended);
}

#[test]
fn what_is_young_or_uncommitted_or_active_is_not_cleaned() {
    let lag = Duration::from_millis(100);
    let mut log = Fixture::with(TopicConfig { min_compaction_lag: lag, ..compacted() });
    put(&mut log, &[(1, Some("a"))]);
    ripen(&mut log);
    put(&mut log, &[(1, Some("b"))]);
    let upto = |log: &Fixture, at| log.cleanable(None, WallTime(at)).unwrap().upto;
    // The records are from 500.
    assert_eq!((upto(&log, 599), upto(&log, 600)), (Offset(0), Offset(1)));
    ripen(&mut log);
    assert_eq!(upto(&log, 600), Offset(2));
    log.set_high_watermark(Offset(1));
    assert_eq!(upto(&log, 600), Offset(1));
}

#[test]
fn a_log_is_due_by_its_share_of_dirty_bytes_or_by_its_age() {
    let most = Some(Duration::from_millis(1_000));
    let ratio = TopicConfig { min_cleanable_ratio: 0.5, max_compaction_lag: most, ..compacted() };
    let mut log = Fixture::with(ratio);
    for _ in 0..10 {
        put(&mut log, &[(1, Some("a"))]);
    }
    ripen(&mut log);
    let at = |log: &Fixture, clean, now| log.cleanable(Some(Offset(clean)), WallTime(now)).unwrap();
    assert!(at(&log, 0, 600).is_due());
    assert!((at(&log, 0, 600).ratio() - 1.0).abs() < f64::EPSILON);
    // A segment has five batches.
    assert!(!at(&log, 5, 600).is_due());
    assert!(!at(&log, 5, 1_500).is_due());
    assert!(at(&log, 5, 1_501).is_due());
    assert!(!at(&log, 10, 9_999).is_due());
    // An end that is not in the log means that nothing is known to be clean.
    assert_eq!((at(&log, 99, 600).first_dirty, at(&log, 99, 600).reset), (Offset(0), true));
}

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<(u8, bool)>),
    Clean { pause: i64 },
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let records = prop::collection::vec((0..6_u8, prop::bool::weighted(0.8)), 1..4);
    prop_oneof![
        8 => records.prop_map(Act::Append),
        2 => (0..700_i64).prop_map(|pause| Act::Clean { pause }),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #[test]
    fn a_compacted_log_reads_as_the_same_map(
        acts in prop::collection::vec(act(), 1..80),
        keys in 2..9_u64,
        segment_bytes in 150..600_u32,
    ) {
        let config = TopicConfig { segment_bytes, index_interval_bytes: 100, ..compacted() };
        let limits = CleanerLimits { memory: keys * 24, load_factor: 1.0, ..LIMITS };
        let mut log = Fixture::with(config);
        let mut written = Vec::<(u8, bool)>::new();
        let (mut time, mut clean_to) = (1_000, 0);
        for act in acts {
            match act {
                Act::Append(records) => {
                    let value = |given: &bool| given.then_some("v");
                    let entries: Vec<_> = records.iter().map(|(k, v)| (*k, value(v))).collect();
                    put(&mut log, &entries);
                    written.extend(records);
                }
                Act::Clean { pause } => {
                    time += pause;
                    ripen(&mut log);
                    clean_to = clean_with(&mut log, clean_to, time, limits).0;
                }
                Act::Reopen => log = log.reopen(),
            }
            let read = all(&log);
            prop_assert!(read.is_sorted_by(|a, b| a.0 < b.0));
            let mut last = BTreeMap::new();
            for (offset, key, value) in &read {
                prop_assert_eq!(written[*offset as usize], (*key, value.is_some()));
                last.insert(*key, (*offset, value.is_some()));
            }
            // A key without any record left was deleted.
            last.retain(|_, (_, given)| *given);
            let mut expected = BTreeMap::new();
            for (offset, (key, given)) in (0_i64..).zip(&written) {
                expected.insert(*key, (offset, *given));
            }
            expected.retain(|_, (_, given)| *given);
            prop_assert_eq!(last, expected);
            prop_assert_eq!(log.end_offset().0, written.len() as i64);
        }
    }
}
