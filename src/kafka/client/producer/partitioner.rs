//! Which partition a record without an explicit one goes to, exactly as the Java producer chooses.
//!
//! A keyed record goes to murmur2(key) modulo the number of partitions. Records without a key stick to
//! one partition until about `batch.size` bytes went there, then move to another drawn at random
//! (KIP-480, KIP-794). The adaptive part of KIP-794, which prefers brokers with shorter queues, is left
//! out: `partitioner.adaptive.partitioning.enable` behaves as `false`.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::kafka::client::network::PartitionMetadata;

/// Kafka's murmur2 (`Utils.murmur2`): 32 bits, fixed seed, the tail read little-endian.
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    const SEED: u32 = 0x9747_b28c;

    // Java's `length` is an int; a key longer than 2 GiB does not exist on the wire.
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four"));
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash as i32
}

/// Clears the sign bit (`Utils.toPositive`): not the absolute value, and partitions depend on it.
pub fn to_positive(number: i32) -> i32 {
    number & i32::MAX
}

/// The partition of a keyed record (`BuiltInPartitioner.partitionForKey`). It moves when `partitions`
/// changes, which is how adding partitions breaks order by key.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    to_positive(murmur2(key)) % partitions
}

/// The current partition of a topic's records without keys.
#[derive(Debug)]
pub(crate) struct StickyPartitioner {
    rng: ChaCha8Rng,
    current: Option<i32>,
    produced_bytes: usize,
    sticky_bytes: usize,
}

/// Whether leaving the current partition would cut a batch short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LastBatch {
    Open,
    Full,
}

impl StickyPartitioner {
    /// `sticky_bytes` is `batch.size`.
    pub(crate) fn new(sticky_bytes: usize, rng: ChaCha8Rng) -> Self {
        StickyPartitioner {
            rng,
            current: None,
            produced_bytes: 0,
            sticky_bytes: sticky_bytes.max(1),
        }
    }

    /// The partition to append to.
    pub(crate) fn current(&mut self, partitions: &[PartitionMetadata]) -> i32 {
        match self.current {
            Some(partition) => partition,
            None => self.switch(partitions),
        }
    }

    /// Counts appended bytes and moves on after `batch.size` of them, but lets an open batch fill up to
    /// twice that, so that switching does not produce fractional batches.
    pub(crate) fn appended(
        &mut self,
        bytes: usize,
        last_batch: LastBatch,
        partitions: &[PartitionMetadata],
    ) {
        self.produced_bytes += bytes;
        let may_switch = last_batch == LastBatch::Full;
        if self.produced_bytes >= self.sticky_bytes && may_switch
            || self.produced_bytes >= 2 * self.sticky_bytes
        {
            self.switch(partitions);
        }
    }

    /// Draws among the partitions with a known leader; with none, among all, and batches wait for one.
    fn switch(&mut self, partitions: &[PartitionMetadata]) -> i32 {
        let random = to_positive(self.rng.next_u32() as i32) as usize;
        let led = || (0..).zip(partitions).filter(|(_, partition)| partition.leader.is_some());
        let count = led().count();
        let drawn = match count {
            0 => (random % partitions.len().max(1)) as i32,
            _ => led().nth(random % count).map_or(0, |(number, _)| number),
        };
        self.current = Some(drawn);
        self.produced_bytes = 0;
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        env::Rng,
        kafka::types::{BrokerId, LeaderEpoch},
    };

    #[test]
    fn murmur2_agrees_with_kafkas_own_test_vectors() {
        let cases: [(&str, i32); 6] = [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn a_negative_hash_loses_its_sign_bit_not_its_sign() {
        assert_eq!(to_positive(-1), i32::MAX);
        assert_eq!(to_positive(i32::MIN), 0);
        assert_eq!(partition_for_key(b"foobar", 10), (-790332482i32 & i32::MAX) % 10);
    }

    /// Partitions 0 to `count - 1`, of which those in `led` have a leader.
    fn partitions(count: i32, led: &[i32]) -> Vec<PartitionMetadata> {
        let leader = |number: &i32| led.contains(number).then_some(BrokerId(1));
        let epoch = LeaderEpoch(0);
        (0..count).map(|number| PartitionMetadata { leader: leader(&number), epoch }).collect()
    }

    #[test]
    fn records_without_a_key_stay_until_batch_size_and_then_move_at_a_full_batch() {
        let mut sticky = StickyPartitioner::new(100, Rng::new(3).stream("sticky"));
        let all: Vec<i32> = (0..1000).collect();
        let partitions = partitions(1000, &all);
        let first = sticky.current(&partitions);
        sticky.appended(99, LastBatch::Full, &partitions);
        assert_eq!(sticky.current(&partitions), first, "not enough bytes");
        sticky.appended(1, LastBatch::Open, &partitions);
        assert_eq!(sticky.current(&partitions), first, "the batch may still grow");
        sticky.appended(1, LastBatch::Full, &partitions);
        assert_ne!(sticky.current(&partitions), first);
    }

    #[test]
    fn partitions_without_a_leader_are_avoided() {
        let mut sticky = StickyPartitioner::new(1, Rng::new(3).stream("sticky"));
        let partitions = partitions(6, &[4]);
        for _ in 0..50 {
            assert_eq!(sticky.current(&partitions), 4);
            sticky.appended(2, LastBatch::Full, &partitions);
        }
    }
}
