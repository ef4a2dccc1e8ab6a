//! One file: its bytes in the page cache, and beneath dirty pages what the disk itself holds.
//!
//! The cache is one contiguous buffer, so reads and appends are plain copies. A page that becomes dirty
//! leaves behind an image of what it was: first the durable content, and, once a sync is under way, the
//! content that sync will make durable. So layers of images lie over one another, oldest first:
//! `unsyncable`, then one per sync in progress, then `dirty`. A page's oldest image is what the disk
//! holds; a page in no layer is durable as it is.

use std::collections::{BTreeMap, VecDeque};

use rand::{Rng, RngExt as _};

use crate::sim::chance::Chance;

pub(super) const PAGE: u64 = 4096;
pub(super) const SECTOR: usize = 512;

/// What a page was: `valid` bytes lay within the file, of which those past `bytes` are zeros.
#[derive(Clone)]
struct Image {
    bytes: Box<[u8]>,
    valid: usize,
}

type Layer = BTreeMap<u64, Image>;

/// A sync that has begun: the images of the pages it covers, and the length it will make durable.
struct SyncLayer {
    id: u64,
    pages: Layer,
    len: u64,
}

#[derive(Default)]
pub(super) struct FileState {
    /// The file's beginning; what lies between its end and `len` is zeros that take no room.
    data: Vec<u8>,
    len: u64,
    durable_len: u64,
    dirty: Layer,
    /// The page dirtied last: appends touch the same page again and again.
    last_dirtied: Option<u64>,
    syncing: VecDeque<SyncLayer>,
    /// Images of pages that a failed sync left clean: no later sync covers them.
    unsyncable: Layer,
    /// In the tree of names, so that its bytes count against the disk's capacity.
    pub linked: bool,
    /// When the last sync under way ends: syncs of one file end in the order they began.
    pub last_sync_due: u64,
}

