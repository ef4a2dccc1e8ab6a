//! Snapshots of the metadata beside the log, in files named by the offset and the epoch they reach
//! (`Snapshots.filenameFromSnapshotId`).
//!
//! A snapshot that is being fetched or made is written to a file called `.part`, which becomes the snapshot once it is
//! durable; one that is not wanted any more is called `.deleted` until nobody reads it. Both go at the next start. What
//! stands in a snapshot is `snapshot_file`'s matter.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;

use super::snapshot_file::{self, Contents};
use crate::{
    env::{Disk, OpenMode, WallTime},
    kafka::{
        config::MetadataLogConfig,
        log::LogError,
        raft::OffsetAndEpoch,
        types::{LeaderEpoch, Offset, Timestamp},
    },
};

const SUFFIX: &str = ".checkpoint";
const DELETED_SUFFIX: &str = ".checkpoint.deleted";
/// Kafka puts a number drawn by lot before it.
const FETCHED_SUFFIX: &str = "-fetched.checkpoint.part";
const OWN_SUFFIX: &str = "-own.checkpoint.part";
/// More than a snapshot's header has.
const HEADER_ROOM: usize = 1 << 10;

#[derive(Clone, Copy, Debug)]
struct Held {
    size: u64,
    /// When the last record that it stands for was appended.
    last_contained: Timestamp,
}

/// The snapshots that are complete.
pub(in crate::kafka::broker) struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: String,
    held: BTreeMap<OffsetAndEpoch, Held>,
}

