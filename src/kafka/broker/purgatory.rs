//! Where requests wait for something to happen to a partition.
//!
//! A waiting request is a [`Waiter`] hung on every partition it asks about; an append wakes all that
//! hang there, and each looks again. Deadlines are the ticker's.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{partitions::Partition, state::Broker, ticker::Due};

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
    wakes: AtomicU64,
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

    /// How often this was woken. Who sees the same number again, after hanging up a waiter, missed nothing.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Acquire)
    }

    /// Called after what it tells of has happened.
    pub fn wake_all(&self) {
        self.wakes.fetch_add(1, Ordering::Release);
        let mut waiting = self.waiting.lock().expect("no panic while it is locked");
        for waiter in waiting.drain(..) {
            if let Some(waiter) = waiter.upgrade() {
                waiter.wake();
            }
        }
    }
}

/// Waits until `is_done`, asked again whenever one of these partitions' high watermark, low watermark or role
/// may have moved, for `timeout` at most.
pub(super) async fn wait_on(
    broker: &Broker,
    timeout: Duration,
    partitions: &[Arc<Partition>],
    mut is_done: impl FnMut() -> bool,
) {
    if partitions.is_empty() || is_done() {
        return;
    }
    let waiter = Arc::new(Waiter::default());
    let deadline = broker.env.clock.now() + timeout;
    let key = broker.ticker.schedule(deadline, Due::Wake(Arc::clone(&waiter)));
    loop {
        for partition in partitions {
            partition.waiters.add(&waiter);
        }
        // What came between the look and the hanging up woke nobody.
        if is_done() || broker.ending.is_stopping() || broker.env.clock.now() >= deadline {
            break;
        }
        tokio::select! {
            biased;
            () = waiter.wait() => {}
            () = broker.ending.wait() => {}
        }
    }
    broker.ticker.cancel(key);
}
