//! A machine's disk: the tree, its capacity, syncs under way, and what a power loss leaves.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Wake, Waker},
};

use rand_chacha::ChaCha8Rng;

use super::{
    directory::{Directory, FileNode, Node, Place, Tree, error},
    faults::{DiskFault, DiskOptions, Effect, Operation, Repeat},
    file::FileState,
};
use crate::{
    env::{BoxFuture, Disk, File, OpenMode, Space},
    sim::{
        lock::Lock,
        machine::Process,
        timers::Timers,
        trace::{Event, Trace, fingerprint},
    },
};

pub(in crate::sim) struct Storage {
    timers: Arc<Timers>,
    trace: Trace,
    host: u32,
    pub(super) tree: Lock<Tree>,
    pub(super) settings: Lock<Settings>,
    used: AtomicU64,
    next_id: AtomicU64,
    in_use: AtomicBool,
}

pub(super) struct Settings {
    pub options: DiskOptions,
    pub original: DiskOptions,
    pub faults: Vec<DiskFault>,
    pub rng: ChaCha8Rng,
}

impl Storage {
    /// `rng` is the disk's own stream.
    pub fn new(
        timers: Arc<Timers>,
        trace: Trace,
        host: u32,
        options: DiskOptions,
        rng: ChaCha8Rng,
    ) -> Self {
        let original = options.clone();
        Storage {
            timers,
            trace,
            host,
            tree: Lock::new(Tree::new()),
            settings: Lock::new(Settings { options, original, faults: Vec::new(), rng }),
            used: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            in_use: AtomicBool::new(false),
        }
    }

    pub fn set_in_use(&self, in_use: bool) {
        self.in_use.store(in_use, Ordering::Relaxed);
    }

    pub(super) fn in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn record(&self, event: Event, b: u64, c: u64) {
        self.trace.record_now(event, u64::from(self.host), b, c);
    }

    /// The page cache goes. No process may be alive.
    pub fn lose_power(&self) {
        let settings = &mut *self.settings.lock();
        let mut tree = self.tree.lock();
        let (survival, torn) = (settings.options.survival, settings.options.torn);
        let survivors = tree.lose_power(&mut settings.rng, survival);
        let mut used = 0;
        let mut content = 0;
        for (path, file) in Tree::files(&tree.root) {
            let mut state = file.state.lock();
            state.lose_power(&mut settings.rng, survival, torn);
            state.linked = true;
            used += state.footprint();
            content = u64::rotate_left(content, 1) ^ fingerprint(path.as_bytes()) ^ state.len();
        }
        self.used.store(used, Ordering::Relaxed);
        self.record(Event::PowerLoss, survivors, content);
    }

    pub(super) fn wipe(&self) {
        *self.tree.lock() = Tree::new();
        self.used.store(0, Ordering::Relaxed);
    }

    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The fault that hits this operation, if any.
    fn fault(&self, operation: Operation, path: &str) -> Option<Effect> {
        let mut settings = self.settings.lock();
        let matches = |fault: &DiskFault| {
            fault.operation == operation && path.starts_with(&fault.path_prefix)
        };
        let index = settings.faults.iter().position(matches)?;
        let fault = &mut settings.faults[index];
        let effect = fault.effect;
        if let Repeat::Next(left) = &mut fault.repeat {
            *left -= 1;
            if *left == 0 {
                settings.faults.remove(index);
            }
        }
        drop(settings);
        self.record(Event::DiskFault, 100 + operation as u64, fingerprint(path.as_bytes()));
        Some(effect)
    }

    fn check(&self, operation: Operation, path: &str) -> io::Result<()> {
        match self.fault(operation, path) {
            Some(_) => Err(failure(path)),
            None => Ok(()),
        }
    }

    /// How many of `wanted` more bytes fit, which are then taken.
    fn take_room(&self, wanted: u64) -> u64 {
        let used = self.used();
        let room = match self.settings.lock().options.capacity {
            Some(capacity) => capacity.saturating_sub(used).min(wanted),
            None => wanted,
        };
        self.used.store(used + room, Ordering::Relaxed);
        room
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What was below `node` no longer counts as used.
    fn unlink(&self, node: &Node) {
        let files = match node {
            Node::File(file) => vec![file.clone()],
            Node::Directory(directory) => {
                Tree::files(directory).into_iter().map(|(_, file)| file).collect()
            }
        };
        for file in files {
            let mut state = file.state.lock();
            if std::mem::take(&mut state.linked) {
                self.give_back(state.footprint());
            }
        }
    }

    fn changed(&self, path: &str, kind: u64) {
        self.record(Event::DirectoryChanged, kind, fingerprint(path.as_bytes()));
    }

    fn new_file(&self, tree: &mut Tree, place: Place, path: &str) -> io::Result<Arc<FileNode>> {
        self.check(Operation::Change, path)?;
        let state = FileState::linked();
        let file = Arc::new(FileNode { id: self.id(), state: Lock::new(state) });
        tree.create(place, Node::File(file.clone()));
        self.changed(path, 1);
        Ok(file)
    }

    fn sync_latency(&self) -> u64 {
        let settings = &mut *self.settings.lock();
        settings.options.sync_latency.draw(&mut settings.rng)
    }
}

/// What a broken device says. Rust has no portable kind for `EIO`.
fn failure(path: &str) -> io::Error {
    io::Error::other(format!("{path}: input/output error"))
}

/// `env::Disk` of one process. A dead process reads and writes no more.
pub(in crate::sim) struct SimDisk {
    pub storage: Arc<Storage>,
    pub process: Arc<Process>,
}

impl Disk for SimDisk {
    fn location(&self) -> String {
        "/data".into()
    }

