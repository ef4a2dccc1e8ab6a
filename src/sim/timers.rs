//! Virtual time, and an exact event queue on madsim's clock.
//!
//! madsim's `sleep_until` rounds up to a millisecond, but a `Sleep` that is reset to a deadline keeps
//! it, and every poll of one queues its waker at that deadline. So one `Sleep` per world serves all
//! events: reset it, poll it once with the event's waker, forget it. Nothing is polled for a timer
//! that was cancelled, as the waker then finds its slot empty.
//!
//! **A waker runs while madsim holds the lock of its timer queue**: it may move bytes and wake tasks,
//! but must not set another timer (that would deadlock), nor trust [`Timers::now`], which still shows
//! the time before the event.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use madsim::time::{Sleep, TimeHandle};

use super::lock::Lock;
use crate::env::{BoxFuture, Instant};

pub(super) struct Timers {
    time: TimeHandle,
    base: madsim::time::Instant,
    sleep: Lock<Sleep>,
}

impl Timers {
    /// For the madsim runtime entered on this thread.
    pub fn new() -> Self {
        let time = TimeHandle::current();
        let base = time.now_instant() - time.elapsed();
        let sleep = Lock::new(time.sleep_until(base));
        Timers { time, base, sleep }
    }

    /// Nanoseconds since the world began.
    pub fn now(&self) -> u64 {
        let elapsed = self.time.elapsed();
        elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
    }

    /// Wakes `waker` at `nanos`. A time that has passed counts as the next nanosecond, so that the
    /// caller may hold locks the waker takes.
    pub fn wake_at(&self, nanos: u64, waker: &Waker) {
        let mut sleep = self.sleep.lock();
        let mut register = |nanos| {
            Pin::new(&mut *sleep).reset(self.base + Duration::from_nanos(nanos));
            Pin::new(&mut *sleep).poll(&mut Context::from_waker(waker))
        };
        if register(nanos).is_ready() {
            let registered = register(self.now() + 1);
            assert!(registered.is_pending(), "a deadline ahead is always pending");
        }
    }

    /// Lets every timer come, 292 years ahead: the end of the world, after which none holds anything.
    pub fn fire_all(&self) {
        self.time.advance(Duration::from_nanos(u64::MAX / 2));
    }

    pub fn sleep_until(self: &Arc<Self>, deadline: Instant) -> BoxFuture<'static, ()> {
        if deadline == Instant::FAR_FUTURE {
            return Box::pin(std::future::pending());
        }
        Box::pin(Timer { timers: self.clone(), deadline: deadline.as_nanos(), slot: None })
    }
}

/// The virtual time of the world that runs on this thread, for log lines; `None` outside of one.
pub fn time_on_this_thread() -> Option<Instant> {
    let elapsed = TimeHandle::try_current()?.elapsed();
    Some(Instant::default() + elapsed)
}

/// One sleep. The slot outlives it in madsim's queue, emptied, if it is dropped early.
struct Timer {
    timers: Arc<Timers>,
    deadline: u64,
    slot: Option<Arc<Slot>>,
}

struct Slot(Lock<Option<Waker>>);

impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().take() {
            waker.wake();
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.timers.now() >= self.deadline {
            return Poll::Ready(());
        }
        match &self.slot {
            Some(slot) => match &mut *slot.0.lock() {
                Some(waker) => waker.clone_from(context.waker()),
                empty => *empty = Some(context.waker().clone()),
            },
            None => {
                let slot = Arc::new(Slot(Lock::new(Some(context.waker().clone()))));
                self.timers.wake_at(self.deadline, &Waker::from(slot.clone()));
                self.slot = Some(slot);
            }
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            slot.0.lock().take();
        }
    }
}
