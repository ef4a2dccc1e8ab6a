//! Opening a log again: after a clean end, after a kill, and with damaged files.

use super::fixture::{DIR, Fixture, batch, batch_at, config, now, options, sequenced};
use crate::{
    env::{Disk, Instant, WallTime},
    kafka::{
        config::TopicConfig,
        log::{AppendOrigin, Cut, Outcome, Recovery, Shutdown},
        types::{LeaderEpoch, Offset},
    },
};

const LOG: &str = "orders-0/00000000000000000000.log";
const INDEX: &str = "orders-0/00000000000000000000.index";
const TIME_INDEX: &str = "orders-0/00000000000000000000.timeindex";

/// Segments of three batches, each with an index entry but the first.
fn rolling() -> TopicConfig {
    let size = batch(&[b"x"]).len() as u32;
    TopicConfig { segment_bytes: 3 * size, index_interval_bytes: 0, ..config() }
}

#[test]
fn a_clean_log_is_not_scanned() {
    let mut log = Fixture::with(rolling());
    for number in 0..7 {
        log.append(&sequenced(1, 0, number, b"x")).unwrap();
    }
    let before = log.contents();
    let log = log.reopen_clean();
    assert_eq!(log.recovery.batches_scanned, 0);
    assert_eq!(log.recovery.producers_loaded, 1);
    assert_eq!(log.recovery_point(), Offset(7));
    assert_eq!(log.contents(), before);
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_batch() {
    let mut log = Fixture::new();
    for _ in 0..3 {
        log.append(&batch(&[b"x", b"y"])).unwrap();
    }
    let size = batch(&[b"x", b"y"]).len();
    for torn in 1..size {
        let copy = Fixture { disk: log.disk.copy(), ..Fixture::new() };
        copy.disk.edit(LOG, |bytes| bytes.truncate(2 * size + torn));
        let copy = copy.reopen();
        let cut = Some(Cut { offset: Offset(4), bytes: torn as u64 });
        assert_eq!((copy.recovery.cut, copy.end_offset()), (cut, Offset(4)));
        assert_eq!(copy.disk.bytes(LOG).len(), 2 * size);
        assert_eq!(copy.contents().len(), 4);
    }
}

#[test]
fn everything_behind_damage_is_cut() {
    let mut log = Fixture::with(rolling());
    for _ in 0..9 {
        log.append(&batch(&[b"x"])).unwrap();
    }
    let size = batch(&[b"x"]).len();
    log.disk.edit("orders-0/00000000000000000003.log", |bytes| bytes[size + 63] ^= 1);
    let log = log.reopen();
    assert_eq!(log.end_offset(), Offset(4));
    assert_eq!(log.recovery.segments_deleted, 1);
    let cut = Cut { offset: Offset(4), bytes: 5 * size as u64 };
    assert_eq!(log.recovery.cut, Some(cut));
    assert_eq!(log.segment_bases().collect::<Vec<_>>(), [Offset(0), Offset(3)]);
    assert_eq!(log.contents().len(), 4);
}

#[test]
fn only_segments_past_the_recovery_point_are_scanned() {
    let mut log = Fixture::with(rolling());
    for _ in 0..9 {
        log.append(&batch(&[b"x"])).unwrap();
    }
    log.flush();
    log.append(&batch(&[b"x"])).unwrap();
    assert_eq!(log.recovery_point(), Offset(9));
    let log = log.reopen();
    assert_eq!((log.recovery.segments_scanned, log.recovery.batches_scanned), (1, 1));
    assert_eq!(log.end_offset(), Offset(10));
}

#[test]
fn indexes_are_rebuilt() {
    let mut log = Fixture::with(rolling());
    for number in 0..7 {
        log.append(&batch_at(number, &[b"x"])).unwrap();
    }
    log.flush();
    let (index, times) = (log.disk.bytes(INDEX), log.disk.bytes(TIME_INDEX));
    let before = log.contents();
    let damages: [fn(&Fixture); 4] = [
        |log| log.disk.remove(INDEX).unwrap(),
        |log| log.disk.remove(TIME_INDEX).unwrap(),
        |log| log.disk.edit(INDEX, |bytes| bytes[6] = 99),
        |log| log.disk.edit(TIME_INDEX, |bytes| bytes.push(0)),
    ];
    for damage in damages {
        damage(&log);
        let recovery_point = log.recovery_point().0;
        log = Fixture::open(log.disk.clone(), rolling(), &options(recovery_point, Shutdown::Clean));
        assert_eq!(log.recovery.indexes_rebuilt, 1);
        assert_eq!(
            (log.disk.bytes(INDEX), log.disk.bytes(TIME_INDEX)),
            (index.clone(), times.clone())
        );
        assert_eq!(log.contents(), before);
    }
}

#[test]
fn index_files_are_kafkas() {
    let mut log = Fixture::with(rolling());
    for number in 0..4 {
        log.append(&batch_at(100 + number, &[b"x"])).unwrap();
    }
    let size = batch(&[b"x"]).len() as u32;
    // Offset relative to the base and position, of the second and third batch.
    let mut index = Vec::new();
    for (offset, position) in [(1_u32, size), (2, 2 * size)] {
        index.extend(offset.to_be_bytes());
        index.extend(position.to_be_bytes());
    }
    assert_eq!(log.disk.bytes(INDEX), index);
    // Timestamp and relative offset.
    let mut times = Vec::new();
    for (timestamp, offset) in [(101_i64, 1_u32), (102, 2)] {
        times.extend(timestamp.to_be_bytes());
        times.extend(offset.to_be_bytes());
    }
    assert_eq!(log.disk.bytes(TIME_INDEX), times);
}

#[test]
fn the_window_of_a_producer_survives_a_restart() {
    for reopen in [Fixture::reopen, Fixture::reopen_clean] {
        let mut log = Fixture::new();
        for sequence in 0..6 {
            log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
        }
        let mut log = reopen(log);
        for sequence in 1..6 {
            let info = log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
            assert_eq!(info.outcome, Outcome::Duplicate);
            assert_eq!(info.first_offset.0, i64::from(sequence));
        }
        assert!(log.append(&sequenced(1, 0, 0, b"x")).is_err());
        let next = log.append(&sequenced(1, 0, 6, b"x")).unwrap();
        assert_eq!(next.outcome, Outcome::Appended);
    }
}

#[test]
fn producers_are_found_through_snapshots() {
    let mut log = Fixture::with(rolling());
    for sequence in 0..20 {
        log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
    }
    log.flush();
    let mut log = log.reopen();
    // The segments begin at 0, 3, .. 18; one further back than the last is where the replay begins.
    assert_eq!(log.recovery.snapshot, Some(Offset(15)));
    let repeated = log.append(&sequenced(1, 0, 16, b"x")).unwrap();
    assert_eq!(repeated.outcome, Outcome::Duplicate);
    log.append(&sequenced(1, 0, 20, b"x")).unwrap();
}

#[test]
fn a_damaged_snapshot_is_replaced_by_an_older_one() {
    let mut log = Fixture::with(rolling());
    for sequence in 0..20 {
        log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
    }
    log.flush();
    log.disk.edit("orders-0/00000000000000000015.snapshot", |bytes| bytes[12] ^= 1);
    let mut log = log.reopen();
    assert_eq!(log.recovery.snapshot, Some(Offset(12)));
    log.append(&sequenced(1, 0, 20, b"x")).unwrap();
}

#[test]
fn a_snapshot_of_records_that_were_lost_is_not_used() {
    let mut log = Fixture::with(rolling());
    for sequence in 0..7 {
        log.append(&sequenced(1, 0, sequence, b"x")).unwrap();
    }
    // Nothing was synced, and all segments but the first came to nothing.
    for base in [3, 6] {
        log.disk.edit(&format!("{DIR}/{base:020}.log"), Vec::clear);
    }
    let size = batch(&[b"x"]).len();
    log.disk.edit(LOG, |bytes| bytes.truncate(size));
    let mut log = log.reopen();
    assert_eq!((log.end_offset(), log.recovery.segments_deleted), (Offset(1), 2));
    let info = log.append(&sequenced(1, 0, 1, b"x")).unwrap();
    assert_eq!((info.outcome, info.first_offset), (Outcome::Appended, Offset(1)));
}

#[test]
fn epochs_are_found_again_in_the_batches() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    log.assign_epoch(LeaderEpoch(4));
    let origin = crate::kafka::log::AppendOrigin::Client;
    let now = crate::env::WallTime(0);
    log.log.append_as_leader(&batch(&[b"y"]), origin, LeaderEpoch(4), now).unwrap();
    let log = log.reopen();
    assert_eq!(log.latest_epoch().map(|entry| (entry.epoch.0, entry.start.0)), Some((4, 1)));
    assert_eq!(log.end_offset_for_epoch(LeaderEpoch(0)), Some((LeaderEpoch(0), Offset(1))));
}

