//! A disk as a log needs it: small, positional, and honest about what survives what.
//!
//! Reads, writes and changes of directories work on the page cache and return at once. `sync` makes a
//! file's bytes and length durable, `sync_dir` a directory's entries (create, rename, remove). **A killed
//! process loses nothing of the page cache; a power loss keeps of unsynced pages and entries what it
//! likes.** After an error from a write or a sync nobody knows what is on the disk: the caller stops
//! using the file.
//!
//! Paths are relative to the node's data directory, with `/` between parts.

use std::{io, sync::Arc};

use super::BoxFuture;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// The file must exist; writes fail.
    Read,
    /// The file must exist.
    ReadWrite,
    /// Created empty if missing, kept as it is otherwise.
    Create,
    /// Created empty, or emptied.
    Truncate,
}

pub trait File: Send + Sync {
    /// Reads up to `buf.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `data` at `position`; a gap before it reads as zeros. `StorageFull` leaves the file
    /// as it was or with a prefix of `data`.
    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes all that was written before the call durable. A file whose entry was never synced
    /// (see [`Disk::sync_dir`]) may still vanish as a whole.
    fn sync(&self) -> BoxFuture<'static, io::Result<()>>;
}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub total: u64,
    /// What may still be written.
    pub free: u64,
}

pub trait Disk: Send + Sync {
    /// Where the data directory lies, for people to read.
    fn location(&self) -> String;

    /// `None` for a disk that never fills.
    fn space(&self) -> io::Result<Option<Space>>;

    /// Parent directories must exist. An open file stays usable after a rename or remove of its path.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Replaces `to` if it exists. Works on files and directories.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, or a directory with all that is in it. `NotFound` if there is none.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Creates a directory and its parents; fine if it exists.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Names in a directory (`""` is the data directory itself), sorted.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Makes the directory's entries durable.
    fn sync_dir(&self, path: &str) -> BoxFuture<'static, io::Result<()>>;
}
