//! A mutex whose poison is ignored.
//!
//! A world lives on one thread, so its locks are never contended; they exist because `env`'s traits are
//! `Sync`. After a panic the trial is over and only clean-up runs: it must not panic a second time over
//! a poisoned lock while futures are being dropped.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default, Debug)]
pub(super) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub const fn new(value: T) -> Self {
        Lock(Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
