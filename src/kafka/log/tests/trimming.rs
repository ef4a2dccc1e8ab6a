//! Truncation at the end, and deletion at the start.

use std::time::Duration;

use super::fixture::{DIR, Fixture, batch, batch_at, config, options, sequenced};
use crate::{
    env::{Disk, WallTime},
    kafka::{
        config::TopicConfig,
        log::{OpenOptions, Outcome, Shutdown},
        types::{LeaderEpoch, Offset},
    },
};

fn rolling() -> TopicConfig {
    let size = batch(&[b"x"]).len() as u32;
    TopicConfig { segment_bytes: 3 * size, ..config() }
}

fn filled(config: TopicConfig) -> Fixture {
    let mut log = Fixture::with(config);
    for number in 0..10 {
        log.append(&batch_at(1_000 + number, &[b"x"])).unwrap();
    }
    log.set_high_watermark(Offset(10));
    log
}

#[test]
fn a_truncated_log_continues_where_it_ends() {
    for end in 0..10 {
        let mut log = filled(rolling());
        log.truncate_to(Offset(end), WallTime(0)).unwrap();
        assert_eq!((log.end_offset(), log.high_watermark()), (Offset(end), Offset(end)));
        assert_eq!(log.contents().len() as i64, end);
        assert_eq!(log.append(&batch(&[b"y"])).unwrap().first_offset, Offset(end));
        let before = log.contents();
        assert_eq!(log.reopen().contents(), before);
    }
}

#[test]
fn truncation_inside_of_a_batch_takes_the_batch() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"a"])).unwrap();
    log.append(&batch(&[b"b", b"c", b"d"])).unwrap();
    log.truncate_to(Offset(3), WallTime(0)).unwrap();
    assert_eq!(log.end_offset(), Offset(1));
}

#[test]
fn truncation_takes_producers_back() {
    let mut log = Fixture::with(rolling());
    for sequence in 0..10 {
        log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
    }
    log.truncate_to(Offset(7), WallTime(600)).unwrap();
    let kept = log.append(&sequenced(1, 0, 6, b"x")).unwrap();
    assert_eq!(kept.outcome, Outcome::Duplicate);
    let again = log.append(&sequenced(1, 0, 7, b"x")).unwrap();
    assert_eq!((again.outcome, again.first_offset), (Outcome::Appended, Offset(7)));
}

#[test]
fn a_log_can_start_over() {
    let mut log = filled(rolling());
    log.truncate_fully_and_start_at(Offset(100), WallTime(0)).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(100), Offset(100)));
    assert_eq!(log.latest_epoch(), None);
    assert_eq!(log.append(&batch(&[b"y"])).unwrap().first_offset, Offset(100));
}

#[test]
fn old_segments_go_by_age() {
    let retention = Some(Duration::from_millis(100));
    let mut log = filled(TopicConfig { retention, ..rolling() });
    // Segments 0..=2, 3..=5, 6..=8, 9; the newest record of the second is from 1005.
    let gone = log.retain(WallTime(1_106)).unwrap();
    assert_eq!(gone, [Offset(0), Offset(3)]);
    assert_eq!(log.start_offset(), Offset(6));
    assert_eq!(log.earliest(), (Offset(6), Some(LeaderEpoch(0))));
}

#[test]
fn a_log_of_old_records_is_emptied_but_keeps_its_offsets() {
    let retention = Some(Duration::from_millis(100));
    let mut log = filled(TopicConfig { retention, ..rolling() });
    assert_eq!(log.retain(WallTime(9_999)).unwrap().len(), 4);
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(10), Offset(10)));
    let mut log = log.reopen();
    assert_eq!(log.append(&batch(&[b"y"])).unwrap().first_offset, Offset(10));
}

#[test]
fn old_segments_go_by_size() {
    let size = batch(&[b"x"]).len() as u64;
    let mut log = filled(TopicConfig { retention_bytes: Some(5 * size), ..rolling() });
    // Ten batches, of which five are too many: the first segment's three, but not six.
    assert_eq!(log.retain(WallTime(0)).unwrap(), [Offset(0)]);
}

#[test]
fn what_is_not_committed_stays() {
    let mut log = filled(TopicConfig { retention_bytes: Some(0), ..rolling() });
    log.set_high_watermark(Offset(5));
    assert_eq!(log.retain(WallTime(0)).unwrap(), [Offset(0)]);
}

#[test]
fn deleted_records_are_out_of_reach_at_once() {
    let mut log = filled(rolling());
    assert!(log.advance_start_offset(Offset(11)).is_err());
    log.advance_start_offset(Offset(7)).unwrap();
    assert_eq!(log.start_offset(), Offset(7));
    assert_eq!(log.segment_bases().len(), 4);
    assert_eq!(log.retain(WallTime(0)).unwrap(), [Offset(0), Offset(3)]);
    assert_eq!(log.contents().len(), 3);
}

#[test]
fn a_deletion_that_a_power_loss_half_undid_leaves_no_hole() {
    // Segments 0..=2 and 3..=5 were deleted, 6 on was synced; then the files of the first came back.
    let retention = Some(Duration::from_millis(100));
    let mut log = filled(TopicConfig { retention, ..rolling() });
    let disk = log.disk.copy();
    log.retain(WallTime(1_106)).unwrap();
    let config = TopicConfig { retention, ..rolling() };
    for suffix in ["log", "index", "timeindex", "snapshot"] {
        disk.remove(&format!("{DIR}/00000000000000000003.{suffix}")).unwrap();
    }
    let options = OpenOptions { log_start: Offset(6), ..options(0, Shutdown::Unclean) };
    let log = Fixture::open(disk, config, &options);
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(6), Offset(10)));
    assert_eq!(log.recovery.cut, None);
    assert_eq!(log.segment_bases().next(), Some(Offset(6)));
}