impl FileState {
    /// A new file with a name.
    pub fn linked() -> Self {
        FileState { linked: true, ..FileState::default() }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes it takes on the disk.
    pub fn footprint(&self) -> u64 {
        self.data.len() as u64
    }

    pub fn read_at(&self, position: u64, buf: &mut [u8]) -> usize {
        let wanted = self.len.saturating_sub(position).min(buf.len() as u64) as usize;
        let (buf, start) = (&mut buf[..wanted], position as usize);
        let stored = self.data.len().saturating_sub(start).min(wanted);
        if stored > 0 {
            buf[..stored].copy_from_slice(&self.data[start..start + stored]);
        }
        buf[stored..].fill(0);
        wanted
    }

    pub fn write_at(&mut self, position: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = position + bytes.len() as u64;
        for page in position / PAGE..=(end - 1) / PAGE {
            self.make_dirty(page);
        }
        let (start, end) = (position as usize, end as usize);
        if start == self.data.len() {
            self.data.extend_from_slice(bytes);
        } else {
            if self.data.len() < end {
                self.data.resize(end, 0);
            }
            self.data[start..end].copy_from_slice(bytes);
        }
        self.len = self.len.max(end as u64);
    }

    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            // Past the stored bytes there are but zeros, whatever becomes of the cut.
            for page in len / PAGE..self.footprint().div_ceil(PAGE) {
                self.make_dirty(page);
            }
            self.data.truncate(len as usize);
        }
        self.len = len;
    }

    /// Keeps what `page` is before it changes, unless that is kept already.
    fn make_dirty(&mut self, page: u64) {
        if self.last_dirtied == Some(page) {
            return;
        }
        self.last_dirtied = Some(page);
        if !self.dirty.contains_key(&page) {
            let image = match self.unsyncable.remove(&page) {
                Some(durable) => durable,
                None => self.image(page),
            };
            self.dirty.insert(page, image);
        }
    }

    fn image(&self, page: u64) -> Image {
        let start = page * PAGE;
        let valid = self.len.saturating_sub(start).min(PAGE) as usize;
        let stored = (self.data.len() as u64).saturating_sub(start).min(valid as u64) as usize;
        let bytes = match stored {
            0 => Box::default(),
            _ => Box::from(&self.data[start as usize..start as usize + stored]),
        };
        Image { bytes, valid }
    }

    /// A sync finds nothing to do.
    pub fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.syncing.is_empty() && self.len == self.durable_len
    }

    /// A sync covers what is dirty at this moment. Returns how many pages that is.
    pub fn begin_sync(&mut self, id: u64) -> u64 {
        let pages = std::mem::take(&mut self.dirty);
        let count = pages.len() as u64;
        self.last_dirtied = None;
        self.syncing.push_back(SyncLayer { id, pages, len: self.len });
        count
    }

    /// The sync `id` did its work. Unknown ids died in a power loss.
    pub fn complete_sync(&mut self, id: u64) {
        if let Some(layer) = self.end_sync(id) {
            self.durable_len = layer.len;
        }
    }

    /// The sync `id` did nothing, and its pages count as clean all the same.
    pub fn fail_sync(&mut self, id: u64) {
        if let Some(layer) = self.end_sync(id) {
            for (page, image) in layer.pages {
                match self.next_image(page) {
                    Some(next) => *next = image,
                    None => drop(self.unsyncable.insert(page, image)),
                }
            }
        }
    }

    /// The sync `id` did nothing; its pages are as dirty as before.
    pub fn skip_sync(&mut self, id: u64) {
        if let Some(layer) = self.end_sync(id) {
            self.last_dirtied = None;
            for (page, image) in layer.pages {
                match self.next_image(page) {
                    Some(next) => *next = image,
                    None => drop(self.dirty.insert(page, image)),
                }
            }
        }
    }

    fn end_sync(&mut self, id: u64) -> Option<SyncLayer> {
        // Syncs of one file end in order, so the layer is the oldest, or gone.
        match self.syncing.front() {
            Some(layer) if layer.id == id => self.syncing.pop_front(),
            _ => None,
        }
    }

    /// The oldest image of `page` in the layers that are left.
    fn next_image(&mut self, page: u64) -> Option<&mut Image> {
        let syncing = self.syncing.iter_mut().find_map(|layer| layer.pages.get_mut(&page));
        syncing.or_else(|| self.dirty.get_mut(&page))
    }

    /// All images of `page`, oldest first.
    fn images(&self, page: u64) -> Vec<Image> {
        let syncing = self.syncing.iter().map(|layer| &layer.pages);
        let layers = std::iter::once(&self.unsyncable).chain(syncing).chain([&self.dirty]);
        layers.filter_map(|layer| layer.get(&page).cloned()).collect()
    }

    fn unsynced_pages(&self) -> Vec<u64> {
        let syncing = self.syncing.iter().flat_map(|layer| layer.pages.keys());
        let mut pages: Vec<u64> =
            self.unsyncable.keys().chain(syncing).chain(self.dirty.keys()).copied().collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    /// What the disk holds for certain.
    pub fn durable_content(&self) -> Vec<u8> {
        let mut content = self.content(self.durable_len, |images, _newest| images[0].clone());
        content.resize(self.durable_len as usize, 0);
        content
    }

    pub fn cached_content(&self) -> Vec<u8> {
        let mut content = vec![0; self.len as usize];
        self.read_at(0, &mut content);
        content
    }

    /// The file cut to `len`, up to its last stored byte, and of each unsynced page, what `choose` makes of its images (oldest
    /// first) and of its newest state.
    fn content(&self, len: u64, mut choose: impl FnMut(&[Image], &Image) -> Image) -> Vec<u8> {
        let unsynced = self.unsynced_pages();
        let end = unsynced.last().map_or(0, |page| (page + 1) * PAGE).max(self.footprint());
        let mut content = self.data.clone();
        content.resize(end.min(len) as usize, 0);
        for page in unsynced {
            let start = page * PAGE;
            let room = len.saturating_sub(start).min(PAGE) as usize;
            if room > 0 {
                let chosen = choose(&self.images(page), &self.image(page)).padded();
                let start = start as usize;
                content[start..start + room].copy_from_slice(&chosen[..room]);
            }
        }
        content
    }

    /// The power goes: the file becomes one of the states the disk may hold.
    pub fn lose_power(&mut self, rng: &mut impl Rng, survival: Chance, torn: Chance) {
        if self.unsyncable.is_empty() && self.is_clean() {
            return;
        }
        let len = match survival.hits(rng) {
            true => self.surviving_len(rng),
            false => self.durable_len,
        };
        self.data = self.content(len, |images, newest| {
            let on_disk = &images[0];
            if !survival.hits(rng) {
                return on_disk.clone();
            }
            let later: Vec<Image> =
                images[1..].iter().chain([newest]).map(|version| version.over(on_disk)).collect();
            let mut survivor = later[rng.random_range(0..later.len())].clone();
            if torn.hits(rng) {
                survivor.tear(on_disk, rng);
            }
            survivor
        });
        *self = FileState {
            data: std::mem::take(&mut self.data),
            len,
            durable_len: len,
            linked: self.linked,
            ..FileState::default()
        };
    }

    /// A length that writing back might have left: the newest, that of a sync under way, or, as a file
    /// grows write by write, anything between the durable and the newest.
    fn surviving_len(&self, rng: &mut impl Rng) -> u64 {
        let mut lens: Vec<u64> = self.syncing.iter().map(|layer| layer.len).collect();
        lens.push(self.len);
        if self.len > self.durable_len {
            lens.push(rng.random_range(self.durable_len..=self.len));
        }
        lens[rng.random_range(0..lens.len())]
    }

    /// Flips bits of one byte in the sector at `position`, in the cache and on the disk alike. False
    /// if the file has no such sector.
    pub fn corrupt(&mut self, position: u64, rng: &mut impl Rng) -> bool {
        let sector = position / SECTOR as u64 * SECTOR as u64;
        let room = (self.data.len() as u64).saturating_sub(sector).min(SECTOR as u64);
        if room == 0 {
            return false;
        }
        let at = (sector + rng.random_range(0..room)) as usize;
        let flip = rng.random_range(1..=u8::MAX);
        self.data[at] ^= flip;
        let (page, within) = (at as u64 / PAGE, at % PAGE as usize);
        let syncing = self.syncing.iter_mut().map(|layer| &mut layer.pages);
        for layer in syncing.chain([&mut self.unsyncable, &mut self.dirty]) {
            if let Some(byte) = layer.get_mut(&page).and_then(|image| image.bytes.get_mut(within)) {
                *byte ^= flip;
            }
        }
        true
    }
}

impl Image {
    fn padded(&self) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        bytes.resize(PAGE as usize, 0);
        bytes
    }

    /// This version as it lies on the disk above `base`: past its own end the old bytes still stand.
    fn over(&self, base: &Image) -> Image {
        let mut bytes = self.bytes.to_vec();
        bytes.resize(self.valid, 0);
        if let Some(rest) = base.padded().get(self.valid..base.valid) {
            bytes.extend_from_slice(rest);
        }
        Image { valid: bytes.len(), bytes: bytes.into_boxed_slice() }
    }

    /// Takes each sector from here or from `other`.
    fn tear(&mut self, other: &Image, rng: &mut impl Rng) {
        let (mut mine, other) = (self.padded(), other.padded());
        for (sector, theirs) in mine.chunks_mut(SECTOR).zip(other.chunks(SECTOR)) {
            if Chance::EVEN.hits(rng) {
                sector.copy_from_slice(theirs);
            }
        }
        *self = Image { valid: PAGE as usize, bytes: mine.into_boxed_slice() };
    }
}
