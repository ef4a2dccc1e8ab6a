//! Time as a node sees it: a monotonic clock for durations and a wall clock for timestamps.
//!
//! The two never mix. Deadlines, timeouts and sessions use [`Instant`]; only record timestamps and
//! what is shown to people use [`WallTime`], which may be skewed and may jump, even backwards.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use super::BoxFuture;

/// Nanoseconds on a node's monotonic clock. Comparable only within one world, never stored on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Instant(u64);

impl Instant {
    /// A deadline that never comes.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    pub const fn from_nanos(nanos: u64) -> Self {
        Instant(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at [`Instant::FAR_FUTURE`], so that a timeout of `Long.MAX_VALUE` ms is "never".
    fn add(self, duration: Duration) -> Instant {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Instant {
    /// Seconds with millisecond precision: `3.074s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1000)
    }
}

/// Milliseconds since the Unix epoch, as record timestamps are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct WallTime(pub i64);

pub trait Clock: Send + Sync {
    /// Never goes back.
    fn now(&self) -> Instant;

    /// May jump in either direction.
    fn wall_time(&self) -> WallTime;

    /// Completes at `deadline`, at once if it has passed, never for [`Instant::FAR_FUTURE`].
    /// Dropping the future cancels the timer.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;
}
