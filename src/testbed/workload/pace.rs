//! Drawing lengths of time from a plan's ranges.

use std::time::Duration;

use rand::Rng;

use crate::testbed::plan::{SpanRange, SpanShape};

/// One length from the range; always one draw, so that changing a range shifts no later draw.
pub(super) fn draw(range: &SpanRange, rng: &mut impl Rng) -> Duration {
    let random = rng.next_u32();
    let (min, max) = (range.min.0.as_nanos() as u64, range.max.0.as_nanos() as u64);
    let width = u128::from(max - min);
    let nanos = match range.shape {
        SpanShape::Uniform => min + ((width * u128::from(random)) >> 32) as u64,
        SpanShape::Exponential => {
            // Halving once per leading zero bit gives a geometric tail without a logarithm, whose last
            // bits differ between machines.
            let halvings = random.leading_zeros();
            let eighth = width / 8;
            let part = (eighth * u128::from(random & 0xff)) >> 8;
            let step = eighth * u128::from(halvings) + part;
            min + step.min(width) as u64
        }
    };
    Duration::from_nanos(nanos)
}
