//! The operating system's clocks, and tokio's timers.
// This is where the ban on real time leads to.
#![allow(clippy::disallowed_methods)]

use std::time::{SystemTime, UNIX_EPOCH};

use crate::env::{BoxFuture, Clock, Instant, WallTime};

/// Instants count from when the clock was made.
pub(super) struct RealClock {
    start: tokio::time::Instant,
}

impl RealClock {
    pub fn new() -> Self {
        RealClock { start: tokio::time::Instant::now() }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::default() + self.start.elapsed()
    }

    fn wall_time(&self) -> WallTime {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        // Before 1970 a clock is not set at all, which reads as the epoch.
        WallTime(since_epoch.map_or(0, |elapsed| elapsed.as_millis() as i64))
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let start = self.start;
        Box::pin(async move {
            let since_start = deadline.since(Instant::default());
            match start.checked_add(since_start) {
                Some(at) if deadline != Instant::FAR_FUTURE => tokio::time::sleep_until(at).await,
                _ => std::future::pending().await,
            }
        })
    }
}
