//! Reading by offset and by timestamp.

use super::fixture::{Fixture, batch, batch_at, config};
use crate::kafka::{
    config::TopicConfig,
    log::{MinOneMessage, ReadError},
    types::{LeaderEpoch, Offset, Timestamp},
};

fn filled() -> Fixture {
    let size = batch(&[b"x", b"y"]).len() as u32;
    let sparse =
        TopicConfig { segment_bytes: 10 * size, index_interval_bytes: 3 * size, ..config() };
    let mut log = Fixture::with(sparse);
    for number in 0..25 {
        log.append(&batch_at(1_000 + number, &[b"x", b"y"])).unwrap();
    }
    log
}

#[test]
fn a_read_begins_with_the_batch_that_holds_the_offset() {
    for log in [filled(), filled().reopen_clean(), filled().reopen()] {
        for from in 0..50 {
            let read = log.read(Offset(from), 1, Offset(50), MinOneMessage::Yes).unwrap();
            assert_eq!(read.next_offset.0, from / 2 * 2 + 2);
        }
    }
}

#[test]
fn a_read_stays_within_its_limits() {
    let log = filled();
    let size = batch(&[b"x", b"y"]).len();
    let read =
        |from, max, upto, min_one| log.read(Offset(from), max, Offset(upto), min_one).unwrap();
    assert_eq!(read(0, 3 * size + 1, 50, MinOneMessage::No).records.len(), 3 * size);
    assert_eq!(read(0, size - 1, 50, MinOneMessage::No).records.len(), 0);
    assert_eq!(read(0, size - 1, 50, MinOneMessage::Yes).records.len(), size);
    // The batch of offsets 4 and 5 is not all below 5.
    assert_eq!(read(0, 99 * size, 5, MinOneMessage::Yes).next_offset, Offset(4));
    assert_eq!(read(4, 99 * size, 5, MinOneMessage::Yes).next_offset, Offset(4));
    // It ends with the segment.
    assert_eq!(read(0, 99 * size, 50, MinOneMessage::Yes).next_offset, Offset(20));
    assert_eq!(read(50, 99 * size, 50, MinOneMessage::Yes).records.len(), 0);
}

#[test]
fn offsets_outside_of_the_log_are_out_of_range() {
    let mut log = filled();
    log.set_high_watermark(Offset(50));
    log.advance_start_offset(Offset(3)).unwrap();
    for (asked, sound) in [(2, false), (3, true), (50, true), (51, false)] {
        let read = log.read(Offset(asked), 9, Offset(50), MinOneMessage::Yes);
        let refused = matches!(read, Err(ReadError::OutOfRange { start: Offset(3), .. }));
        assert_eq!(refused, !sound, "{asked}");
    }
}

#[test]
fn timestamps_lead_to_offsets() {
    for log in [filled(), filled().reopen_clean(), filled().reopen()] {
        let ask = |timestamp| {
            let found = log.offset_for_timestamp(Timestamp(timestamp)).unwrap();
            found.map(|found| (found.offset.0, found.timestamp.0))
        };
        assert_eq!(ask(0), Some((0, 1_000)));
        assert_eq!(ask(1_007), Some((14, 1_007)));
        assert_eq!(ask(1_024), Some((48, 1_024)));
        assert_eq!(ask(1_025), None);
        let latest = log.max_timestamp().unwrap().unwrap();
        assert_eq!((latest.offset, latest.leader_epoch), (Offset(48), LeaderEpoch(0)));
        assert_eq!(log.earliest(), (Offset(0), Some(LeaderEpoch(0))));
    }
}

#[test]
fn a_timestamp_before_the_start_leads_to_the_start() {
    let mut log = filled();
    log.set_high_watermark(Offset(50));
    log.advance_start_offset(Offset(7)).unwrap();
    let found = log.offset_for_timestamp(Timestamp(0)).unwrap().unwrap();
    assert_eq!(found.offset, Offset(7));
}

#[test]
fn an_empty_log_has_no_timestamps() {
    let log = Fixture::new();
    assert_eq!(log.offset_for_timestamp(Timestamp(0)).unwrap(), None);
    assert_eq!(log.max_timestamp().unwrap(), None);
}
