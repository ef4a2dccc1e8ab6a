//! From keys to the last offsets they occur at, in bounded memory: Kafka's `SkimpyOffsetMap`.
//!
//! A key is remembered by 128 bits of hash, as in Kafka (MD5 there), so that the bound on memory is one on
//! the number of keys. Kafka takes all of the memory at once and probes in it; here it grows with use, up
//! to the same number of keys.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::kafka::types::Offset;

/// Bytes of a hash and an offset.
const ENTRY_BYTES: u64 = 24;

#[derive(Debug)]
pub(super) struct OffsetMap {
    offsets: BTreeMap<u128, Offset>,
    most: usize,
    latest: Offset,
}

/// No further key fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

impl OffsetMap {
    /// `memory` is `log.cleaner.dedupe.buffer.size`, of which the share `load_factor` is used.
    pub fn new(memory: u64, load_factor: f64) -> Self {
        let slots = memory.min(i32::MAX as u64) / ENTRY_BYTES;
        // With room for nothing a cleaning would never come to an end; Kafka refuses to start.
        let most = ((slots as f64 * load_factor) as usize).max(1);
        OffsetMap { offsets: BTreeMap::new(), most, latest: Offset(-1) }
    }

    /// Notes that `key` occurs at `offset`. As in Kafka a full map takes not even a key that it has.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        if self.offsets.len() >= self.most {
            return Err(Full);
        }
        self.offsets.insert(xxh3_128(key), offset);
        self.latest = offset;
        Ok(())
    }

    /// Whether a later record of the key than that at `offset` is known.
    pub fn outdates(&self, key: &[u8], offset: Offset) -> bool {
        self.offsets.get(&xxh3_128(key)).is_some_and(|&last| offset < last)
    }

    /// Everything up to here is in the map; -1 for nothing.
    pub fn latest(&self) -> Offset {
        self.latest
    }

    pub fn set_latest(&mut self, offset: Offset) {
        self.latest = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, Full, OffsetMap};
    use crate::kafka::types::Offset;

    #[test]
    fn the_last_offset_of_a_key_counts() {
        let mut map = OffsetMap::new(1 << 20, 0.9);
        map.put(b"a", Offset(1)).unwrap();
        map.put(b"b", Offset(2)).unwrap();
        map.put(b"a", Offset(5)).unwrap();
        assert!(map.outdates(b"a", Offset(1)) && map.outdates(b"a", Offset(4)));
        assert!(!map.outdates(b"a", Offset(5)) && !map.outdates(b"b", Offset(2)));
        assert!(!map.outdates(b"c", Offset(0)));
        assert_eq!(map.latest(), Offset(5));
    }

    #[test]
    fn memory_bounds_the_number_of_keys() {
        let mut map = OffsetMap::new(10 * ENTRY_BYTES, 0.5);
        for key in 0..5_u8 {
            map.put(&[key], Offset(i64::from(key))).unwrap();
        }
        assert_eq!(map.put(b"more", Offset(5)), Err(Full));
        assert_eq!(map.put(&[0], Offset(5)), Err(Full));
        assert_eq!(map.latest(), Offset(4));
    }
}
