//! What a nemesis can do to a disk, and how a test looks inside.

use std::{io, sync::Arc, time::Duration};

use super::{
    directory::{Node, Tree, error},
    storage::Storage,
};
use crate::sim::{
    chance::{Chance, Latency},
    trace::Event,
};

/// A disk as it comes out of the box.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Bytes that fit; `None` for a disk that is never full.
    pub capacity: Option<u64>,
    /// How long a sync takes that has something to do.
    pub sync_latency: Latency,
    /// Chance that an unsynced page, length or change of a directory survives a power loss: `NEVER`
    /// leaves what was synced and nothing more, `ALWAYS` what a kill would leave.
    pub survival: Chance,
    /// Chance that a surviving page is torn: some of its sectors are from another of its versions.
    pub torn: Chance,
}

impl Default for DiskOptions {
    /// A data-centre SSD.
    fn default() -> Self {
        let (min, max) = (Duration::from_micros(300), Duration::from_millis(2));
        DiskOptions {
            capacity: None,
            sync_latency: Latency::Uniform { min, max },
            survival: Chance::EVEN,
            torn: Chance::of(0.3),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Read,
    /// Writes, and cuts of a file.
    Write,
    /// Syncs of files.
    Sync,
    /// Creating, renaming and removing.
    Change,
    /// Syncs of directories.
    SyncDirectory,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// An I/O error. A write does nothing; a failing sync leaves its pages *clean but not durable*: the
    /// next sync will not write them either, as on Linux.
    Error,
    /// A sync that returns success and does nothing, leaving the pages dirty. No other operation can
    /// lie; there it acts like [`Effect::Error`].
    Lie,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// The next so many operations that match.
    Next(u32),
    Always,
}

/// One fault on a disk. Of several that match, the one added first acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskFault {
    pub operation: Operation,
    /// Paths that begin so; `""` for all.
    pub path_prefix: String,
    pub effect: Effect,
    pub repeat: Repeat,
}

/// The handle of a nemesis to one machine's disk. Cheap to clone.
#[derive(Clone)]
pub struct DiskControl {
    pub(super) storage: Arc<Storage>,
}

impl DiskControl {
    pub(in crate::sim) fn new(storage: Arc<Storage>) -> Self {
        DiskControl { storage }
    }

    /// Writes that would take more bytes fail with `StorageFull`. Below what is in use, nothing is lost
    /// but every growth fails.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.storage.settings.lock().options.capacity = bytes;
        self.note(1);
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.storage.used()
    }

    pub fn set_sync_latency(&self, latency: Latency) {
        self.storage.settings.lock().options.sync_latency = latency;
        self.note(2);
    }

    pub fn set_survival(&self, survival: Chance, torn: Chance) {
        let mut settings = self.storage.settings.lock();
        settings.options.survival = survival;
        settings.options.torn = torn;
        drop(settings);
        self.note(7);
    }

    pub fn options(&self) -> DiskOptions {
        self.storage.settings.lock().options.clone()
    }

    pub fn add_fault(&self, fault: DiskFault) {
        self.storage.settings.lock().faults.push(fault);
        self.note(3);
    }

    /// Takes all faults off and sets the options back to those the machine was added with. Corrupt
    /// bytes stay.
    pub fn heal(&self) {
        let mut settings = self.storage.settings.lock();
        settings.faults.clear();
        settings.options = settings.original.clone();
        drop(settings);
        self.note(4);
    }

    /// Flips bits in the 512-byte sector that holds `position`, on the disk and in the page cache.
    /// Fails with `InvalidInput` if the file has no such sector.
    pub fn corrupt(&self, path: &str, position: u64) -> io::Result<()> {
        let Node::File(file) = self.storage.tree.lock().node(path)? else {
            return Err(error(io::ErrorKind::IsADirectory, path));
        };
        self.note(5);
        let rng = &mut self.storage.settings.lock().rng;
        match file.state.lock().corrupt(position, rng) {
            true => Ok(()),
            false => Err(error(io::ErrorKind::InvalidInput, path)),
        }
    }

    /// Removes everything, as if the disk had been replaced. Panics while the machine runs: nothing
    /// useful could be said of what a process then sees.
    pub fn wipe(&self) {
        assert!(!self.storage.in_use(), "a disk is wiped while its machine is stopped");
        self.note(6);
        self.storage.wipe();
    }

    /// A file as a process would read it at this moment, faults aside.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.storage.tree.lock().node(path)? {
            Node::File(file) => Ok(file.state.lock().cached_content()),
            Node::Directory(_) => Err(error(io::ErrorKind::IsADirectory, path)),
        }
    }

    /// What of a file is durable for certain; `None` if not even its name is.
    pub fn read_durable(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.storage.tree.lock().durable_file(path)?;
        let content = file.state.lock().durable_content();
        Some(content)
    }

    /// Paths of all files, sorted.
    pub fn files(&self) -> Vec<String> {
        let root = self.storage.tree.lock().root.clone();
        Tree::files(&root).into_iter().map(|(path, _)| path).collect()
    }

    /// Names in a directory, sorted; none if there is no such directory.
    pub fn names(&self, directory: &str) -> Vec<String> {
        match self.storage.tree.lock().node(directory) {
            Ok(Node::Directory(directory)) => directory.names(),
            Ok(Node::File(_)) | Err(_) => Vec::new(),
        }
    }

    fn note(&self, change: u64) {
        self.storage.record(Event::DiskFault, change, 0);
    }
}
