//! A disk in memory without faults or delays, whose files a test may damage.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use crate::env::{BoxFuture, Disk, File, OpenMode, Space};

type Bytes = Arc<Mutex<Vec<u8>>>;

/// Files by path, and the paths that are directories.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    directories: Arc<Mutex<Vec<String>>>,
    pub fail_writes: Arc<Mutex<bool>>,
}

struct MemoryFile {
    bytes: Bytes,
    fail: Arc<Mutex<bool>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl MemoryDisk {
    /// Changes a file behind the log's back.
    pub fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = lock(&self.files).get(path).cloned().unwrap();
        change(&mut lock(&file));
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        let file = lock(&self.files).get(path).cloned().unwrap();
        lock(&file).clone()
    }

    /// Another disk with the same contents.
    pub fn copy(&self) -> MemoryDisk {
        let copy = MemoryDisk::default();
        for (path, bytes) in lock(&self.files).iter() {
            let bytes = Arc::new(Mutex::new(lock(bytes).clone()));
            lock(&copy.files).insert(path.clone(), bytes);
        }
        *lock(&copy.directories) = lock(&self.directories).clone();
        copy
    }
}

impl File for MemoryFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = lock(&self.bytes);
        let rest = bytes.get(position as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        if *lock(&self.fail) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut bytes = lock(&self.bytes);
        let end = position as usize + data.len();
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[position as usize..end].copy_from_slice(data);
        Ok(())
    }

    fn len(&self) -> u64 {
        lock(&self.bytes).len() as u64
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.bytes).resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Disk for MemoryDisk {
    fn location(&self) -> String {
        "memory".into()
    }

    fn space(&self) -> io::Result<Option<Space>> {
        Ok(None)
    }

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut files = lock(&self.files);
        let create = matches!(mode, OpenMode::Create | OpenMode::Truncate);
        if !create && !files.contains_key(path) {
            return Err(missing());
        }
        let bytes = files.entry(path.into()).or_default().clone();
        if mode == OpenMode::Truncate {
            lock(&bytes).clear();
        }
        Ok(Arc::new(MemoryFile { bytes, fail: self.fail_writes.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = lock(&self.files);
        let bytes = files.remove(from).ok_or_else(missing)?;
        files.insert(to.into(), bytes);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        lock(&self.files).remove(path).map(drop).ok_or_else(missing)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        lock(&self.directories).push(path.into());
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        if !lock(&self.directories).iter().any(|known| known == path) {
            return Err(missing());
        }
        let inside = |name: &String| name.strip_prefix(path)?.strip_prefix('/').map(String::from);
        Ok(lock(&self.files).keys().filter_map(inside).collect())
    }

    fn sync_dir(&self, _: &str) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
