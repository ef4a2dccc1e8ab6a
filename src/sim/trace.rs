//! The running digest of all that happens in a world: two runs that agree on it did the same.
//!
//! Events are hashed as they come, not kept, so a digest costs nanoseconds per event and no memory.
//! xxh3 is portable: a digest may be compared between machines.

use std::{fmt, sync::Arc};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{lock::Lock, timers::Timers};

/// What happened. The numbers go into digests: append, never reorder.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Event {
    MachineAdded = 1,
    MachineStarted = 2,
    MachineEnded = 3,
    MachinePaused = 4,
    MachineResumed = 5,
    Sent = 10,
    Delivered = 11,
    Stalled = 12,
    LinkChanged = 13,
    FileWritten = 20,
    FileCut = 21,
    SyncBegun = 22,
    SyncEnded = 23,
    DirectoryChanged = 24,
    DiskFault = 25,
    PowerLoss = 26,
    ClockChanged = 30,
}

/// A fingerprint of everything up to a moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Cheap to clone; all clones feed one digest.
#[derive(Clone)]
pub struct Trace {
    timers: Arc<Timers>,
    state: Arc<Lock<State>>,
}

struct State {
    hasher: Xxh3,
    events: u64,
    /// Writes onto the network: a request or an answer each.
    messages: u64,
}

impl Trace {
    pub(super) fn new(timers: Arc<Timers>) -> Self {
        Trace {
            timers,
            state: Arc::new(Lock::new(State { hasher: Xxh3::new(), events: 0, messages: 0 })),
        }
    }

    /// An event of the world at `time`, with up to three numbers that tell it from others.
    pub(super) fn record(&self, time: u64, event: Event, a: u64, b: u64, c: u64) {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&time.to_le_bytes());
        bytes[8..16].copy_from_slice(&a.to_le_bytes());
        bytes[16..24].copy_from_slice(&b.to_le_bytes());
        bytes[24..32].copy_from_slice(&c.to_le_bytes());
        bytes[32] = event as u8;
        let mut state = self.state.lock();
        state.hasher.update(&bytes);
        state.events += 1;
        state.messages += u64::from(matches!(event, Event::Sent));
    }

    /// An event of the world at this moment.
    pub(super) fn record_now(&self, event: Event, a: u64, b: u64, c: u64) {
        self.record(self.timers.now(), event, a, b, c);
    }

    pub fn digest(&self) -> Digest {
        Digest(self.state.lock().hasher.digest128())
    }

    /// How many events the digest stands for.
    pub fn events(&self) -> u64 {
        self.state.lock().events
    }

    /// How many messages were written onto the network, both ways.
    pub fn messages(&self) -> u64 {
        self.state.lock().messages
    }
}

/// A number that stands for some bytes in an event.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}
