//! The process as a machine of the real world.

use std::{io, path::PathBuf, sync::Arc};

use rand::TryRng;

use super::{clock, disk, network, tasks, tasks::OnPanic};
use crate::env::{Env, Rng};

/// The process's view of the real world. `data_dir` is created if missing, and locked; all of the disk
/// lies below it. `seed` is where random streams begin: the caller draws it from the operating system.
///
/// A panic in a task that was spawned here is a bug after which nothing about the process can be
/// trusted, so `on_panic` is to end it: it is called once per panic, with the task's name.
pub fn env(data_dir: PathBuf, seed: u64, on_panic: OnPanic) -> io::Result<Env> {
    Ok(Env {
        clock: Arc::new(clock::RealClock::new()),
        network: Arc::new(network::RealNetwork),
        disk: Arc::new(disk::RealDisk::new(data_dir)?),
        tasks: Arc::new(tasks::RealTasks { on_panic }),
        rng: Rng::new(seed),
    })
}

/// Where the random streams of a real machine begin: drawn from the operating system.
pub fn draw_seed() -> io::Result<u64> {
    rand::rngs::SysRng.try_next_u64().map_err(io::Error::other)
}
