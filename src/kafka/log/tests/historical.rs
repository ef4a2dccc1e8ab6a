//! What Kafka's logs once did otherwise: each story goes wrong under the old policy and not under the present
//! one.

use std::{collections::BTreeSet, sync::Arc};

use super::fixture::{DIR, Fixture, batch, config, options, sequenced};
use crate::{
    env::{Env, Instant, WallTime},
    kafka::{
        config::TopicConfig,
        log::{
            AppendError, AppendOrigin, EpochCheckpointFsync, FirstSequenceOnEmptyState,
            HighWatermarkCheckpoint, Log, LogPolicy, MinOneMessage, OpenOptions, Outcome,
            SegmentDirFsync, Shutdown,
        },
        types::{LeaderEpoch, Offset, Sequence},
    },
    sim::{MachineOptions, World, WorldOptions},
};

const NOW: WallTime = WallTime(1_000);

async fn boot(world: &World) -> Env {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    world.start("m", |env| {
        Box::pin(async move {
            drop(sender.send(env));
            std::future::pending().await
        })
    });
    receiver.await.unwrap()
}

/// Opens a log whose segments take three batches of [`append`].
async fn open(env: &Env, policy: LogPolicy, recovery_point: i64) -> Log {
    let config = TopicConfig { segment_bytes: 3 * batch(&[b"x"]).len() as u32, ..config() };
    let options = OpenOptions { policy, ..options(recovery_point, Shutdown::Unclean) };
    let log = Log::open(env.disk.clone(), DIR, Arc::new(config), &options).await;
    log.unwrap().0
}

fn append(log: &mut Log, epoch: i32, count: usize) {
    for _ in 0..count {
        let (batch, epoch) = (batch(&[b"x"]), LeaderEpoch(epoch));
        log.append_as_leader(&batch, AppendOrigin::Client, epoch, NOW).unwrap();
    }
}

async fn flush(log: &mut Log) {
    let pending = log.begin_flush();
    let synced = pending.sync().await;
    log.flush_done(pending, synced, Instant::default()).unwrap();
}

/// The flushes that the broker's storage task would make.
async fn flush_due(log: &mut Log) {
    while let Some(pending) = log.due_flush(Instant::default()) {
        let synced = pending.sync().await;
        log.flush_done(pending, synced, Instant::default()).unwrap();
    }
}

/// What `seen` makes of the log that is found after `story` and a power loss, in many worlds. Which unsynced
/// pages and names survive is each world's own chance.
fn after_power_loss<T: Ord>(
    policy: LogPolicy,
    story: impl AsyncFn(&mut Log),
    seen: impl Fn(&Log) -> T,
) -> BTreeSet<T> {
    let one = |seed| {
        let run = async |world: World| {
            world.add_machine("m", MachineOptions::default());
            let env = boot(&world).await;
            let mut log = open(&env, policy, 0).await;
            story(&mut log).await;
            let recovery_point = log.recovery_point().0;
            drop(log);
            world.power_loss("m");
            let env = boot(&world).await;
            seen(&open(&env, policy, recovery_point).await)
        };
        World::run(seed, WorldOptions::default(), run).unwrap()
    };
    (0..60).map(one).collect()
}

/// As before entry 18.
fn unsynced() -> LogPolicy {
    LogPolicy { epoch_checkpoint_fsync: EpochCheckpointFsync::Off, ..LogPolicy::default() }
}

/// 18: the end of the log was cut, as a follower's is, and the file of epochs written anew.
#[test]
fn an_epoch_checkpoint_that_is_not_synced_forgets_who_wrote_the_log() {
    let story = async |log: &mut Log| {
        append(log, 1, 3);
        append(log, 2, 3);
        flush(log).await;
        log.truncate_to(Offset(3), NOW).unwrap();
        flush_due(log).await;
    };
    let epoch = |log: &Log| (log.end_offset() >= Offset(3)).then(|| log.epoch_for(Offset(0)));
    let known = Some(Some(LeaderEpoch(1)));
    assert_eq!(after_power_loss(unsynced(), story, epoch), BTreeSet::from([Some(None), known]));
    assert_eq!(after_power_loss(LogPolicy::default(), story, epoch), BTreeSet::from([known]));
}

/// 18: the same as DeleteRecords moves the log's start.
#[test]
fn an_epoch_checkpoint_cut_at_its_beginning_is_not_synced_either() {
    let story = async |log: &mut Log| {
        append(log, 1, 3);
        append(log, 2, 4);
        flush(log).await;
        log.set_high_watermark(Offset(7));
        log.advance_start_offset(Offset(1)).unwrap();
        flush_due(log).await;
    };
    let epoch = |log: &Log| log.epoch_for(Offset(1));
    let known = Some(LeaderEpoch(1));
    assert_eq!(after_power_loss(unsynced(), story, epoch), BTreeSet::from([None, known]));
    assert_eq!(after_power_loss(LogPolicy::default(), story, epoch), BTreeSet::from([known]));
}

/// A new epoch brings the file back to the disk, with what was cut before.
#[test]
fn a_new_epoch_is_synced_under_either_policy() {
    let story = async |log: &mut Log| {
        append(log, 1, 3);
        append(log, 2, 3);
        flush(log).await;
        log.truncate_to(Offset(3), NOW).unwrap();
        flush_due(log).await;
        append(log, 3, 1);
        flush(log).await;
    };
    let epochs = |log: &Log| (log.epoch_for(Offset(0)), log.epoch_for(Offset(3)));
    let known = (Some(LeaderEpoch(1)), Some(LeaderEpoch(3)));
    assert_eq!(after_power_loss(unsynced(), story, epochs), BTreeSet::from([known]));
}

