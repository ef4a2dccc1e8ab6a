//! Which leader epoch wrote from which offset on: `LeaderEpochFileCache`.
//!
//! The file is replaced by a flush, not by each change: every batch carries its epoch, so recovery finds
//! again whatever lies past the recovery point, and a flush stores the file before that point moves. Departure from
//! Kafka: where such a batch and the file tell of different epochs, the batch is believed ([`LeaderEpochs::found`]).

use std::collections::BTreeMap;

use super::checkpoint::{self, CheckpointError};
use crate::{
    env::Disk,
    kafka::types::{LeaderEpoch, Offset},
};

pub(super) const FILE_NAME: &str = "leader-epoch-checkpoint";

/// Behind every offset.
const NOWHERE: Offset = Offset(i64::MAX);

/// An epoch and the first offset written (or to be written) under it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEntry {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// What became of the entries since the file was written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Change {
    /// Some at the beginning or the end went or moved.
    Cut,
    /// There is a new one, or none any more.
    Renewed,
}

/// Epochs and start offsets, both strictly rising (but for epochs that wrote nothing).
#[derive(Debug, Default)]
pub(super) struct LeaderEpochs {
    entries: BTreeMap<LeaderEpoch, Offset>,
    /// How the entries differ from the text that was taken last, and from which offset on.
    changed: Option<(Change, Offset)>,
    /// How that text differs from the file, while it is being written.
    writing: Option<(Change, Offset)>,
}