    fn space(&self) -> io::Result<Option<Space>> {
        self.process.check_alive()?;
        let (capacity, used) = (self.storage.settings.lock().options.capacity, self.storage.used());
        Ok(capacity.map(|total| Space { total, free: total.saturating_sub(used) }))
    }

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.process.check_alive()?;
        let storage = &self.storage;
        let mut tree = storage.tree.lock();
        let place = tree.place(path)?;
        let node = match (place.directory.get(&place.name), mode) {
            (Some(Node::File(file)), _) => file,
            (Some(Node::Directory(_)), _) => return Err(error(ErrorKind::IsADirectory, path)),
            (None, OpenMode::Create | OpenMode::Truncate) => {
                storage.new_file(&mut tree, place, path)?
            }
            (None, OpenMode::Read | OpenMode::ReadWrite) => {
                return Err(error(ErrorKind::NotFound, path));
            }
        };
        drop(tree);
        let writable = mode != OpenMode::Read;
        let (storage, process) = (storage.clone(), self.process.clone());
        let file = SimFile { storage, process, node, path: Arc::from(path), writable };
        if mode == OpenMode::Truncate && file.len() > 0 {
            file.set_len(0)?;
        }
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.process.check_alive()?;
        let storage = &self.storage;
        let mut tree = storage.tree.lock();
        let node = tree.node(from)?;
        let (source, target) = (tree.place(from)?, tree.place(to)?);
        if from == to {
            return Ok(());
        }
        if let Node::Directory(_) = node
            && to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'))
        {
            return Err(error(ErrorKind::InvalidInput, to));
        }
        let replaced = target.directory.get(&target.name);
        match (&node, &replaced) {
            (Node::File(_), Some(Node::Directory(_))) => {
                return Err(error(ErrorKind::IsADirectory, to));
            }
            (Node::Directory(_), Some(Node::File(_))) => {
                return Err(error(ErrorKind::NotADirectory, to));
            }
            (Node::Directory(_), Some(Node::Directory(old))) if !old.is_empty() => {
                return Err(error(ErrorKind::DirectoryNotEmpty, to));
            }
            _ => {}
        }
        storage.check(Operation::Change, from)?;
        if let Some(replaced) = &replaced {
            storage.unlink(replaced);
        }
        tree.rename(source, target, node);
        storage.changed(from, 2);
        storage.changed(to, 3);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.process.check_alive()?;
        let storage = &self.storage;
        let mut tree = storage.tree.lock();
        let place = tree.place(path)?;
        let node = tree.node(path)?;
        storage.check(Operation::Change, path)?;
        storage.unlink(&node);
        tree.remove(place, &node);
        storage.changed(path, 4);
        Ok(())
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.process.check_alive()?;
        let storage = &self.storage;
        let mut tree = storage.tree.lock();
        let mut so_far = String::new();
        for part in super::directory::parts(path)? {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(part);
            let place = tree.place(&so_far)?;
            match place.directory.get(&place.name) {
                Some(Node::Directory(_)) => {}
                Some(Node::File(_)) => return Err(error(ErrorKind::AlreadyExists, &so_far)),
                None => {
                    storage.check(Operation::Change, &so_far)?;
                    let directory = Arc::new(Directory::new(storage.id()));
                    tree.create(place, Node::Directory(directory));
                    storage.changed(&so_far, 5);
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.storage.tree.lock().directory(path)?.names())
    }

    fn sync_dir(&self, path: &str) -> BoxFuture<'static, io::Result<()>> {
        let storage = &self.storage;
        let (directory, last) = {
            let tree = storage.tree.lock();
            match tree.directory(path) {
                Ok(directory) if tree.is_synced(&directory) => return ready(Ok(())),
                Ok(directory) => (directory, tree.latest_change()),
                Err(error) => return ready(Err(error)),
            }
        };
        let effect = storage.fault(Operation::SyncDirectory, path);
        storage.record(Event::SyncBegun, directory.id, last);
        let due = storage.timers.now() + storage.sync_latency();
        SyncInProgress::start(storage, Target::Directory(directory, last), effect, path, due)
    }
}

struct SimFile {
    storage: Arc<Storage>,
    process: Arc<Process>,
    node: Arc<FileNode>,
    path: Arc<str>,
    writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        self.process.check_alive()?;
        match self.writable {
            true => self.storage.check(Operation::Write, &self.path),
            false => Err(error(ErrorKind::PermissionDenied, &self.path)),
        }
    }
}

