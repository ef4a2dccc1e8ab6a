//! A machine and the process that runs on it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use madsim::runtime::NodeHandle;

use super::{
    clock::WallClock,
    disk::{DiskOptions, Storage},
    lock::Lock,
    network::Host,
};

/// What a machine is made of.
#[derive(Clone, Debug, Default)]
pub struct MachineOptions {
    pub disk: DiskOptions,
    /// How far its wall clock is ahead of true time.
    pub skew_ms: i64,
}

/// How an incarnation of a machine's process came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Its main future returned.
    Exited,
    /// Killed: the page cache stays.
    Killed,
    /// The power went: the page cache is gone, and the machine is off until it is started again.
    PowerLoss,
}

/// One incarnation: from a start to an ending. Its tasks, sockets and listeners end with it.
pub(super) struct Process {
    pub host: Arc<Host>,
    /// Counts starts of the machine, from 1.
    pub incarnation: u32,
    alive: AtomicBool,
    pub node: NodeHandle,
}

impl Process {
    pub fn new(host: Arc<Host>, incarnation: u32, node: NodeHandle) -> Self {
        Process { host, incarnation, alive: AtomicBool::new(true), node }
    }

    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Whatever a dying process still tries in its destructors must not reach the world.
    pub fn check_alive(&self) -> io::Result<()> {
        match self.is_alive() {
            true => Ok(()),
            false => Err(io::Error::other(format!("the process on {} is dead", self.host.name))),
        }
    }

    /// From here on nothing of this process reaches the world any more.
    pub fn mark_dead(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }
}

pub(super) struct Machine {
    pub host: Arc<Host>,
    pub storage: Arc<Storage>,
    pub wall: WallClock,
    pub life: Lock<Life>,
}

#[derive(Default)]
pub(super) struct Life {
    pub starts: u32,
    pub process: Option<Arc<Process>>,
    pub paused: bool,
    pub ending: Option<Ending>,
    pub waiting: Vec<Waker>,
}