/// 18: three segments, each synced; the names of some are not.
#[test]
fn a_segment_whose_name_is_not_synced_vanishes_whole() {
    let story = async |log: &mut Log| {
        append(log, 1, 9);
        flush(log).await;
        assert_eq!(log.recovery_point(), Offset(9));
    };
    let missing = |log: &Log| -> Vec<i64> {
        let readable = |offset: &i64| {
            let from = Offset(*offset);
            let read = log.read(from, 1, log.end_offset(), MinOneMessage::Yes);
            read.is_ok_and(|read| !read.records.is_empty() && read.next_offset == from + 1)
        };
        (0..9).filter(|offset| !readable(offset)).collect()
    };
    let off = SegmentDirFsync::Off;
    let old = LogPolicy { segment_dir_fsync: off, ..LogPolicy::default() };
    let found = after_power_loss(old, story, missing);
    assert!(found.contains(&vec![]), "sometimes all survive: {found:?}");
    assert!(found.contains(&vec![6, 7, 8]), "the last segment: {found:?}");
    assert!(found.contains(&vec![3, 4, 5]), "a hole in the middle: {found:?}");
    let whole = BTreeSet::from([vec![]]);
    assert_eq!(after_power_loss(LogPolicy::default(), story, missing), whole);
}

fn with_policy(policy: LogPolicy) -> Fixture {
    let options = OpenOptions { policy, ..options(0, Shutdown::Unclean) };
    Fixture::open(Default::default(), config(), &options)
}

fn first_sequence(rule: FirstSequenceOnEmptyState) -> Fixture {
    with_policy(LogPolicy { first_sequence_on_empty_state: rule, ..LogPolicy::default() })
}

/// 28: of two batches on their way to a new partition the second is the first to arrive.
#[test]
fn the_first_batch_of_a_new_partition_may_be_shut_out_by_the_second() {
    let (first, second) = (sequenced(7, 0, 0, b"a"), sequenced(7, 0, 1, b"b"));
    let mut log = first_sequence(FirstSequenceOnEmptyState::Any);
    log.append(&second).unwrap();
    let out_of_order = |log: &mut Fixture, batch, known| {
        let refused = log.append(batch);
        let last = |error: &AppendError| match error {
            AppendError::OutOfOrderSequence { last, .. } => Some(*last),
            _ => None,
        };
        assert_eq!(refused.as_ref().err().and_then(last), Some(Sequence(known)), "{refused:?}");
    };
    out_of_order(&mut log, &first, 1);
    out_of_order(&mut log, &first, 1);

    for rule in [FirstSequenceOnEmptyState::ZeroInEmptyLog, FirstSequenceOnEmptyState::Zero] {
        let mut log = first_sequence(rule);
        out_of_order(&mut log, &second, -1);
        log.append(&first).unwrap();
        log.append(&second).unwrap();
        let values: Vec<_> = log.contents().into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [b"a", b"b"]);
    }
}

/// 28: the same in a log that another producer wrote to.
#[test]
fn among_the_records_of_others_the_second_batch_may_still_come_first() {
    let taken = |rule| {
        let mut log = first_sequence(rule);
        log.append(&sequenced(8, 0, 0, b"x")).unwrap();
        log.append(&sequenced(7, 0, 1, b"b")).is_ok()
    };
    assert!(taken(FirstSequenceOnEmptyState::ZeroInEmptyLog));
    assert!(!taken(FirstSequenceOnEmptyState::Zero));
}

/// 28: state goes with the records it came from, and a producer must still be able to go on.
#[test]
fn a_log_that_held_records_takes_any_first_sequence() {
    let taken = |rule| {
        let mut log = first_sequence(rule);
        log.append(&sequenced(7, 0, 0, b"a")).unwrap();
        log.truncate_fully_and_start_at(Offset(1), NOW).unwrap();
        let info = log.append(&sequenced(7, 0, 1, b"b"));
        info.map(|info| (info.outcome, info.first_offset)).ok()
    };
    let appended = Some((Outcome::Appended, Offset(1)));
    assert_eq!(taken(FirstSequenceOnEmptyState::Any), appended);
    assert_eq!(taken(FirstSequenceOnEmptyState::ZeroInEmptyLog), appended);
    // In a new epoch, as the client tries next.
    assert_eq!(taken(FirstSequenceOnEmptyState::Zero), None);
}

/// 3c: what comes of it is in the replica's own stories.
#[test]
fn a_high_watermark_may_be_forgotten_by_a_start() {
    let restored = |rule| {
        let policy = LogPolicy { high_watermark_checkpoint: rule, ..LogPolicy::default() };
        let mut log = with_policy(policy);
        for _ in 0..3 {
            log.append(&batch(&[b"x"])).unwrap();
        }
        [log.restore_high_watermark(Offset(2)), log.restore_high_watermark(Offset(9))]
    };
    assert_eq!(restored(HighWatermarkCheckpoint::Kept), [Offset(2), Offset(3)]);
    assert_eq!(restored(HighWatermarkCheckpoint::ResetAtStart), [Offset(0), Offset(0)]);
}
