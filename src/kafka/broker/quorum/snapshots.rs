//! Snapshots of the metadata beside the log, in files named by the offset and the epoch they reach
//! (`Snapshots.filenameFromSnapshotId`).
//!
//! A snapshot that is being fetched is written to a file called `.part`, which becomes the snapshot once it is
//! durable. What a node takes from a snapshot is `broker/metadata.rs`'s matter.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;

use crate::{
    env::{Disk, OpenMode},
    kafka::{
        log::LogError,
        raft::OffsetAndEpoch,
        types::{LeaderEpoch, Offset},
    },
};

const SUFFIX: &str = ".checkpoint";
const PART_SUFFIX: &str = ".part";

/// The snapshots that are complete.
pub(in crate::kafka::broker) struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: String,
    sizes: BTreeMap<OffsetAndEpoch, u64>,
}

fn parse(name: &str) -> Option<OffsetAndEpoch> {
    let (offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some(OffsetAndEpoch::new(Offset(offset.parse().ok()?), LeaderEpoch(epoch.parse().ok()?)))
}

impl Snapshots {
    pub fn load(disk: Arc<dyn Disk>, dir: &str) -> Result<Self, LogError> {
        let mut snapshots = Snapshots { disk, dir: dir.to_owned(), sizes: BTreeMap::new() };
        let names = snapshots.disk.list(dir);
        let names = names.map_err(|source| snapshots.failed("list", dir.to_owned(), source))?;
        for id in names.iter().filter_map(|name| parse(name)) {
            let path = snapshots.path(id);
            let file = snapshots.disk.open(&path, OpenMode::Read);
            let file = file.map_err(|source| snapshots.failed("open", path, source))?;
            snapshots.sizes.insert(id, file.len());
        }
        Ok(snapshots)
    }

    fn path(&self, id: OffsetAndEpoch) -> String {
        format!("{}/{:020}-{:010}{SUFFIX}", self.dir, id.offset.0, id.epoch.0)
    }

    fn failed(&self, action: &'static str, path: String, source: io::Error) -> LogError {
        LogError::Io { action, path, source }
    }

    pub fn latest(&self) -> Option<OffsetAndEpoch> {
        self.sizes.last_key_value().map(|(id, _)| *id)
    }

    pub fn ending_at(&self, offset: Offset) -> Option<OffsetAndEpoch> {
        self.sizes.keys().rev().find(|id| id.offset == offset).copied()
    }

    pub fn size(&self, id: OffsetAndEpoch) -> Option<u64> {
        self.sizes.get(&id).copied()
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
        read().map_err(|source| self.failed("read", path.clone(), source))
    }

    /// All of a snapshot.
    pub fn read_all(&self, id: OffsetAndEpoch) -> Result<Bytes, LogError> {
        self.read(id, 0, usize::MAX)
    }

    /// Writes a part of a snapshot that is on its way; at position 0 it begins anew.
    pub fn write(&self, id: OffsetAndEpoch, position: u64, bytes: &[u8]) -> Result<(), LogError> {
        let path = self.path(id) + PART_SUFFIX;
        let mode = if position == 0 { OpenMode::Truncate } else { OpenMode::ReadWrite };
        let written = self.disk.open(&path, mode).and_then(|file| file.write_at(position, bytes));
        written.map_err(|source| self.failed("write", path, source))
    }

    /// What was written of a snapshot is all of it: it becomes durable, and one of the snapshots.
    pub async fn install(&mut self, id: OffsetAndEpoch) -> Result<(), LogError> {
        let path = self.path(id);
        let part = path.clone() + PART_SUFFIX;
        let install = async {
            let file = self.disk.open(&part, OpenMode::ReadWrite)?;
            file.sync().await?;
            self.disk.rename(&part, &path)?;
            self.disk.sync_dir(&self.dir).await?;
            Ok(file.len())
        };
        let size = install.await.map_err(|source| self.failed("install", path, source))?;
        self.sizes.insert(id, size);
        Ok(())
    }
}
