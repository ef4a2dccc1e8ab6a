//! When a flush is due, and what it covers.

use std::time::Duration;

use super::fixture::{DIR, Fixture, batch, config, now, sequenced};
use crate::{
    env::{Disk as _, Instant, WallTime},
    kafka::{
        config::TopicConfig,
        log::{AppendOrigin, LogError, PendingFlush},
        types::{LeaderEpoch, Offset},
    },
};

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

fn finish(log: &mut Fixture, pending: PendingFlush) {
    let result = now(pending.sync());
    log.flush_done(pending, result, at(0)).unwrap();
}

/// Performs what is due at that time, and returns the recovery point then.
fn flush_due(log: &mut Fixture, time: Instant) -> Offset {
    while let Some(pending) = log.due_flush(time) {
        let result = now(pending.sync());
        log.flush_done(pending, result, time).unwrap();
    }
    log.recovery_point()
}

#[test]
fn nothing_but_epochs_is_flushed_by_default() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    assert!(log.needs_flush(at(0)));
    assert_eq!(flush_due(&mut log, at(0)), Offset(0));
    assert_eq!(log.next_flush_deadline(), Instant::FAR_FUTURE);
}

#[test]
fn flush_messages_counts_records() {
    let mut log = Fixture::with(TopicConfig { flush_messages: Some(3), ..config() });
    assert!(!log.append(&batch(&[b"x", b"y"])).unwrap().must_flush);
    assert!(log.append(&batch(&[b"z"])).unwrap().must_flush);
    assert_eq!(flush_due(&mut log, at(0)), Offset(3));
    assert!(!log.append(&batch(&[b"x"])).unwrap().must_flush);
}

#[test]
fn what_waits_for_its_sync_is_not_acknowledged() {
    let mut log = Fixture::with(TopicConfig { flush_messages: Some(3), ..config() });
    log.append(&batch(&[b"x", b"y"])).unwrap();
    assert_eq!(log.acknowledged_end(), Offset(2));
    log.append(&batch(&[b"z"])).unwrap();
    assert_eq!(log.acknowledged_end(), Offset(0));
    flush_due(&mut log, at(0));
    assert_eq!(log.acknowledged_end(), Offset(3));
}

#[test]
fn flush_ms_counts_from_the_last_flush() {
    let interval = Some(Duration::from_millis(50));
    let mut log = Fixture::with(TopicConfig { flush_interval: interval, ..config() });
    assert_eq!(log.next_flush_deadline(), Instant::FAR_FUTURE);
    log.append(&batch(&[b"x"])).unwrap();
    flush_due(&mut log, at(10));
    assert_eq!(log.next_flush_deadline(), at(60));
    assert_eq!(flush_due(&mut log, at(59)), Offset(0));
    assert_eq!(flush_due(&mut log, at(60)), Offset(1));
    assert_eq!(log.next_flush_deadline(), Instant::FAR_FUTURE);
}

#[test]
fn a_rolled_segment_is_flushed_soon() {
    let size = batch(&[b"x"]).len() as u32;
    let mut log = Fixture::with(TopicConfig { segment_bytes: 2 * size, ..config() });
    for _ in 0..3 {
        log.append(&batch(&[b"x"])).unwrap();
    }
    assert_eq!(log.next_flush_deadline(), Instant::default());
    assert_eq!(flush_due(&mut log, at(0)), Offset(2));
}

#[test]
fn a_flush_waits_for_what_an_earlier_one_has_not_done() {
    let mut log = Fixture::with(TopicConfig { flush_messages: Some(1), ..config() });
    assert!(log.append(&sequenced(1, 0, 0, b"x")).unwrap().must_flush);
    let first = log.begin_flush();
    // Nothing is left to begin, but the record is not durable: neither is a repetition of it.
    assert!(log.due_flush(at(0)).is_none());
    assert!(log.append(&sequenced(1, 0, 0, b"x")).unwrap().must_flush);
    let second = log.begin_flush();
    finish(&mut log, second);
    // The first flush stores the epochs, without which the recovery point stays.
    assert_eq!(log.recovery_point(), Offset(0));
    finish(&mut log, first);
    assert_eq!(log.recovery_point(), Offset(1));
    assert!(!log.append(&sequenced(1, 0, 0, b"x")).unwrap().must_flush);
}

