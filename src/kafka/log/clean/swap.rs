//! Putting a rewritten segment in the place of those it was made of, so that a crash at any point leaves
//! the old ones or the new one.
//!
//! The names are Kafka's: a copy is called `.cleaned` while it is written, `.swap` once it is whole and
//! durable, and from then on it counts; the old files become `.deleted`, and last the copy gets its plain
//! name. Each change of names is durable before the next begins. Kafka leaves that to the file system's
//! journal, which keeps renames in order.

use std::{io, sync::Arc};

use crate::{
    env::{Disk, OpenMode},
    kafka::{
        log::{
            Log, LogError,
            scan::{Depth, Scan, ScanError},
            segment::{DELETED, SUFFIXES, Segment, offset_of, path_of},
        },
        types::Offset,
    },
};

pub(super) const CLEANED: &str = ".cleaned";
const SWAP: &str = ".swap";

/// A rewritten segment, not yet part of its log.
pub struct Cleaned {
    disk: Arc<dyn Disk>,
    dir: String,
    segment: Box<Segment>,
    /// Bases of the segments it was made of.
    replaced: Vec<Offset>,
}

/// A rewritten segment that its log uses, under names that tell of the swap.
#[must_use]
pub struct Swap {
    disk: Arc<dyn Disk>,
    dir: String,
    base: Offset,
}

impl Cleaned {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: String,
        segment: Box<Segment>,
        replaced: Vec<Offset>,
    ) -> Self {
        Cleaned { disk, dir, segment, replaced }
    }

    /// Makes the segment durable, as one that replaces the others.
    pub async fn store(&mut self) -> Result<(), LogError> {
        for (path, file) in self.segment.take_dirty() {
            file.sync().await.map_err(LogError::io("sync", &path))?;
        }
        for suffix in SUFFIXES {
            let plain = path_of(&self.dir, self.segment.base, suffix);
            let (from, to) = (format!("{plain}{CLEANED}"), format!("{plain}{SWAP}"));
            self.disk.rename(&from, &to).map_err(LogError::io("rename", &from))?;
        }
        sync_dir(self.disk.as_ref(), &self.dir).await
    }

    /// Takes the segment away again, durably: it was stored, and its log has been cut meanwhile. A start before that
    /// puts it in the place of what came since.
    pub async fn discard(self) -> Result<(), LogError> {
        for suffix in SUFFIXES {
            remove(self.disk.as_ref(), &self.dir, &swap_name(self.segment.base, suffix))?;
        }
        sync_dir(self.disk.as_ref(), &self.dir).await
    }
}

impl Log {
    /// Uses the segment from now on; it must have been stored, and the log be as it was ([`Log::is_as_cleaned`]). The
    /// files of those before it are called `.deleted` then.
    pub fn swap_in(&mut self, cleaned: Cleaned) -> Result<Swap, LogError> {
        let Cleaned { disk, dir, mut segment, replaced } = cleaned;
        let base = segment.base;
        self.changing(|log| {
            let first = log.slot_of(base);
            let old = first..first + replaced.len();
            let bases = log.segments[old.clone()].iter().map(|segment| segment.base);
            assert!(bases.eq(replaced), "nothing else changes old segments during a cleaning");
            log.retire_segments(old, Some(base))?;
            segment.set_plain_paths(&log.dir);
            log.segments.insert(first, *segment);
            Ok(())
        })?;
        Ok(Swap { disk, dir, base })
    }
}

impl Swap {
    /// Gives the segment its plain name.
    pub async fn finish(self) -> Result<(), LogError> {
        let disk = self.disk.as_ref();
        sync_dir(disk, &self.dir).await?;
        for suffix in SUFFIXES {
            let plain = path_of(&self.dir, self.base, suffix);
            let from = format!("{plain}{SWAP}");
            disk.rename(&from, &plain).map_err(LogError::io("rename", &from))?;
        }
        sync_dir(disk, &self.dir).await
    }
}

/// Removes the files that a cleaning has begun and not stored; for one that is given up.
pub fn discard_cleaned(disk: &dyn Disk, dir: &str) -> Result<(), LogError> {
    let names = disk.list(dir).map_err(LogError::io("list", dir))?;
    names.iter().filter(|name| name.ends_with(CLEANED)).try_for_each(|name| remove(disk, dir, name))
}

