//! The tree of names, and its changes that a power loss may undo.
//!
//! A change (create, remove, rename) sets one or two names at once and is atomic. A power loss keeps any
//! set of unsynced changes that is closed under "came before, on the same name or the same file": what a
//! journaling file system could show, and always a consistent tree.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    sync::Arc,
};

use rand::Rng;

use super::file::FileState;
use crate::sim::{chance::Chance, lock::Lock};

pub(super) struct FileNode {
    pub id: u64,
    pub state: Lock<FileState>,
}

#[derive(Clone)]
pub(super) enum Node {
    File(Arc<FileNode>),
    Directory(Arc<Directory>),
}

impl Node {
    fn id(&self) -> u64 {
        match self {
            Node::File(file) => file.id,
            Node::Directory(directory) => directory.id,
        }
    }
}

pub(super) struct Directory {
    pub id: u64,
    entries: Lock<Entries>,
}

#[derive(Default)]
struct Entries {
    cached: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

impl Directory {
    pub fn new(id: u64) -> Self {
        Directory { id, entries: Lock::default() }
    }

    pub fn get(&self, name: &str) -> Option<Node> {
        self.entries.lock().cached.get(name).cloned()
    }

    pub fn names(&self) -> Vec<String> {
        self.entries.lock().cached.keys().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.lock().cached.is_empty()
    }

    fn children(&self) -> Vec<(String, Node)> {
        let entries = self.entries.lock();
        entries.cached.iter().map(|(name, node)| (name.clone(), node.clone())).collect()
    }
}

/// A name in a directory, and what it stands for after the change.
struct Setting {
    directory: Arc<Directory>,
    name: String,
    node: Option<Node>,
}

struct Change {
    number: u64,
    settings: Vec<Setting>,
    /// The file or directory that was moved, made or removed.
    subject: u64,
}

pub(super) struct Tree {
    pub root: Arc<Directory>,
    pending: Vec<Change>,
    changes: u64,
}

/// A path taken apart: its directory, and the name in it.
pub(super) struct Place {
    pub directory: Arc<Directory>,
    pub name: String,
}

impl Tree {
    pub fn new() -> Self {
        Tree { root: Arc::new(Directory::new(0)), pending: Vec::new(), changes: 0 }
    }

    pub fn directory(&self, path: &str) -> io::Result<Arc<Directory>> {
        let mut directory = self.root.clone();
        for part in parts(path)? {
            directory = match directory.get(part) {
                Some(Node::Directory(next)) => next,
                Some(Node::File(_)) => return Err(error(ErrorKind::NotADirectory, path)),
                None => return Err(error(ErrorKind::NotFound, path)),
            };
        }
        Ok(directory)
    }

    /// Where `path` is or would be; its directory must exist.
    pub fn place(&self, path: &str) -> io::Result<Place> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if parts(path)?.is_empty() {
            return Err(error(ErrorKind::InvalidInput, path));
        }
        Ok(Place { directory: self.directory(parent)?, name: name.to_owned() })
    }

    pub fn node(&self, path: &str) -> io::Result<Node> {
        if path.is_empty() {
            return Ok(Node::Directory(self.root.clone()));
        }
        let place = self.place(path)?;
        place.directory.get(&place.name).ok_or_else(|| error(ErrorKind::NotFound, path))
    }

    /// Puts a new node at `place`.
    pub fn create(&mut self, place: Place, node: Node) {
        let subject = node.id();
        let Place { directory, name } = place;
        self.change(subject, vec![Setting { directory, name, node: Some(node) }]);
    }

    pub fn remove(&mut self, place: Place, node: &Node) {
        let Place { directory, name } = place;
        self.change(node.id(), vec![Setting { directory, name, node: None }]);
    }

    pub fn rename(&mut self, from: Place, to: Place, node: Node) {
        let subject = node.id();
        let away = Setting { directory: from.directory, name: from.name, node: None };
        let there = Setting { directory: to.directory, name: to.name, node: Some(node) };
        self.change(subject, vec![away, there]);
    }

    fn change(&mut self, subject: u64, settings: Vec<Setting>) {
        for setting in &settings {
            let cached = &mut setting.directory.entries.lock().cached;
            set(cached, setting);
        }
        self.changes += 1;
        self.pending.push(Change { number: self.changes, settings, subject });
    }

