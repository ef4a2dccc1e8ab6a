//! Where requests wait for something to happen to a partition.
//!
//! A waiting request is a [`Waiter`] hung on every partition it asks about; an append wakes all that
//! hang there, and each looks again. Deadlines are the ticker's.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// One request that waits.
#[derive(Default, Debug)]
pub(super) struct Waiter {
    woken: AtomicBool,
    notify: Notify,
}

impl Waiter {
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::Relaxed) {
            self.notify.notify_one();
        }
    }

    /// Completes once woken; may be called again after that, for the next wake.
    pub async fn wait(&self) {
        self.notify.notified().await;
        self.woken.store(false, Ordering::Relaxed);
    }
}

/// Waiters of one partition.
#[derive(Default, Debug)]
pub(super) struct Waiters {
    waiting: Mutex<Vec<Weak<Waiter>>>,
}

impl Waiters {
    pub fn add(&self, waiter: &Arc<Waiter>) {
        let mut waiting = self.waiting.lock().expect("no panic while it is locked");
        // Requests that ended by their deadline leave dead entries; sweeping when the list would grow
        // keeps it within twice the number that live.
        if waiting.len() == waiting.capacity() {
            waiting.retain(|waiter| waiter.strong_count() > 0);
        }
        waiting.push(Arc::downgrade(waiter));
    }

    pub fn wake_all(&self) {
        let mut waiting = self.waiting.lock().expect("no panic while it is locked");
        for waiter in waiting.drain(..) {
            if let Some(waiter) = waiter.upgrade() {
                waiter.wake();
            }
        }
    }
}
