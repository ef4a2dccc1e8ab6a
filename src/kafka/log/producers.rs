//! Idempotence: what each producer last wrote, to tell the next batch from a repeated one.
//!
//! After `ProducerStateManager`, `ProducerStateEntry` and `ProducerAppendInfo`. Since Kafka 2.5 a broker
//! that knows nothing of a producer accepts any sequence from it (but see [`FirstSequenceOnEmptyState`]), so
//! `UNKNOWN_PRODUCER_ID` is never answered. Transactions leave no trace here but the fields of the snapshot.

use std::{collections::BTreeMap, time::Duration};

use super::{
    append::AppendOrigin,
    checkpoint::read_file,
    error::{AppendError, LogError},
    policy::FirstSequenceOnEmptyState,
    segment::DirtyFile,
    snapshot,
};
use crate::{
    env::{Disk, OpenMode, WallTime},
    kafka::{
        protocol::batch::BatchHeader,
        types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp},
    },
};

/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`: an idempotent producer has no more in flight.
const WINDOW: usize = 5;

/// One appended batch, as a duplicate is recognised by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BatchMetadata {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    /// Last minus first offset, and also last minus first sequence.
    pub offset_delta: i32,
    pub timestamp: Timestamp,
}

impl BatchMetadata {
    pub fn first_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }

    fn first_sequence(&self) -> Sequence {
        // Sequences wrap at 2^31: see `DefaultRecordBatch.decrementSequence`.
        let first = i64::from(self.last_sequence.0) - i64::from(self.offset_delta);
        Sequence(first.rem_euclid(1 << 31) as i32)
    }
}

/// What DescribeProducers tells of one producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveProducer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    /// -1 if nothing was written in the epoch.
    pub last_sequence: Sequence,
    pub last_timestamp: Timestamp,
    /// Of the transaction coordinator; -1 without transactions.
    pub coordinator_epoch: i32,
    pub transaction_start: Option<Offset>,
}

/// What the log knows of one producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ProducerEntry {
    pub epoch: ProducerEpoch,
    pub coordinator_epoch: i32,
    pub last_timestamp: Timestamp,
    pub transaction_start: Option<Offset>,
    /// Oldest first; all of the current epoch.
    window: [Option<BatchMetadata>; WINDOW],
}

impl ProducerEntry {
    pub fn new(epoch: ProducerEpoch) -> Self {
        ProducerEntry {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            transaction_start: None,
            window: [None; WINDOW],
        }
    }

    fn batches(&self) -> impl DoubleEndedIterator<Item = &BatchMetadata> {
        self.window.iter().flatten()
    }

    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches().next_back()
    }

    /// -1 in an epoch that wrote nothing yet.
    fn last_sequence(&self) -> Sequence {
        self.last_batch().map_or(Sequence(-1), |batch| batch.last_sequence)
    }

    pub fn add(&mut self, epoch: ProducerEpoch, batch: BatchMetadata) {
        self.enter_epoch(epoch);
        // Filled from the end, so that the oldest falls out at the front.
        self.window.rotate_left(1);
        self.window[WINDOW - 1] = Some(batch);
        self.last_timestamp = batch.timestamp;
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.window = [None; WINDOW];
        }
    }

    fn duplicate(&self, batch: &BatchHeader) -> Option<BatchMetadata> {
        let same = |known: &&BatchMetadata| {
            known.first_sequence() == batch.base_sequence
                && known.last_sequence == batch.last_sequence()
        };
        self.batches().find(same).filter(|_| batch.producer_epoch == self.epoch).copied()
    }

    /// `ProducerAppendInfo.checkSequence`.
    fn check_sequence(&self, batch: &BatchHeader) -> Result<(), AppendError> {
        let got = batch.base_sequence;
        let same_epoch = self.epoch == batch.producer_epoch;
        let last = if same_epoch { self.last_sequence() } else { Sequence(-1) };
        if got == last.plus(1) {
            Ok(())
        } else {
            Err(AppendError::OutOfOrderSequence { producer: batch.producer_id, last, got })
        }
    }
}

/// The producers of one partition up to an offset, and the snapshots of them on disk.
#[derive(Debug)]
pub(super) struct Producers {
    dir: String,
    expiration: Duration,
    first_sequence: FirstSequenceOnEmptyState,
    entries: BTreeMap<ProducerId, ProducerEntry>,
    /// Offset up to which the batches of the log are accounted for.
    end: Offset,
    /// Offsets of the snapshot files.
    snapshots: Vec<Offset>,
}

impl Producers {
    /// Knows the snapshots there are, and no producer.
    pub fn new(
        dir: &str,
        expiration: Duration,
        first_sequence: FirstSequenceOnEmptyState,
        mut snapshots: Vec<Offset>,
    ) -> Self {
        snapshots.sort_unstable();
        let (dir, entries, end) = (dir.into(), BTreeMap::new(), Offset(0));
        Producers { dir, expiration, first_sequence, entries, end, snapshots }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn active(&self) -> impl Iterator<Item = ActiveProducer> {
        self.entries.iter().map(|(&id, entry)| ActiveProducer {
            id,
            epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            transaction_start: entry.transaction_start,
        })
    }

    pub fn end(&self) -> Offset {
        self.end
    }

    pub fn set_end(&mut self, end: Offset) {
        self.end = end;
    }

    /// Judges a batch of an idempotent producer before it is appended. `Some`: it is there already.
    pub fn check(
        &self,
        batch: &BatchHeader,
        origin: AppendOrigin,
    ) -> Result<Option<BatchMetadata>, AppendError> {
        let Some(entry) = self.entries.get(&batch.producer_id) else {
            return self.check_first(batch, origin).map(|()| None);
        };
        if origin == AppendOrigin::Client
            && let Some(known) = entry.duplicate(batch)
        {
            return Ok(Some(known));
        }
        if batch.producer_epoch < entry.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer: batch.producer_id,
                current: entry.epoch,
                got: batch.producer_epoch,
            });
        }
        if origin == AppendOrigin::Client {
            entry.check_sequence(batch)?;
        }
        Ok(None)
    }

    /// Judges a batch of a producer that nothing is known of.
    fn check_first(&self, batch: &BatchHeader, origin: AppendOrigin) -> Result<(), AppendError> {
        let got = batch.base_sequence;
        let begins_at_zero = match self.first_sequence {
            FirstSequenceOnEmptyState::Any => false,
            FirstSequenceOnEmptyState::ZeroInEmptyLog => self.end == Offset(0),
            FirstSequenceOnEmptyState::Zero => true,
        };
        if begins_at_zero && origin == AppendOrigin::Client && got.0 != 0 {
            let last = Sequence(-1);
            return Err(AppendError::OutOfOrderSequence { producer: batch.producer_id, last, got });
        }
        Ok(())
    }

    /// Accounts for a batch that is in the log; its header says where.
    pub fn update(&mut self, batch: &BatchHeader) {
        self.end = batch.next_offset();
        if !batch.has_producer_id() {
            return;
        }
        let fresh = || ProducerEntry::new(batch.producer_epoch);
        let entry = self.entries.entry(batch.producer_id).or_insert_with(fresh);
        if batch.attributes.is_control() {
            // The end of a transaction: `ProducerStateEntry.update` keeps the window of its epoch.
            entry.enter_epoch(batch.producer_epoch);
            entry.transaction_start = None;
            entry.last_timestamp = batch.max_timestamp;
            return;
        }
        let metadata = BatchMetadata {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        };
        entry.add(batch.producer_epoch, metadata);
        if batch.attributes.is_transactional() && entry.transaction_start.is_none() {
            entry.transaction_start = Some(batch.base_offset);
        }
    }

    /// Where each producer's last batch ends.
    pub fn last_offsets(&self) -> BTreeMap<ProducerId, Offset> {
        let last = |(&id, entry): (&ProducerId, &ProducerEntry)| {
            entry.last_batch().map(|batch| (id, batch.last_offset))
        };
        self.entries.iter().filter_map(last).collect()
    }

    /// Forgets producers that wrote nothing for `producer.id.expiration.ms`.
    pub fn remove_expired(&mut self, now: WallTime) {
        let expiration = self.expiration;
        self.entries.retain(|_, entry| !is_expired(entry, now, expiration));
    }

    /// Starts over from the newest sound snapshot at or before `at_most`, or from `otherwise` without
    /// any producer, and returns the snapshot's offset. Damaged snapshots are removed.
    pub fn reload(
        &mut self,
        disk: &dyn Disk,
        at_most: Offset,
        otherwise: Offset,
        now: WallTime,
    ) -> Result<Option<Offset>, LogError> {
        self.entries.clear();
        while let Some(&offset) = self.snapshots.iter().rev().find(|&&offset| offset <= at_most) {
            let path = self.path(offset);
            let bytes = read_file(disk, &path).map_err(LogError::io("read", &path))?;
            if let Some(producers) = snapshot::decode(&bytes) {
                let expiration = self.expiration;
                let alive = |(_, entry): &(_, ProducerEntry)| !is_expired(entry, now, expiration);
                self.entries = producers.into_iter().filter(alive).collect();
                self.end = offset;
                return Ok(Some(offset));
            }
            self.remove_snapshots(disk, |damaged| damaged == offset)?;
        }
        self.end = otherwise;
        Ok(None)
    }

    pub fn newest_snapshot(&self) -> Option<Offset> {
        self.snapshots.last().copied()
    }

    /// Writes a snapshot of the state at [`Producers::end`] unless there is one, and returns the file to
    /// sync.
    pub fn take_snapshot(&mut self, disk: &dyn Disk) -> Result<Option<DirtyFile>, LogError> {
        if self.snapshots.last().is_some_and(|&last| last >= self.end) || self.end == Offset(0) {
            return Ok(None);
        }
        let path = self.path(self.end);
        let bytes = snapshot::encode(self.entries.iter().map(|(&id, entry)| (id, entry)));
        let file = disk.open(&path, OpenMode::Truncate).map_err(LogError::io("create", &path))?;
        file.write_at(0, &bytes).map_err(LogError::io("write", &path))?;
        self.snapshots.push(self.end);
        Ok(Some((path, file)))
    }

    /// Removes the snapshots whose offset `doomed` holds for.
    pub fn remove_snapshots(
        &mut self,
        disk: &dyn Disk,
        doomed: impl Fn(Offset) -> bool,
    ) -> Result<(), LogError> {
        for path in self.forget_snapshots(doomed) {
            disk.remove(&path).map_err(LogError::io("remove", &path))?;
        }
        Ok(())
    }

    /// As [`Producers::remove_snapshots`], but leaves the files, whose paths it returns, to the caller.
    pub fn forget_snapshots(&mut self, doomed: impl Fn(Offset) -> bool) -> Vec<String> {
        let (gone, kept): (Vec<Offset>, _) =
            self.snapshots.iter().partition(|&&offset| doomed(offset));
        self.snapshots = kept;
        gone.into_iter().map(|offset| self.path(offset)).collect()
    }

    /// Forgets everything; the log starts over at `offset`.
    pub fn clear(&mut self, disk: &dyn Disk, offset: Offset) -> Result<(), LogError> {
        self.entries.clear();
        self.end = offset;
        self.remove_snapshots(disk, |_| true)
    }

    fn path(&self, offset: Offset) -> String {
        format!("{}/{:020}.snapshot", self.dir, offset.0)
    }
}

fn is_expired(entry: &ProducerEntry, now: WallTime, expiration: Duration) -> bool {
    let idle = i128::from(now.0) - i128::from(entry.last_timestamp.0);
    entry.transaction_start.is_none() && idle >= expiration.as_millis() as i128
}