/// Brings a directory that a crash left in the middle of something to where the log can be loaded: swaps
/// that are whole are finished, everything else temporary goes. After `LogLoader.load`.
pub(in crate::kafka::log) async fn finish_interrupted(
    disk: &dyn Disk,
    dir: &str,
    names: Vec<String>,
) -> Result<Vec<String>, LogError> {
    let temporary = |name: &&String| [DELETED, CLEANED, SWAP].iter().any(|end| name.ends_with(end));
    if !names.iter().any(|name| temporary(&name)) {
        return Ok(names);
    }
    for name in names.iter().filter(|name| temporary(name) && !is_whole_swap(name, &names)) {
        remove(disk, dir, name)?;
    }
    for base in names.iter().filter_map(|name| swapped_log(name)) {
        if !is_whole_swap(&swap_name(base, SUFFIXES[0]), &names) {
            continue;
        }
        let end = end_of_swap(disk, dir, base)?;
        let old = |name: &&String| {
            let of = |suffix| offset_of(name, suffix);
            SUFFIXES.iter().find_map(|suffix| of(suffix)).is_some_and(|at| base <= at && at < end)
        };
        for name in names.iter().filter(old) {
            remove(disk, dir, name)?;
        }
        sync_dir(disk, dir).await?;
        for suffix in SUFFIXES.iter().filter(|suffix| names.contains(&swap_name(base, suffix))) {
            let plain = path_of(dir, base, suffix);
            let from = format!("{plain}{SWAP}");
            disk.rename(&from, &plain).map_err(LogError::io("rename", &from))?;
        }
    }
    sync_dir(disk, dir).await?;
    disk.list(dir).map_err(LogError::io("list", dir))
}

fn swap_name(base: Offset, suffix: &str) -> String {
    path_of("", base, suffix)[1..].to_owned() + SWAP
}

/// The base of the segment if this is the name of a `.log.swap`.
fn swapped_log(name: &str) -> Option<Offset> {
    offset_of(name.strip_suffix(SWAP)?, SUFFIXES[0])
}

/// Whether the file belongs to a copy that is to replace others: its log is a `.swap`, and none of its
/// files is still a `.cleaned` (KAFKA-6264). An index alone is of no use: one that is missing is made anew.
fn is_whole_swap(name: &str, names: &[String]) -> bool {
    let plain = name.strip_suffix(SWAP);
    let base = plain.and_then(|plain| SUFFIXES.iter().find_map(|suffix| offset_of(plain, suffix)));
    base.is_some_and(|base| {
        let cleaned = |suffix| path_of("", base, suffix)[1..].to_owned() + CLEANED;
        names.contains(&swap_name(base, SUFFIXES[0]))
            && !SUFFIXES.iter().any(|suffix| names.contains(&cleaned(suffix)))
    })
}

/// The offset after the last batch of a `.log.swap`.
fn end_of_swap(disk: &dyn Disk, dir: &str, base: Offset) -> Result<Offset, LogError> {
    let path = format!("{dir}/{}", swap_name(base, SUFFIXES[0]));
    let file = disk.open(&path, OpenMode::Read).map_err(LogError::io("open", &path))?;
    let mut scan = Scan::new(file.as_ref(), &path, 0, file.len(), Depth::Header);
    let mut end = base + 1;
    loop {
        match scan.next() {
            Ok(Some(found)) => end = end.max(found.header.next_offset()),
            // It was synced; if the disk lied, what is left of it is for recovery to judge.
            Ok(None) | Err(ScanError::Bad(_)) => return Ok(end),
            Err(ScanError::Log(error)) => return Err(error),
        }
    }
}

fn remove(disk: &dyn Disk, dir: &str, name: &str) -> Result<(), LogError> {
    let path = format!("{dir}/{name}");
    match disk.remove(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(LogError::io("remove", &path)),
    }
}

async fn sync_dir(disk: &dyn Disk, dir: &str) -> Result<(), LogError> {
    disk.sync_dir(dir).await.map_err(LogError::io("sync", dir))
}
