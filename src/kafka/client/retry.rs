//! The one retry policy of the clients: exponential backoff with jitter, and which errors deserve it.
//!
//! Producer batches, metadata refreshes, reconnects, coordinator lookups and heartbeats all wait by
//! [`Backoff`], so that a change of the policy is made once.

use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Delays of `initial * 2^attempts`, capped at `max`, spread by a fifth either way
/// (`ExponentialBackoff` with `RETRY_BACKOFF_EXP_BASE` and `RETRY_BACKOFF_JITTER`).
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Backoff {
    const BASE: f64 = 2.0;
    const JITTER: f64 = 0.2;

    /// `max` below `initial` means a constant delay of `max`, as in Kafka.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Backoff { initial: initial.min(max), max }
    }

    /// The wait before the attempt that follows `failures` failed ones; `failures` 0 gives the initial
    /// delay. Without room to grow there is no jitter either, so `retry.backoff.ms = 0` retries at once.
    pub fn delay(&self, failures: u32, rng: &mut ChaCha8Rng) -> Duration {
        if self.max <= self.initial {
            return self.initial;
        }
        let grown = self.initial.as_secs_f64() * Self::BASE.powf(f64::from(failures.min(62)));
        let capped = grown.min(self.max.as_secs_f64());
        let spread = rng.random_range(1.0 - Self::JITTER..1.0 + Self::JITTER);
        Duration::from_secs_f64(capped * spread).min(self.max)
    }

    pub fn initial(&self) -> Duration {
        self.initial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Rng;

    #[test]
    fn delays_double_up_to_the_cap_and_vary_by_a_fifth() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000));
        let mut rng = Rng::new(1).stream("retry");
        for (failures, middle) in [(0, 100.0), (1, 200.0), (2, 400.0), (3, 800.0)] {
            for _ in 0..100 {
                let millis = backoff.delay(failures, &mut rng).as_secs_f64() * 1000.0;
                assert!((middle * 0.8..=middle * 1.2).contains(&millis), "{failures}: {millis}");
            }
        }
        for _ in 0..100 {
            assert!(backoff.delay(40, &mut rng) <= Duration::from_millis(1000));
        }
    }

    #[test]
    fn a_cap_at_or_below_the_start_gives_a_constant_delay() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(30));
        let mut rng = Rng::new(1).stream("retry");
        assert_eq!(backoff.delay(9, &mut rng), Duration::from_millis(30));
    }
}
