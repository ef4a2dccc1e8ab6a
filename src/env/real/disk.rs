//! A directory of the real file system, by positional reads and writes.
//!
//! Reads and writes go to the kernel's page cache and block no longer than a system call does; syncs
//! wait for the device and so run on tokio's blocking threads.
// This is where the ban on std::fs leads to.
#![allow(clippy::disallowed_methods)]

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use crate::env::{BoxFuture, Disk, File, OpenMode, Space};

/// Held while a process uses the directory; Kafka locks a file of this name too. It is the world's own and
/// no part of what a node lists.
const LOCK: &str = ".lock";

pub(super) struct RealDisk {
    root: PathBuf,
    _lock: fs::File,
}

impl RealDisk {
    /// Fails with `ResourceBusy` while another process, or another disk of this one, has the directory.
    pub fn new(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let root = std::path::absolute(root)?;
        let lock = fs::OpenOptions::new().create(true).append(true).open(root.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(RealDisk { root, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => {
                let message = "it is in use: another process or broker holds its .lock";
                Err(io::Error::new(ErrorKind::ResourceBusy, message))
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Below the data directory, or `InvalidInput` for a path that might lead out of it.
    fn locate(&self, path: &str) -> io::Result<PathBuf> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("{path}: not a path")));
        }
        Ok(self.root.join(path))
    }

    /// As [`RealDisk::locate`], for what cannot be done to the data directory itself.
    fn locate_entry(&self, path: &str) -> io::Result<PathBuf> {
        match path {
            "" => Err(ErrorKind::InvalidInput.into()),
            _ => self.locate(path),
        }
    }
}

impl Disk for RealDisk {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn space(&self) -> io::Result<Option<Space>> {
        let volume = rustix::fs::statvfs(&self.root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        Ok(Some(Space { total: bytes(volume.f_blocks), free: bytes(volume.f_bavail) }))
    }

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let path = self.locate_entry(path)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read);
        options.create(matches!(mode, OpenMode::Create | OpenMode::Truncate));
        options.truncate(mode == OpenMode::Truncate);
        let file = options.open(&path)?;
        if file.metadata()?.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(RealFile(Arc::new(file))))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.locate_entry(from)?, self.locate_entry(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.locate_entry(path)?;
        match fs::symlink_metadata(&path)?.is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        }
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.locate(path)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.locate(path)?)? {
            let name = entry?.file_name().into_string();
            // A name that is not text was made by someone else.
            names.extend(name.ok().filter(|name| !path.is_empty() || name != LOCK));
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, path: &str) -> BoxFuture<'static, io::Result<()>> {
        let directory = self.locate(path).and_then(fs::File::open);
        Box::pin(async move {
            let directory = directory?;
            blocking(move || directory.sync_all()).await
        })
    }
}

struct RealFile(Arc<fs::File>);

impl File for RealFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buf.len() {
            match self.0.read_at(&mut buf[read..], position + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, position)
    }

    fn len(&self) -> u64 {
        // An open file's metadata is in memory: the call has nothing to fail on.
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> BoxFuture<'static, io::Result<()>> {
        let file = self.0.clone();
        // The length is what fdatasync syncs of the metadata, and all that is needed.
        Box::pin(blocking(move || file.sync_data()))
    }
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
