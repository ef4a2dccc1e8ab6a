//! What a nemesis can do to the application around a client: stop it, hang its handler, make it fail.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::env::Instant;

/// One actor's switchboard, shared by its program and the nemesis. Survives restarts of the machine,
/// as orders to an operator would.
#[derive(Default)]
pub struct Control {
    stopping: AtomicBool,
    stop: Notify,
    stalled_until: Mutex<Instant>,
    throws: AtomicBool,
}

impl Control {
    /// Asks the program to close its client and end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.stop.notify_one();
    }

    /// Called by the program when it begins.
    pub fn begin(&self) {
        self.stopping.store(false, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Completes when a stop is asked for.
    pub async fn stopped(&self) {
        while !self.is_stopping() {
            self.stop.notified().await;
        }
    }

    /// The handler hangs until then; the client's own tasks go on.
    pub fn stall_until(&self, until: Instant) {
        *self.stalled_until.lock().expect("never poisoned: no panic inside") = until;
    }

    pub fn stalled_until(&self) -> Instant {
        *self.stalled_until.lock().expect("never poisoned: no panic inside")
    }

    /// The handler fails on the record in hand, once.
    pub fn throw(&self) {
        self.throws.store(true, Ordering::Relaxed);
    }

    pub fn take_throw(&self) -> bool {
        self.throws.swap(false, Ordering::Relaxed)
    }
}
