//! A machine's clocks: everyone's virtual time, and a wall clock that may be wrong.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use super::{
    timers::Timers,
    trace::{Event, Trace},
};
use crate::env::{BoxFuture, Clock, Instant, WallTime};

/// Where wall time begins in every world: 2026-01-01T00:00:00Z, in milliseconds since the Unix epoch.
/// Fixed, so that timestamps in traces can be compared between seeds.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// A machine's wall clock, as far off as a nemesis put it. The monotonic clock cannot be bent. Cheap to
/// clone; an offset outlives kills and restarts of the machine, as a battery-backed clock's does.
#[derive(Clone)]
pub struct WallClock {
    trace: Trace,
    host: u32,
    offset_ms: Arc<AtomicI64>,
}

impl WallClock {
    pub(super) fn new(trace: Trace, host: u32, skew_ms: i64) -> Self {
        WallClock { trace, host, offset_ms: Arc::new(AtomicI64::new(skew_ms)) }
    }

    /// Puts the clock `ms` ahead of true time (behind if negative), whatever it was.
    pub fn set_skew(&self, ms: i64) {
        self.offset_ms.store(ms, Ordering::Relaxed);
        self.trace.record_now(Event::ClockChanged, u64::from(self.host), 0, ms as u64);
    }

    /// Moves the clock by `ms` from where it stands.
    pub fn jump(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
        self.trace.record_now(Event::ClockChanged, u64::from(self.host), 1, ms as u64);
    }

    /// How far ahead of true time it is.
    pub fn skew_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }
}

pub(super) struct SimClock {
    pub timers: Arc<Timers>,
    pub wall: WallClock,
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.timers.now())
    }

    fn wall_time(&self) -> WallTime {
        let elapsed_ms = (self.timers.now() / 1_000_000) as i64;
        WallTime(EPOCH_MS + elapsed_ms + self.wall.skew_ms())
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        self.timers.sleep_until(deadline)
    }
}