impl LeaderEpochs {
    /// A malformed file counts as empty, unlike in Kafka: without it the log is still whole.
    pub fn load(disk: &dyn Disk, dir: &str) -> Result<Self, CheckpointError> {
        let entry = |line: &str| {
            let (epoch, start) = line.split_once(' ')?;
            Some((epoch.parse().ok()?, start.trim().parse().ok()?))
        };
        let entries = match checkpoint::load(disk, &format!("{dir}/{FILE_NAME}"), entry) {
            Err(CheckpointError::Malformed { .. }) => Vec::new(),
            entries => entries?,
        };
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in entries {
            epochs.assign(LeaderEpoch(epoch), Offset(start));
        }
        epochs.changed = None;
        Ok(epochs)
    }

    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last_key_value().map(|(&epoch, &start)| EpochEntry { epoch, start })
    }

    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first_key_value().map(|(&epoch, &start)| EpochEntry { epoch, start })
    }

    /// Records that `epoch` writes from `start` on; drops entries that contradict it.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        let known = |latest: EpochEntry| epoch == latest.epoch && start >= latest.start;
        if epoch.0 < 0 || self.latest().is_some_and(known) {
            return;
        }
        let contradicts = |last: EpochEntry| last.epoch >= epoch || last.start >= start;
        let mut from = start;
        while let Some(last) = self.latest().filter(|&last| contradicts(last)) {
            self.entries.pop_last();
            from = from.min(last.start);
        }
        self.entries.insert(epoch, start);
        self.changed(Change::Renewed, from);
    }

    /// For a batch that recovery finds. An entry that claims its offset for a later epoch is of what is not in the log:
    /// a power loss undid the cut that made room for it, or the entry was dropped and the file not written since.
    /// Kafka believes the file then, and a follower does not see where its log parts from the leader's.
    pub fn found(&mut self, epoch: LeaderEpoch, offset: Offset) {
        let is_known = self.entries.get(&epoch).is_some_and(|start| *start <= offset);
        let claims = |(_, start): (&LeaderEpoch, &Offset)| *start <= offset;
        let refuted = self.entries.range(next_of(epoch)..).next().is_some_and(claims);
        if epoch.0 < 0 || (is_known && !refuted) {
            return;
        }
        let mut from = offset;
        if refuted {
            // Those behind it are of the same log.
            let gone = self.entries.split_off(&next_of(epoch));
            from = gone.into_values().fold(from, Offset::min);
        }
        if !is_known {
            self.entries.retain(|other, start| *other > epoch || *start < offset);
            self.entries.insert(epoch, offset);
        }
        self.changed(Change::Renewed, from);
    }

    /// For a log that ends at `end` again.
    pub fn truncate_from_end(&mut self, end: Offset) {
        while self.latest().is_some_and(|last| last.start >= end) {
            self.entries.pop_last();
            self.changed(Change::Cut, end);
        }
    }

    /// For a log that starts at `start`: the epoch of that offset becomes the first.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let mut current = None;
        while self.earliest().is_some_and(|first| first.start <= start) {
            current = self.entries.pop_first();
        }
        if let Some((epoch, was)) = current {
            self.entries.insert(epoch, start);
            // A start cuts them off again.
            if was != start {
                self.changed(Change::Cut, NOWHERE);
            }
        }
    }

    pub fn clear(&mut self) {
        if let Some(first) = self.earliest() {
            self.changed(Change::Renewed, first.start);
        }
        self.entries.clear();
    }

    fn changed(&mut self, change: Change, from: Offset) {
        self.changed = Some(match self.changed {
            Some((other, upto)) => (change.max(other), from.min(upto)),
            None => (change, from),
        });
    }

    /// Where `epoch` ended in a log that ends at `end`, as OffsetForLeaderEpoch answers: the largest
    /// epoch not above the one asked for, and the start of the next. -1 is no epoch.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if epoch == LeaderEpoch(-1) {
            return None;
        }
        if self.latest()?.epoch == epoch {
            return Some((epoch, end));
        }
        let (_, &next) = self.entries.range(next_of(epoch)..).next()?;
        let floor = self.entries.range(..=epoch).next_back();
        Some((floor.map_or(epoch, |(&floor, _)| floor), next))
    }

    pub fn epoch_for(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.entries.iter().rev().find(|(_, start)| **start <= offset).map(|(&epoch, _)| epoch)
    }

    pub fn is_dirty(&self) -> bool {
        self.changed.is_some()
    }

    /// Up to where the file tells of every entry, and of no other: a recovery that reads on from there finds the rest.
    pub fn written_upto(&self) -> Offset {
        let unwritten = self.changed.into_iter().chain(self.writing);
        unwritten.map(|(_, from)| from).min().unwrap_or(NOWHERE)
    }

    /// The file tells of all.
    pub fn is_written(&self) -> bool {
        self.changed.is_none() && self.writing.is_none()
    }

    /// The text that was taken last is in the file.
    pub fn written(&mut self) {
        self.writing = None;
    }

    /// Nobody is writing the text that was taken last any more.
    pub fn given_up(&mut self) {
        if let Some((change, from)) = self.writing.take() {
            self.changed(change, from);
        }
    }

    /// The file's text and how it changed, if it did since it was last asked for. That text must be
    /// [`LeaderEpochs::written`] or [`LeaderEpochs::given_up`] before the next is taken.
    pub fn take_dirty(&mut self) -> Option<(String, Change)> {
        self.writing = Some(self.changed.take()?);
        let (change, _) = self.writing?;
        let lines: Vec<_> =
            self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")).collect();
        Some((checkpoint::encode(lines.into_iter()), change))
    }
}