    /// The number of the latest change: what a sync that begins here covers.
    pub fn latest_change(&self) -> u64 {
        self.changes
    }

    pub fn is_synced(&self, directory: &Arc<Directory>) -> bool {
        !self.pending.iter().any(|change| change.touches(directory))
    }

    /// Makes changes of `directory` up to number `last` durable, with all that came before them on the
    /// same names and files.
    pub fn sync(&mut self, directory: &Arc<Directory>, last: u64) {
        self.commit(|change| change.number <= last && change.touches(directory));
    }

    /// The power goes. Returns how many unsynced changes survived.
    pub fn lose_power(&mut self, rng: &mut impl Rng, survival: Chance) -> u64 {
        let survivors = self.commit(|_| survival.hits(rng));
        self.pending.clear();
        forget_unsynced(&self.root);
        survivors
    }

    /// Makes the changes that `wanted` names durable, and those they build on. Asks from the newest to
    /// the oldest.
    fn commit(&mut self, mut wanted: impl FnMut(&Change) -> bool) -> u64 {
        let mut names = BTreeSet::new();
        let mut subjects = BTreeSet::new();
        let mut kept: Vec<bool> = Vec::with_capacity(self.pending.len());
        for change in self.pending.iter().rev() {
            let builds = subjects.contains(&change.subject)
                || change.settings.iter().any(|setting| names.contains(&setting.key()));
            let keep = wanted(change) || builds;
            if keep {
                names.extend(change.settings.iter().map(Setting::key));
                subjects.insert(change.subject);
            }
            kept.push(keep);
        }
        let (mut count, pending) = (0, std::mem::take(&mut self.pending));
        for (change, keep) in pending.into_iter().zip(kept.into_iter().rev()) {
            if keep {
                count += 1;
                for setting in &change.settings {
                    set(&mut setting.directory.entries.lock().durable, setting);
                }
            } else {
                self.pending.push(change);
            }
        }
        count
    }

    /// Every file below `directory` with its path, in order of paths.
    pub fn files(directory: &Arc<Directory>) -> Vec<(String, Arc<FileNode>)> {
        let mut found = Vec::new();
        collect("", directory, &mut found);
        found
    }

    /// What a path leads to if the power went now and no unsynced change survived.
    pub fn durable_file(&self, path: &str) -> Option<Arc<FileNode>> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut directory = self.root.clone();
        for part in parts(parent).ok()? {
            let next = directory.entries.lock().durable.get(part).cloned();
            match next? {
                Node::Directory(next) => directory = next,
                Node::File(_) => return None,
            }
        }
        let node = directory.entries.lock().durable.get(name).cloned();
        match node? {
            Node::File(file) => Some(file),
            Node::Directory(_) => None,
        }
    }
}

impl Change {
    fn touches(&self, directory: &Arc<Directory>) -> bool {
        self.settings.iter().any(|setting| Arc::ptr_eq(&setting.directory, directory))
    }
}

impl Setting {
    fn key(&self) -> (u64, String) {
        (self.directory.id, self.name.clone())
    }
}

fn set(names: &mut BTreeMap<String, Node>, setting: &Setting) {
    match &setting.node {
        Some(node) => drop(names.insert(setting.name.clone(), node.clone())),
        None => drop(names.remove(&setting.name)),
    }
}

fn forget_unsynced(directory: &Arc<Directory>) {
    let mut entries = directory.entries.lock();
    entries.cached = entries.durable.clone();
    let children: Vec<Node> = entries.cached.values().cloned().collect();
    drop(entries);
    for child in children {
        if let Node::Directory(child) = child {
            forget_unsynced(&child);
        }
    }
}

fn collect(prefix: &str, directory: &Arc<Directory>, found: &mut Vec<(String, Arc<FileNode>)>) {
    for (name, node) in directory.children() {
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        match node {
            Node::File(file) => found.push((path, file)),
            Node::Directory(directory) => collect(&path, &directory, found),
        }
    }
}

/// The parts of a path; none for `""`. Paths that could leave the directory are no paths.
pub(super) fn parts(path: &str) -> io::Result<Vec<&str>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(error(ErrorKind::InvalidInput, path));
    }
    Ok(parts)
}

pub(super) fn error(kind: ErrorKind, path: &str) -> io::Error {
    io::Error::new(kind, format!("{path}: {kind}"))
}
