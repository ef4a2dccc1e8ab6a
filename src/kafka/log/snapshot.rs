//! The producer snapshot file, `OFFSET.snapshot`: Kafka's `ProducerSnapshot` message, version 1.
//!
//! It holds one batch per producer, not the window of five; see `loader.rs` for what that means.

use bytes::{Buf, BufMut};

use super::producers::{BatchMetadata, ProducerEntry};
use crate::kafka::types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

const VERSION: i16 = 1;
/// Where the checksummed part starts: after version and checksum.
const BODY_AT: usize = 6;
const ENTRY_LEN: usize = 46;

/// The file's bytes.
pub(super) fn encode<'a>(
    producers: impl ExactSizeIterator<Item = (ProducerId, &'a ProducerEntry)>,
) -> Vec<u8> {
    let count = producers.len();
    let mut out = Vec::with_capacity(BODY_AT + 4 + count * ENTRY_LEN);
    out.put_i16(VERSION);
    out.put_u32(0);
    out.put_i32(i32::try_from(count).expect("producers fit into memory"));
    for (id, entry) in producers {
        let last = entry.last_batch();
        out.put_i64(id.0);
        out.put_i16(entry.epoch.0);
        out.put_i32(last.map_or(-1, |batch| batch.last_sequence.0));
        out.put_i64(last.map_or(-1, |batch| batch.last_offset.0));
        out.put_i32(last.map_or(0, |batch| batch.offset_delta));
        out.put_i64(entry.last_timestamp.0);
        out.put_i32(entry.coordinator_epoch);
        out.put_i64(entry.transaction_start.map_or(-1, |offset| offset.0));
    }
    let crc = crc32c::crc32c(&out[BODY_AT..]);
    out[2..BODY_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The producers in a file; `None` if it is damaged or of another version.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<(ProducerId, ProducerEntry)>> {
    if bytes.len() < BODY_AT + 4 {
        return None;
    }
    let (mut head, body) = bytes.split_at(BODY_AT);
    if head.get_i16() != VERSION || head.get_u32() != crc32c::crc32c(body) {
        return None;
    }
    let (mut count, entries) = body.split_at(4);
    let count = usize::try_from(count.get_i32()).ok()?;
    if entries.len() != count.checked_mul(ENTRY_LEN)? {
        return None;
    }
    Some(entries.chunks_exact(ENTRY_LEN).map(decode_entry).collect())
}

fn decode_entry(mut bytes: &[u8]) -> (ProducerId, ProducerEntry) {
    let id = ProducerId(bytes.get_i64());
    let epoch = ProducerEpoch(bytes.get_i16());
    let last_sequence = Sequence(bytes.get_i32());
    let last_offset = Offset(bytes.get_i64());
    let offset_delta = bytes.get_i32();
    let timestamp = Timestamp(bytes.get_i64());
    let mut entry = ProducerEntry::new(epoch);
    entry.coordinator_epoch = bytes.get_i32();
    let start = bytes.get_i64();
    entry.transaction_start = (start >= 0).then_some(Offset(start));
    entry.last_timestamp = timestamp;
    if last_offset.0 >= 0 {
        entry.add(epoch, BatchMetadata { last_sequence, last_offset, offset_delta, timestamp });
    }
    (id, entry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};
    use crate::kafka::{
        log::producers::{BatchMetadata, ProducerEntry},
        types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp},
    };

    fn entry() -> ProducerEntry {
        let mut entry = ProducerEntry::new(ProducerEpoch(2));
        let batch = BatchMetadata {
            last_sequence: Sequence(9),
            last_offset: Offset(30),
            offset_delta: 4,
            timestamp: Timestamp(77),
        };
        entry.add(ProducerEpoch(2), batch);
        entry
    }

    #[test]
    fn the_bytes_are_those_of_kafkas_message() {
        let entry = entry();
        let bytes = encode([(ProducerId(5), &entry)].into_iter());
        let mut expected = vec![0, 1];
        let mut body = vec![0, 0, 0, 1];
        body.extend(5_i64.to_be_bytes());
        body.extend(2_i16.to_be_bytes());
        body.extend(9_i32.to_be_bytes());
        body.extend(30_i64.to_be_bytes());
        body.extend(4_i32.to_be_bytes());
        body.extend(77_i64.to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body.extend((-1_i64).to_be_bytes());
        expected.extend(crc32c::crc32c(&body).to_be_bytes());
        expected.extend(body);
        assert_eq!(bytes, expected);
        assert_eq!(decode(&bytes), Some(vec![(ProducerId(5), entry)]));
    }

    proptest! {
        #[test]
        fn damage_is_noticed(at in 0..56_usize, flip in 1..=255_u8) {
            let mut bytes = encode([(ProducerId(5), &entry())].into_iter());
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_eq!(decode(&bytes), None);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