fn next_of(epoch: LeaderEpoch) -> LeaderEpoch {
    LeaderEpoch(epoch.0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::{Change, LeaderEpochs};
    use crate::kafka::types::{LeaderEpoch, Offset};

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for &(epoch, start) in entries {
            epochs.assign(LeaderEpoch(epoch), Offset(start));
        }
        epochs
    }

    fn written(epochs: &mut LeaderEpochs) -> Option<String> {
        epochs.take_dirty().map(|(text, _)| text)
    }

    #[test]
    fn the_file_lists_epoch_and_start() {
        let mut epochs = epochs(&[(0, 0), (2, 10)]);
        assert_eq!(written(&mut epochs).as_deref(), Some("0\n2\n0 0\n2 10\n"));
        assert_eq!(epochs.take_dirty(), None);
        epochs.assign(LeaderEpoch(2), Offset(15));
        assert!(!epochs.is_dirty());
    }

    #[test]
    fn a_batch_is_believed_where_the_file_tells_of_others() {
        let file = [(0, 0), (5, 10), (6, 15)];
        let found = |batches: &[(i32, i64)]| {
            let mut epochs = epochs(&file);
            for &(epoch, offset) in batches {
                epochs.found(LeaderEpoch(epoch), Offset(offset));
            }
            epochs.entries.iter().map(|(epoch, start)| (epoch.0, start.0)).collect::<Vec<_>>()
        };
        assert_eq!(found(&[(0, 3), (5, 12), (6, 15)]), file);
        assert_eq!(found(&[(2, 12)]), [(0, 0), (2, 12)], "what claims 12 is of another log");
        assert_eq!(found(&[(2, 8)]), [(0, 0), (2, 8), (5, 10), (6, 15)]);
        assert_eq!(found(&[(2, 8), (2, 12)]), [(0, 0), (2, 8)]);
        assert_eq!(found(&[(5, 9)]), [(0, 0), (5, 9), (6, 15)]);
        assert_eq!(found(&[(7, 12)]), [(0, 0), (5, 10), (7, 12)]);
        assert_eq!(found(&[(-1, 20)]), file, "an old format says nothing");
    }

    #[test]
    fn an_epoch_that_wrote_nothing_is_replaced() {
        let mut epochs = epochs(&[(0, 0), (1, 10), (3, 10)]);
        assert_eq!(written(&mut epochs).as_deref(), Some("0\n2\n0 0\n3 10\n"));
    }

    #[test]
    fn a_cut_is_told_from_a_new_entry() {
        let mut epochs = epochs(&[(1, 5), (3, 10)]);
        let changed = |epochs: &mut LeaderEpochs| epochs.take_dirty().map(|(_, change)| change);
        assert_eq!(changed(&mut epochs), Some(Change::Renewed));
        epochs.truncate_from_end(Offset(10));
        assert_eq!(changed(&mut epochs), Some(Change::Cut));
        epochs.truncate_from_start(Offset(7));
        assert_eq!(changed(&mut epochs), Some(Change::Cut));
        epochs.truncate_from_start(Offset(8));
        epochs.assign(LeaderEpoch(4), Offset(9));
        assert_eq!(changed(&mut epochs), Some(Change::Renewed), "it carries the cut with it");
        epochs.clear();
        assert_eq!(changed(&mut epochs), Some(Change::Renewed));
    }

    #[test]
    fn end_offsets_answer_as_kafkas_cache() {
        let epochs = epochs(&[(1, 5), (3, 10), (4, 20)]);
        let ask = |epoch| {
            epochs
                .end_offset_for(LeaderEpoch(epoch), Offset(30))
                .map(|(epoch, offset)| (epoch.0, offset.0))
        };
        assert_eq!(ask(4), Some((4, 30)));
        assert_eq!(ask(3), Some((3, 20)));
        assert_eq!(ask(2), Some((1, 10)));
        assert_eq!(ask(0), Some((0, 5)));
        assert_eq!(ask(5), None);
        assert_eq!(ask(-1), None);
    }

    #[test]
    fn truncation_keeps_the_epoch_of_the_edge() {
        let mut epochs = epochs(&[(1, 5), (3, 10), (4, 20)]);
        epochs.truncate_from_end(Offset(20));
        epochs.truncate_from_start(Offset(7));
        assert_eq!(written(&mut epochs).as_deref(), Some("0\n2\n1 7\n3 10\n"));
        assert_eq!(epochs.epoch_for(Offset(9)), Some(LeaderEpoch(1)));
    }
}