#[test]
fn what_a_power_loss_brought_back_has_the_epoch_of_its_batches() {
    let mut log = Fixture::new();
    let in_epoch = |log: &mut Fixture, epoch: i32, value: &[u8]| {
        let (epoch, wall) = (LeaderEpoch(epoch), WallTime(1_000));
        log.append_as_leader(&batch(&[value]), AppendOrigin::Client, epoch, wall).unwrap();
    };
    (0..4).for_each(|_| in_epoch(&mut log, 2, b"x"));
    log.flush();
    let before = log.disk.bytes(LOG);
    log.truncate_to(Offset(3), WallTime(1_000)).unwrap();
    in_epoch(&mut log, 5, b"y");
    let epochs = log.due_flush(Instant::default()).unwrap();
    let stored = now(epochs.sync());
    log.flush_done(epochs, stored, Instant::default()).unwrap();
    // The file of epochs is durable; the cut and what was written over it is not.
    log.disk.edit(LOG, |bytes| *bytes = before);
    let log = log.reopen();
    assert_eq!(log.end_offset(), Offset(4));
    assert_eq!(log.latest_epoch().map(|entry| (entry.epoch.0, entry.start.0)), Some((2, 0)));
    assert_eq!(log.epoch_for(Offset(3)), Some(LeaderEpoch(2)));
}

