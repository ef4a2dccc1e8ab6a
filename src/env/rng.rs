//! Randomness in named streams, so that adding one draw never shifts another choice.
//!
//! Every stream is ChaCha8 keyed by the seed and positioned by a hash of the stream's full name. The
//! numbers of `rng.stream("network/b1-b2")` depend on the seed and on that name alone: removing a fault
//! from a plan leaves every other choice as it was. Shrinking depends on it.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A place in the tree of streams; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u64,
    name: String,
}

impl Rng {
    /// The root of all streams of one trial.
    pub fn new(seed: u64) -> Self {
        Rng { seed, name: String::new() }
    }

    /// A subtree, such as one node's.
    pub fn child(&self, name: &str) -> Rng {
        Rng { seed: self.seed, name: format!("{}/{name}", self.name) }
    }

    /// The stream of that name, from its beginning: whoever asks twice draws the same numbers twice.
    pub fn stream(&self, name: &str) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(fnv1a(&format!("{}/{name}", self.name)));
        rng
    }
}

/// FNV-1a, 64 bits: short, portable, and fixed for ever, which is all a stream's position needs.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::Rng;

    #[test]
    fn streams_depend_on_seed_and_name_alone() {
        let draw = |seed, name: &str| Rng::new(seed).child("b1").stream(name).next_u64();
        assert_eq!(draw(1, "disk"), draw(1, "disk"));
        assert_ne!(draw(1, "disk"), draw(2, "disk"));
        assert_ne!(draw(1, "disk"), draw(1, "network"));
    }
}
