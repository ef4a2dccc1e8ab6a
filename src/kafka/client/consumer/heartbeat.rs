//! When to send a heartbeat, and when a session or the application counts as dead (`Heartbeat`).

use std::time::Duration;

use crate::{env::Instant, kafka::client::retry::Backoff};

#[derive(Clone, Debug)]
pub(crate) struct HeartbeatConfig {
    pub(crate) session_timeout: Duration,
    pub(crate) interval: Duration,
    /// `max.poll.interval.ms`, which is also the group's rebalance timeout.
    pub(crate) max_poll_interval: Duration,
    pub(crate) retry: Backoff,
}

#[derive(Debug)]
pub(crate) struct Heartbeat {
    config: HeartbeatConfig,
    pub(crate) next_at: Instant,
    pub(crate) session_ends: Instant,
    pub(crate) poll_ends: Instant,
    failures: u32,
}

impl Heartbeat {
    pub(crate) fn new(config: HeartbeatConfig, now: Instant) -> Self {
        let mut heartbeat =
            Heartbeat { config, next_at: now, session_ends: now, poll_ends: now, failures: 0 };
        heartbeat.reset_timeouts(now);
        heartbeat
    }

    /// The application polled.
    pub(crate) fn polled(&mut self, now: Instant) {
        self.poll_ends = now + self.config.max_poll_interval;
    }

    /// Whether a heartbeat is in flight or not, the next goes at the next interval.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.next_at = now + self.config.interval;
    }

    pub(crate) fn received(&mut self, now: Instant) {
        self.failures = 0;
        self.session_ends = now + self.config.session_timeout;
    }

    pub(crate) fn failed(&mut self, now: Instant, rng: &mut rand_chacha::ChaCha8Rng) {
        self.next_at = now + self.config.retry.delay(self.failures, rng);
        self.failures += 1;
    }

    /// A new generation began.
    pub(crate) fn reset_timeouts(&mut self, now: Instant) {
        self.reset_session(now);
        self.polled(now);
        self.next_at = now + self.config.interval;
    }

    pub(crate) fn reset_session(&mut self, now: Instant) {
        self.session_ends = now + self.config.session_timeout;
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.next_at.min(self.session_ends).min(self.poll_ends)
    }
}