#[test]
fn epochs_beyond_the_end_are_forgotten() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    log.assign_epoch(LeaderEpoch(7));
    log.flush();
    assert_eq!(log.disk.bytes("orders-0/leader-epoch-checkpoint"), b"0\n2\n0 0\n7 1\n");
    let log = log.reopen();
    assert_eq!(log.latest_epoch().map(|entry| entry.epoch.0), Some(0));
}

#[test]
fn a_disk_that_lied_costs_the_tail_and_not_the_log() {
    for shutdown in [Shutdown::Clean, Shutdown::Unclean] {
        let mut log = Fixture::with(rolling());
        for _ in 0..9 {
            log.append(&batch(&[b"x"])).unwrap();
        }
        log.flush();
        let size = batch(&[b"x"]).len();
        // The recovery point is 9, yet most of the second segment is zeros.
        log.disk.edit("orders-0/00000000000000000003.log", |bytes| bytes[size..].fill(0));
        log.disk.edit("orders-0/00000000000000000006.log", |bytes| bytes.fill(0));
        let log = Fixture::open(log.disk.clone(), rolling(), &options(9, shutdown));
        assert!(log.recovery.trust_was_misplaced);
        assert_eq!((log.end_offset(), log.recovery_point().0), (Offset(4), log.end_offset().0));
        assert_eq!(log.contents().len(), 4);
    }
}

#[test]
fn a_start_beyond_the_end_empties_the_log() {
    let mut log = Fixture::new();
    log.append(&batch(&[b"x"])).unwrap();
    let mut options = options(1, Shutdown::Unclean);
    options.log_start = Offset(10);
    let mut log = Fixture::open(log.disk.clone(), config(), &options);
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(10), Offset(10)));
    assert_eq!(log.append(&batch(&[b"x"])).unwrap().first_offset, Offset(10));
}

#[test]
fn a_new_log_needs_no_recovery() {
    let log = Fixture::new();
    assert_eq!(log.recovery, Recovery { segments_scanned: 0, ..Recovery::default() });
    assert_eq!(log.end_offset(), Offset(0));
}
