//! What a leader accepts, and where it puts it.

use std::time::Duration;

use bytes::BytesMut;

use super::fixture::{Fixture, batch, batch_at, build, config, records, sequenced};
use crate::{
    env::WallTime,
    kafka::{
        config::{CleanupPolicy, TopicConfig},
        log::{AppendError, AppendInfo, AppendOrigin, LogError, MinOneMessage, Outcome},
        protocol::batch::{BatchOptions, assign},
        types::{LeaderEpoch, Offset, ProducerId, Sequence, Timestamp},
    },
};

fn offsets(info: &AppendInfo) -> (i64, i64) {
    (info.first_offset.0, info.last_offset.0)
}

#[test]
fn offsets_follow_each_other() {
    let mut log = Fixture::new();
    assert_eq!(offsets(&log.append(&batch(&[b"a", b"b"])).unwrap()), (0, 1));
    assert_eq!(offsets(&log.append(&batch(&[b"c"])).unwrap()), (2, 2));
    assert_eq!(log.end_offset(), Offset(3));
    let expected = [(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"c".to_vec())];
    assert_eq!(log.contents(), expected);
}

#[test]
fn a_batch_is_stored_byte_for_byte() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"a"])).unwrap();
    let sent = batch(&[b"b", b"c"]);
    log.append(&sent).unwrap();
    let mut expected = BytesMut::from(&sent[..]);
    assign(&mut expected, Offset(1), LeaderEpoch(0));
    let read = log.read(Offset(1), 1 << 20, Offset(3), MinOneMessage::Yes).unwrap();
    assert_eq!(read.records, expected.freeze());
}

#[test]
fn unsound_batches_are_refused() {
    let mut log = Fixture::new();
    let sound = batch(&[b"a"]);
    let changed = |at: usize, value: u8| {
        let mut bytes = BytesMut::from(&sound[..]);
        bytes[at] = value;
        bytes
    };
    let refused = |log: &mut Fixture, bytes: &[u8]| log.append(bytes).unwrap_err();
    assert!(matches!(refused(&mut log, &changed(64, 99)), AppendError::Corrupt(_)));
    assert!(matches!(refused(&mut log, &changed(16, 1)), AppendError::InvalidRecord(_)));
    assert!(matches!(refused(&mut log, &changed(7, 1)), AppendError::InvalidRecord(_)));
    assert!(matches!(refused(&mut log, b""), AppendError::InvalidRecord(_)));
    assert!(matches!(refused(&mut log, &sound[..40]), AppendError::InvalidRecord(_)));
    let two = [&sound[..], &sound[..]].concat();
    assert!(matches!(refused(&mut log, &two), AppendError::InvalidRecord(_)));
    let control = build(5, &[b"a"], &BatchOptions { control: true, ..BatchOptions::default() });
    assert!(matches!(refused(&mut log, &control), AppendError::InvalidRecord(_)));
    let id = ProducerId(3);
    let negative = build(5, &[b"a"], &BatchOptions { producer_id: id, ..BatchOptions::default() });
    assert!(matches!(refused(&mut log, &negative), AppendError::InvalidRecord(_)));
    assert_eq!(log.end_offset(), Offset(0));
}

#[test]
fn batches_over_the_limits_are_refused() {
    let mut log = Fixture::with(TopicConfig { max_message_bytes: 100, ..config() });
    let large = batch(&[&[0; 100]]);
    assert!(matches!(log.append(&large), Err(AppendError::MessageTooLarge { max: 100, .. })));
    let mut log = Fixture::with(TopicConfig { segment_bytes: 100, ..config() });
    assert!(matches!(log.append(&large), Err(AppendError::LargerThanSegment { max: 100, .. })));
}

#[test]
fn a_compacted_topic_wants_keys() {
    let compacted = TopicConfig { cleanup_policy: CleanupPolicy::Compact, ..config() };
    let mut log = Fixture::with(compacted);
    assert!(matches!(log.append(&batch(&[b"a"])), Err(AppendError::InvalidRecord(_))));
}

