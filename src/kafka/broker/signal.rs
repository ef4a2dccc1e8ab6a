//! A value that others may look at, and wait for.
//!
//! Tokio's `watch` would do the same, but wakes those who wait in an order that it draws by itself, which no seed knows.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

#[derive(Default, Debug)]
pub(super) struct Signal<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Signal<T> {
    pub fn new(value: T) -> Self {
        Signal { value: Mutex::new(value), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().expect("no panic while it is locked")
    }

    pub fn get(&self) -> T {
        *self.lock()
    }

    /// Wakes all who wait; tells what was before.
    pub fn set(&self, value: T) -> T {
        let before = std::mem::replace(&mut *self.lock(), value);
        self.changed.notify_waiters();
        before
    }

    /// Completes once the value is as wanted.
    pub async fn wait_for(&self, is_wanted: impl Fn(T) -> bool) {
        loop {
            // Hears of changes from here on.
            let changed = self.changed.notified();
            if is_wanted(self.get()) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::Signal;

    #[test]
    fn who_waits_is_woken_by_the_value_and_not_before() {
        let signal = Signal::new(0);
        let mut waiting = Box::pin(signal.wait_for(|value| value > 1));
        let mut poll = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(poll(), Poll::Pending);
        assert_eq!(signal.set(1), 0);
        assert_eq!(poll(), Poll::Pending);
        assert_eq!(signal.set(2), 1);
        assert_eq!(poll(), Poll::Ready(()));
    }
}