fn parse(name: &str) -> Option<OffsetAndEpoch> {
    let (offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some(OffsetAndEpoch::new(Offset(offset.parse().ok()?), LeaderEpoch(epoch.parse().ok()?)))
}

fn path_of(dir: &str, id: OffsetAndEpoch, suffix: &str) -> String {
    format!("{dir}/{:020}-{:010}{suffix}", id.offset.0, id.epoch.0)
}

fn failed(action: &'static str, path: &str, source: io::Error) -> LogError {
    LogError::Io { action, path: path.to_owned(), source }
}

/// Writes a snapshot of this node's own; the size of what is durable then.
pub(super) async fn write_whole(
    disk: Arc<dyn Disk>,
    dir: String,
    id: OffsetAndEpoch,
    contents: Bytes,
) -> Result<u64, LogError> {
    let part = path_of(&dir, id, OWN_SUFFIX);
    let written = disk.open(&part, OpenMode::Truncate).and_then(|file| file.write_at(0, &contents));
    written.map_err(|source| failed("write", &part, source))?;
    make_complete(disk.as_ref(), &dir, id, &part).await
}

async fn make_complete(
    disk: &dyn Disk,
    dir: &str,
    id: OffsetAndEpoch,
    part: &str,
) -> Result<u64, LogError> {
    let path = path_of(dir, id, SUFFIX);
    let complete = async {
        let file = disk.open(part, OpenMode::ReadWrite)?;
        file.sync().await?;
        disk.rename(part, &path)?;
        disk.sync_dir(dir).await?;
        Ok(file.len())
    };
    complete.await.map_err(|source| failed("complete", &path, source))
}

impl Snapshots {
    /// Those that a log which starts at `start` may go on from; what else there is of snapshots is removed
    /// (`KafkaMetadataLog.recoverSnapshots`).
    pub fn load(disk: Arc<dyn Disk>, dir: &str, start: Offset) -> Result<Self, LogError> {
        let mut snapshots = Snapshots { disk, dir: dir.to_owned(), held: BTreeMap::new() };
        let names = snapshots.disk.list(dir).map_err(|source| failed("list", dir, source))?;
        for name in names {
            let is_unfinished = name.ends_with(".part") || name.ends_with(DELETED_SUFFIX);
            match parse(&name) {
                Some(id) if id.offset >= start => snapshots.add_existing(id)?,
                None if !is_unfinished => {}
                _ => {
                    let path = format!("{dir}/{name}");
                    let removed = snapshots.disk.remove(&path);
                    removed.map_err(|source| failed("remove", &path, source))?;
                }
            }
        }
        Ok(snapshots)
    }

    fn add_existing(&mut self, id: OffsetAndEpoch) -> Result<(), LogError> {
        let path = self.path(id);
        let file = self.disk.open(&path, OpenMode::Read);
        let size = file.map_err(|source| failed("open", &path, source))?.len();
        self.add(id, size)
    }

    /// One that is complete.
    pub fn add(&mut self, id: OffsetAndEpoch, size: u64) -> Result<(), LogError> {
        // One that cannot be read counts as new; whoever needs it will find out.
        let header = snapshot_file::last_contained(self.read(id, 0, HEADER_ROOM)?);
        let last_contained = header.unwrap_or(Timestamp(i64::MAX));
        self.held.insert(id, Held { size, last_contained });
        Ok(())
    }

    fn path(&self, id: OffsetAndEpoch) -> String {
        path_of(&self.dir, id, SUFFIX)
    }

    pub fn latest(&self) -> Option<OffsetAndEpoch> {
        self.held.last_key_value().map(|(id, _)| *id)
    }

    /// The first that reaches `offset` at least.
    pub fn earliest_from(&self, offset: Offset) -> Option<OffsetAndEpoch> {
        self.held.keys().find(|id| id.offset >= offset).copied()
    }

    pub fn ending_at(&self, offset: Offset) -> Option<OffsetAndEpoch> {
        self.held.keys().rev().find(|id| id.offset == offset).copied()
    }

    pub fn size(&self, id: OffsetAndEpoch) -> Option<u64> {
        self.held.get(&id).map(|held| held.size)
    }

    /// At most `max_bytes` from `position` on.
    pub fn read(
        &self,
        id: OffsetAndEpoch,
        position: u64,
        max_bytes: usize,
    ) -> Result<Bytes, LogError> {
        let path = self.path(id);
        let read = || {
            let file = self.disk.open(&path, OpenMode::Read)?;
            let left = usize::try_from(file.len().saturating_sub(position)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; left.min(max_bytes)];
            let count = file.read_at(position, &mut bytes)?;
            bytes.truncate(count);
            Ok(Bytes::from(bytes))
        };
        read().map_err(|source| failed("read", &path, source))
    }

    /// What a snapshot adds up to.
    pub fn contents(&self, id: OffsetAndEpoch) -> Result<Contents, LogError> {
        let contents = snapshot_file::decode(self.read(id, 0, usize::MAX)?);
        contents.map_err(|error| failed("load", &self.path(id), io::Error::other(error)))
    }

    /// Writes a part of a snapshot that is on its way; at position 0 it begins anew.
    pub fn write(&self, id: OffsetAndEpoch, position: u64, bytes: &[u8]) -> Result<(), LogError> {
        let path = path_of(&self.dir, id, FETCHED_SUFFIX);
        let mode = if position == 0 { OpenMode::Truncate } else { OpenMode::ReadWrite };
        let written = self.disk.open(&path, mode).and_then(|file| file.write_at(position, bytes));
        written.map_err(|source| failed("write", &path, source))
    }

    /// What was fetched of a snapshot is all of it: it becomes durable, and one of the snapshots. Nothing is to be done
    /// for one that is that already.
    pub async fn complete_fetched(&mut self, id: OffsetAndEpoch) -> Result<(), LogError> {
        if self.held.contains_key(&id) {
            return Ok(());
        }
        let part = path_of(&self.dir, id, FETCHED_SUFFIX);
        let size = make_complete(self.disk.as_ref(), &self.dir, id, &part).await?;
        self.add(id, size)
    }

    /// The snapshot that the log may start with instead of the oldest one, if there is too much of both or the oldest
    /// is too old (`KafkaMetadataLog.maybeClean`).
    pub fn next_start(
        &self,
        log_bytes: u64,
        now: WallTime,
        config: &MetadataLogConfig,
    ) -> Option<OffsetAndEpoch> {
        let mut held = self.held.iter();
        let ((_, oldest), (next, _)) = (held.next()?, held.next()?);
        let all = log_bytes + self.held.values().map(|held| held.size).sum::<u64>();
        let is_too_big = config.retention_bytes.is_some_and(|most| all > most);
        let age = i128::from(now.0) - i128::from(oldest.last_contained.0);
        let is_too_old = config.retention.is_some_and(|most| age > most.as_millis() as i128);
        (is_too_big || is_too_old).then_some(*next)
    }

    /// Forgets the snapshots before `start`; the paths of their files, which are called `.deleted` now.
    pub fn forget_before(&mut self, start: OffsetAndEpoch) -> Result<Vec<String>, LogError> {
        let kept = self.held.split_off(&start);
        let gone = std::mem::replace(&mut self.held, kept);
        let retire = |id: &OffsetAndEpoch| {
            let (path, retired) = (self.path(*id), path_of(&self.dir, *id, DELETED_SUFFIX));
            let renamed = self.disk.rename(&path, &retired);
            renamed.map(|()| retired).map_err(|source| failed("rename", &path, source))
        };
        gone.keys().map(retire).collect()
    }
}