#[test]
fn log_append_time_is_the_leaders() {
    let mut log = Fixture::with(TopicConfig { log_append_time: true, ..config() });
    let info = log.append_at(&batch(&[b"a"]), 7_000).unwrap();
    assert_eq!(info.log_append_time, Timestamp(7_000));
    // The checksum was made anew.
    assert_eq!(log.contents().len(), 1);
    let found = log.offset_for_timestamp(Timestamp(6_999)).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (Offset(0), Timestamp(7_000)));
}

#[test]
fn timestamps_far_ahead_of_the_broker_are_refused() {
    let mut log = Fixture::new();
    let refused = log.append_at(&batch_at(3_601_001, &[b"a"]), 1_000).unwrap_err();
    assert!(matches!(refused, AppendError::InvalidTimestamp(_)));
    log.append_at(&batch_at(3_601_000, &[b"a"]), 1_000).unwrap();
    let mut log = Fixture::with(TopicConfig {
        timestamp_before_max_ms: 10,
        log_append_time: false,
        ..config()
    });
    assert!(log.append_at(&batch_at(989, &[b"a"]), 1_000).is_err());
    log.append_at(&batch_at(990, &[b"a"]), 1_000).unwrap();
}

#[test]
fn a_topic_may_want_another_compression() {
    let mut log = Fixture::with(TopicConfig { compression: "lz4".into(), ..config() });
    let value = [7; 500];
    let info = log.append(&batch(&[&value, &value])).unwrap();
    assert!(info.bytes < 200);
    assert_eq!(log.contents(), [(0, value.to_vec()), (1, value.to_vec())]);
    let repeated = sequenced(1, 0, 0, &value);
    log.append(&repeated).unwrap();
    assert_eq!(log.append(&repeated).unwrap().outcome, Outcome::Duplicate);
}

#[test]
fn a_repeated_batch_is_answered_with_its_old_offsets() {
    let mut log = Fixture::new();
    for sequence in 0..7 {
        log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
    }
    for sequence in 2..7 {
        let info = log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
        assert_eq!(info.outcome, Outcome::Duplicate);
        assert_eq!(offsets(&info), (i64::from(sequence), i64::from(sequence)));
        assert_eq!(info.log_append_time, Timestamp(500));
    }
    // The window holds five batches: an older one is out of order.
    let old = log.append(&sequenced(1, 0, 1, b"x")).unwrap_err();
    assert!(matches!(old, AppendError::OutOfOrderSequence { last: Sequence(6), .. }));
    assert_eq!(log.end_offset(), Offset(7));
}

#[test]
fn sequences_must_follow_each_other() {
    let mut log = Fixture::new();
    // Nothing is known of the producer, so any sequence is accepted.
    log.append(&sequenced(1, 0, 5, b"x")).unwrap();
    let gap = log.append(&sequenced(1, 0, 7, b"x")).unwrap_err();
    assert!(matches!(gap, AppendError::OutOfOrderSequence { got: Sequence(7), .. }));
    log.append(&sequenced(1, 0, 6, b"x")).unwrap();
    let newer = log.append(&sequenced(1, 1, 7, b"x")).unwrap_err();
    assert!(matches!(newer, AppendError::OutOfOrderSequence { .. }));
    log.append(&sequenced(1, 1, 0, b"x")).unwrap();
    let fenced = log.append(&sequenced(1, 0, 7, b"x")).unwrap_err();
    assert!(matches!(fenced, AppendError::InvalidProducerEpoch { .. }));
}

#[test]
fn sequences_wrap() {
    let mut log = Fixture::new();
    log.append(&sequenced(1, 0, i32::MAX, b"x")).unwrap();
    log.append(&sequenced(1, 0, 0, b"x")).unwrap();
    let again = log.append(&sequenced(1, 0, i32::MAX, b"x")).unwrap();
    assert_eq!((again.outcome, again.first_offset), (Outcome::Duplicate, Offset(0)));
}