impl File for SimFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.storage.check(Operation::Read, &self.path)?;
        Ok(self.node.state.lock().read_at(position, buf))
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.node.state.lock();
        let end = position + data.len() as u64;
        let growth = end.saturating_sub(state.footprint());
        let mut fits = data.len();
        if growth > 0 && state.linked && !data.is_empty() {
            let room = self.storage.take_room(growth);
            let missing = growth - room;
            fits = fits.saturating_sub(missing as usize);
            if fits == 0 {
                self.storage.give_back(room);
            }
        }
        state.write_at(position, &data[..fits]);
        self.storage.record(Event::FileWritten, self.node.id, (position << 20) ^ fits as u64);
        match fits == data.len() {
            true => Ok(()),
            false => Err(error(ErrorKind::StorageFull, &self.path)),
        }
    }

    fn len(&self) -> u64 {
        self.node.state.lock().len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.node.state.lock();
        let before = state.footprint();
        state.set_len(len);
        if state.linked {
            self.storage.give_back(before - state.footprint());
        }
        self.storage.record(Event::FileCut, self.node.id, len);
        Ok(())
    }

    fn sync(&self) -> BoxFuture<'static, io::Result<()>> {
        let storage = &self.storage;
        let effect = storage.fault(Operation::Sync, &self.path);
        let mut state = self.node.state.lock();
        if effect.is_none() && state.is_clean() {
            return ready(Ok(()));
        }
        let id = storage.id();
        let pages = state.begin_sync(id);
        storage.record(Event::SyncBegun, self.node.id, pages);
        let due = (storage.timers.now() + storage.sync_latency()).max(state.last_sync_due + 1);
        state.last_sync_due = due;
        drop(state);
        let target = Target::File(self.node.clone(), id);
        SyncInProgress::start(storage, target, effect, &self.path, due)
    }
}

fn ready(result: io::Result<()>) -> BoxFuture<'static, io::Result<()>> {
    Box::pin(std::future::ready(result))
}

enum Target {
    File(Arc<FileNode>, u64),
    /// A directory and the last of its changes that is covered.
    Directory(Arc<Directory>, u64),
}

/// A sync between its call and its end. The end is a timer's wake, so that the kernel finishes what a
/// dead process began; a power loss takes away what it would act on.
struct SyncInProgress {
    storage: Arc<Storage>,
    target: Target,
    effect: Option<Effect>,
    due: u64,
    outcome: Lock<(bool, Option<Waker>)>,
}

impl SyncInProgress {
    fn start(
        storage: &Arc<Storage>,
        target: Target,
        effect: Option<Effect>,
        path: &str,
        due: u64,
    ) -> BoxFuture<'static, io::Result<()>> {
        let storage = storage.clone();
        let outcome = Lock::new((false, None));
        let sync = Arc::new(SyncInProgress { storage, target, effect, due, outcome });
        sync.storage.timers.wake_at(due, &Waker::from(sync.clone()));
        let failed = (effect == Some(Effect::Error)).then(|| path.to_owned());
        Box::pin(async move {
            poll_fn(|context| {
                let mut outcome = sync.outcome.lock();
                if outcome.0 {
                    return Poll::Ready(());
                }
                outcome.1 = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            match failed {
                Some(path) => Err(failure(&path)),
                None => Ok(()),
            }
        })
    }
}

impl Wake for SyncInProgress {
    /// Runs under madsim's timer lock.
    fn wake(self: Arc<Self>) {
        let host = u64::from(self.storage.host);
        let id = match &self.target {
            Target::File(file, sync) => {
                let mut state = file.state.lock();
                match self.effect {
                    None => state.complete_sync(*sync),
                    Some(Effect::Error) => state.fail_sync(*sync),
                    Some(Effect::Lie) => state.skip_sync(*sync),
                }
                file.id
            }
            Target::Directory(directory, last) => {
                if self.effect.is_none() {
                    self.storage.tree.lock().sync(directory, *last);
                }
                directory.id
            }
        };
        self.storage.trace.record(
            self.due,
            Event::SyncEnded,
            host,
            id,
            self.effect.is_some() as u64,
        );
        let mut outcome = self.outcome.lock();
        outcome.0 = true;
        if let Some(waker) = outcome.1.take() {
            waker.wake();
        }
    }
}
