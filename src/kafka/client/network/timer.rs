//! A timer that is rarely re-armed.
//!
//! A client's next deadline moves with every request, mostly into the future. Cancelling and arming a
//! timer each time would cost more than the requests, so an armed timer that is early is left to fire and
//! is then set anew.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use crate::env::{BoxFuture, Clock, Instant};

pub(crate) struct LazyTimer {
    clock: Arc<dyn Clock>,
    armed: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl LazyTimer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        LazyTimer { clock, armed: None }
    }

    /// Ready when `deadline` has passed; otherwise the task is woken at it, or earlier for nothing.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline == Instant::FAR_FUTURE {
            return Poll::Pending;
        }
        loop {
            if self.clock.now() >= deadline {
                return Poll::Ready(());
            }
            if self.armed.as_ref().is_none_or(|(at, _)| *at > deadline) {
                self.armed = Some((deadline, self.clock.sleep_until(deadline)));
            }
            let (_, sleep) = self.armed.as_mut().expect("armed just above");
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = None;
        }
    }
}