#[test]
fn transactions_need_a_coordinator() {
    let mut log = Fixture::new();
    let options = BatchOptions {
        producer_id: ProducerId(1),
        base_sequence: Sequence(0),
        transactional: true,
        ..BatchOptions::default()
    };
    let refused = log.append(&build(5, &[b"x"], &options)).unwrap_err();
    assert!(matches!(refused, AppendError::InvalidTxnState(ProducerId(1))));
}

#[test]
fn the_coordinator_writes_without_sequences() {
    let mut log = Fixture::new();
    let info = log
        .append_as_leader(&batch(&[b"x"]), AppendOrigin::Coordinator, LeaderEpoch(0), WallTime(0))
        .unwrap();
    assert_eq!(offsets(&info), (0, 0));
}

#[test]
fn segments_roll_by_size() {
    let size = batch(&[b"x"]).len() as u32;
    let mut log = Fixture::with(TopicConfig { segment_bytes: 2 * size, ..config() });
    for _ in 0..5 {
        log.append(&batch(&[b"x"])).unwrap();
    }
    let bases: Vec<_> = log.segment_bases().map(|base| base.0).collect();
    assert_eq!(bases, [0, 2, 4]);
    assert_eq!(log.contents().len(), 5);
    let snapshot = log.disk.bytes("orders-0/00000000000000000002.snapshot");
    assert_eq!(snapshot[..2], [0, 1]);
}

#[test]
fn segments_roll_by_the_time_of_records() {
    let age = Duration::from_millis(100);
    let mut log = Fixture::with(TopicConfig { segment_age: age, ..config() });
    for timestamp in [1_000, 1_100, 1_101] {
        log.append(&batch_at(timestamp, &[b"x"])).unwrap();
    }
    let bases: Vec<_> = log.segment_bases().map(|base| base.0).collect();
    assert_eq!(bases, [0, 2]);
}

#[test]
fn segments_roll_when_an_index_is_full() {
    let full = TopicConfig { index_interval_bytes: 0, segment_index_bytes: 36, ..config() };
    let mut log = Fixture::with(full);
    // The time index holds three entries and keeps one slot for the segment's end.
    for timestamp in 0..6 {
        log.append(&batch_at(timestamp, &[b"x"])).unwrap();
    }
    assert!(log.segment_bases().len() > 1);
    assert_eq!(log.contents().len(), 6);
}

#[test]
fn a_failed_write_poisons_the_log() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    *log.disk.fail_writes.lock().unwrap() = true;
    let failed = log.append(&batch(&[b"y"])).unwrap_err();
    assert!(matches!(failed, AppendError::Log(LogError::Io { .. })));
    *log.disk.fail_writes.lock().unwrap() = false;
    let refused = log.append(&batch(&[b"y"])).unwrap_err();
    assert!(matches!(refused, AppendError::Log(LogError::Poisoned { .. })));
    assert!(log.read(Offset(0), 1, Offset(1), MinOneMessage::Yes).is_err());
}

#[test]
fn a_follower_keeps_offsets_and_epochs() {
    let mut leader = Fixture::new();
    leader.append(&sequenced(1, 0, 0, b"a")).unwrap();
    leader.append(&sequenced(1, 0, 1, b"b")).unwrap();
    let end = leader.end_offset();
    let fetched = leader.read(Offset(0), 1 << 20, end, MinOneMessage::Yes).unwrap();
    let mut follower = Fixture::new();
    let range = follower.append_as_follower(&fetched.records, WallTime(0)).unwrap();
    assert_eq!(range, Some((Offset(0), Offset(1))));
    assert_eq!(follower.contents(), leader.contents());
    assert_eq!(follower.latest_epoch(), leader.latest_epoch());
    let again = follower.append_as_follower(&fetched.records, WallTime(0)).unwrap_err();
    assert!(matches!(again, AppendError::UnexpectedOffset { end: Offset(2), .. }));
    // It knows the producer as the leader does.
    let repeated = follower.append(&sequenced(1, 0, 1, b"b")).unwrap();
    assert_eq!(repeated.outcome, Outcome::Duplicate);
    assert_eq!(records(&fetched.records).len(), 2);
}
