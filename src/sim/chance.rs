//! How random things are described: probabilities and distributions of delays.
//!
//! All of it is integer arithmetic, or float operations IEEE 754 fixes to the last bit, so that a seed
//! gives the same delays on every machine (a library's `ln` does not).

use std::time::Duration;

use rand::Rng;

/// A probability, kept as a threshold on 32 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chance(u64);

impl Chance {
    pub const NEVER: Chance = Chance(0);
    pub const EVEN: Chance = Chance(1 << 31);
    pub const ALWAYS: Chance = Chance(1 << 32);

    /// A probability between 0 and 1; values outside count as the nearer bound.
    pub fn of(probability: f64) -> Self {
        Chance((probability.clamp(0.0, 1.0) * (1u64 << 32) as f64) as u64)
    }

    /// Tosses. Draws nothing if the outcome is certain.
    pub fn hits(self, rng: &mut impl Rng) -> bool {
        match self {
            Chance::NEVER => false,
            Chance::ALWAYS => true,
            Chance(threshold) => u64::from(rng.next_u32()) < threshold,
        }
    }
}

/// How long something takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Latency {
    Constant(Duration),
    /// Anything from `min` to `max`, equally likely.
    Uniform {
        min: Duration,
        max: Duration,
    },
    /// `min` plus an exponentially distributed part with the given mean, cut at `max`: mostly short,
    /// at times very long.
    Exponential {
        min: Duration,
        mean: Duration,
        max: Duration,
    },
}

impl Latency {
    /// Nanoseconds. Every kind draws exactly one number, so changing a distribution shifts no later draw.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> u64 {
        let random = rng.next_u64();
        match *self {
            Latency::Constant(delay) => nanos(delay),
            Latency::Uniform { min, max } => {
                let (min, max) = (nanos(min), nanos(max));
                min + scale(random, max.saturating_sub(min))
            }
            Latency::Exponential { min, mean, max } => {
                let tail = (negative_ln(random) * nanos(mean) as f64) as u64;
                (nanos(min) + tail).min(nanos(max))
            }
        }
    }

    /// The shortest delay possible, in nanoseconds.
    pub(super) fn shortest(&self) -> u64 {
        match *self {
            Latency::Constant(delay) => nanos(delay),
            Latency::Uniform { min, .. } | Latency::Exponential { min, .. } => nanos(min),
        }
    }
}

/// Whole nanoseconds, saturated at 584 years.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// `random / 2^64 * range`, rounded down.
fn scale(random: u64, range: u64) -> u64 {
    ((u128::from(random) * u128::from(range)) >> 64) as u64
}

/// `-ln(u)` for `u = (random + 1) / 2^64`, to within 1 %: the position of the highest bit gives the
/// whole part of the base-2 logarithm, a parabola the rest.
fn negative_ln(random: u64) -> f64 {
    let zeros = random.leading_zeros();
    if zeros == 64 {
        return 64.0 * std::f64::consts::LN_2;
    }
    let fraction = ((random << zeros) << 1) as f64 / 18_446_744_073_709_551_616.0;
    let log2 = fraction + 0.344 * fraction * (1.0 - fraction);
    (f64::from(zeros) + 1.0 - log2) * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env;

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut rng = env::Rng::new(1).stream("latency");
        let (min, mean, max) =
            (Duration::from_micros(5), Duration::from_micros(50), Duration::from_millis(1));
        for _ in 0..10_000 {
            let uniform = Latency::Uniform { min, max }.draw(&mut rng);
            assert!((nanos(min)..=nanos(max)).contains(&uniform));
            let exponential = Latency::Exponential { min, mean, max }.draw(&mut rng);
            assert!((nanos(min)..=nanos(max)).contains(&exponential));
        }
    }

    #[test]
    fn the_exponential_tail_has_its_mean() {
        let mut rng = env::Rng::new(1).stream("latency");
        let latency = Latency::Exponential {
            min: Duration::ZERO,
            mean: Duration::from_micros(100),
            max: Duration::from_secs(1),
        };
        let draws: u64 = (0..100_000).map(|_| latency.draw(&mut rng)).sum();
        let mean = draws / 100_000;
        assert!((97_000..=103_000).contains(&mean), "mean {mean} ns");
    }

    #[test]
    fn a_chance_is_met_about_as_often_as_it_says() {
        let mut rng = env::Rng::new(1).stream("chance");
        let hits = (0..100_000).filter(|_| Chance::of(0.1).hits(&mut rng)).count();
        assert!((9_500..=10_500).contains(&hits), "{hits} hits");
        assert!(Chance::of(1.0).hits(&mut rng) && !Chance::of(0.0).hits(&mut rng));
    }
}
