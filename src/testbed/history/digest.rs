//! A fingerprint of everything a history says: two histories that agree on it are the same.
//!
//! The world's own digest covers what crossed the seam; this one covers what clients, brokers and
//! applications said of themselves, so that a difference which leaves every packet alike is seen too.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

use super::History;

/// What is gathered before it is hashed: most of it comes word by word.
const CHUNK: usize = 4 << 10;

/// Numbers enter as little-endian words of fixed width: the same on any machine.
struct Portable {
    hash: Xxh3,
    gathered: Vec<u8>,
}

impl Portable {
    fn digest(mut self) -> u128 {
        self.hash.update(&self.gathered);
        self.hash.digest128()
    }
}

impl Hasher for Portable {
    fn write(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() > CHUNK {
            self.hash.update(&self.gathered);
            self.gathered.clear();
        }
        self.gathered.extend_from_slice(bytes);
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        let mut hash = self.hash.clone();
        hash.update(&self.gathered);
        hash.digest()
    }
}

impl History {
    /// Of every event, after `seed`, which stands for what is not in the history.
    pub fn digest(&self, seed: u128) -> u128 {
        let mut hasher = Portable { hash: Xxh3::new(), gathered: Vec::with_capacity(CHUNK) };
        seed.hash(&mut hasher);
        self.events.hash(&mut hasher);
        hasher.digest()
    }
}

#[cfg(test)]
mod tests {
    use crate::testbed::history::{EventKind, History, Loss, Recorder, Setup};

    fn history(kind: EventKind) -> History {
        let recorder = Recorder::new(Setup::default());
        let b1 = "b1".into();
        recorder.record(1, &b1, None, EventKind::BrokerStarted);
        recorder.record(2, &b1, None, kind);
        recorder.finish()
    }

    #[test]
    fn histories_that_differ_in_one_word_differ_in_their_digest() {
        let stopped = |loss| history(EventKind::MachineStopped { loss });
        assert_eq!(stopped(Loss::Power).digest(7), stopped(Loss::Power).digest(7));
        assert_ne!(stopped(Loss::Power).digest(7), stopped(Loss::Process).digest(7));
        assert_ne!(stopped(Loss::Power).digest(7), stopped(Loss::Power).digest(8));
        assert_ne!(stopped(Loss::Power).digest(7), history(EventKind::MachinePaused).digest(7));
        let error = |name: &str, message: &str| {
            history(EventKind::Error { name: name.into(), message: message.into() }).digest(0)
        };
        assert_ne!(error("ab", "c"), error("a", "bc"));
    }
}