#[test]
fn an_append_behind_one_that_is_being_synced_is_synced_too() {
    let mut log = Fixture::with(TopicConfig { flush_messages: Some(3), ..config() });
    assert!(log.append(&batch(&[b"x", b"y", b"z"])).unwrap().must_flush);
    let first = log.begin_flush();
    assert!(log.append(&batch(&[b"x", b"y", b"z"])).unwrap().must_flush);
    let second = log.begin_flush();
    finish(&mut log, first);
    // Alone it would be seen at once, and the three before it with it, of which the disk knows nothing.
    assert!(log.append(&batch(&[b"x"])).unwrap().must_flush);
    finish(&mut log, second);
    assert!(!log.append(&batch(&[b"x"])).unwrap().must_flush);
}

#[test]
fn the_recovery_point_stays_where_an_epoch_begins_that_no_file_tells_of() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    let first = log.begin_flush();
    let wall = WallTime(1_000);
    log.append_as_leader(&batch(&[b"y"]), AppendOrigin::Client, LeaderEpoch(4), wall).unwrap();
    let second = log.begin_flush();
    finish(&mut log, second);
    assert_eq!(log.recovery_point(), Offset(0), "the first flush writes the first epoch");
    finish(&mut log, first);
    assert_eq!(log.recovery_point(), Offset(1), "the second epoch is in no file yet");
    assert!(!log.is_durable());
    assert_eq!(log.next_flush_deadline(), Instant::default(), "so it is due");
    let third = log.due_flush(at(0)).unwrap();
    assert!(third.upto() < Offset(2), "what it holds was synced by the second");
    finish(&mut log, third);
    assert_eq!(log.recovery_point(), Offset(2));
    assert!(log.is_durable());
}

#[test]
fn what_was_synced_is_not_flushed_again_while_another_flush_writes_the_epochs() {
    let mut log = Fixture::with(TopicConfig { flush_messages: Some(1), ..config() });
    log.append(&batch(&[b"x"])).unwrap();
    let first = log.begin_flush();
    log.append(&batch(&[b"y"])).unwrap();
    let second = log.begin_flush();
    finish(&mut log, second);
    assert_eq!((log.recovery_point(), log.acknowledged_end()), (Offset(0), Offset(0)));
    assert!(!log.needs_flush(at(0)));
    finish(&mut log, first);
    assert_eq!((log.recovery_point(), log.acknowledged_end()), (Offset(2), Offset(2)));
}

#[test]
fn a_start_that_moves_during_a_flush_holds_nothing_back() {
    let mut log = Fixture::with(TopicConfig { flush_messages: Some(2), ..config() });
    log.append(&batch(&[b"x"])).unwrap();
    flush_due(&mut log, at(0));
    log.append(&batch(&[b"y"])).unwrap();
    let pending = log.begin_flush();
    log.set_high_watermark(Offset(2));
    log.advance_start_offset(Offset(1)).unwrap();
    finish(&mut log, pending);
    assert_eq!((log.recovery_point(), log.acknowledged_end()), (Offset(2), Offset(2)));
    assert!(!log.is_durable(), "the file of epochs has the start of before");
}

#[test]
fn a_flush_that_was_dropped_leaves_its_epochs_to_the_next() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    drop(log.begin_flush());
    let next = log.begin_flush();
    finish(&mut log, next);
    assert!(log.is_durable());
    let path = format!("{DIR}/leader-epoch-checkpoint");
    assert_eq!(log.disk.bytes(&path), b"0\n1\n0 0\n");
}

#[test]
fn a_failed_sync_poisons_the_log() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    let pending = log.begin_flush();
    let failed = LogError::Io {
        action: "sync",
        path: "orders-0/00000000000000000000.log".into(),
        source: std::io::Error::other("no"),
    };
    assert!(log.flush_done(pending, Err(failed), at(0)).is_err());
    assert!(log.append(&batch(&[b"x"])).is_err());
    assert_eq!(log.recovery_point(), Offset(0));
}

#[test]
fn an_abandoned_log_changes_no_file() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    let pending = log.begin_flush();
    log.abandon();
    let before = log.disk.list(DIR).unwrap();
    // Another log may have the directory's name now: the file of epochs would be its own.
    assert!(now(pending.sync()).is_err());
    assert!(log.append(&batch(&[b"y"])).is_err());
    assert!(log.expire(WallTime(i64::MAX)).is_err());
    assert!(log.close_clean().is_err());
    assert_eq!(log.disk.list(DIR).unwrap(), before);
}

#[test]
fn a_flush_does_not_vouch_for_what_replaced_its_records() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x", b"y"])).unwrap();
    let pending = log.begin_flush();
    log.truncate_to(Offset(0), crate::env::WallTime(0)).unwrap();
    log.append(&batch(&[b"z", b"z"])).unwrap();
    let result = now(pending.sync());
    log.flush_done(pending, result, at(0)).unwrap();
    assert_eq!(log.recovery_point(), Offset(0));
}
