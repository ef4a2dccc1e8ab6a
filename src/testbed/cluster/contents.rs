//! What lies in a replica's log, read from its disk by the testbed itself.
//!
//! The broker's own account of its log ends with a power loss: of what it had not synced, appended or cut, any
//! part may be there afterwards. So the files are looked into, with nothing of the broker's code, and the
//! machine does not notice.

use crate::{
    kafka::types::{Offset, TopicPartition},
    sim::DiskControl,
    testbed::history::BatchAt,
};

/// Bytes before a batch's records, in Kafka's format of version 2.
const HEAD: usize = 61;

/// The batches of all segments, in order.
pub fn contents(disk: &DiskControl, partition: &TopicPartition) -> Vec<BatchAt> {
    let directory = partition.to_string();
    // Named by their first offset, with leading zeros, and so in order.
    let mut segments = disk.names(&directory);
    segments.retain(|name| name.ends_with(".log"));
    let bytes = segments.iter().filter_map(|name| disk.read(&format!("{directory}/{name}")).ok());
    bytes.flat_map(|bytes| batches(&bytes)).collect()
}

/// Up to the first that is not whole.
fn batches(segment: &[u8]) -> Vec<BatchAt> {
    let mut found = Vec::new();
    let mut rest = segment;
    while rest.len() >= HEAD {
        let number = |at: usize| {
            let bytes = rest[at..at + 4].try_into().expect("four bytes");
            i32::from_be_bytes(bytes)
        };
        let base = i64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
        let size = usize::try_from(number(8)).unwrap_or_default() + 12;
        if size < HEAD || size > rest.len() {
            break;
        }
        found.push(BatchAt {
            base: Offset(base),
            last: Offset(base + i64::from(number(23))),
            epoch: number(12),
            checksum: number(17) as u32,
        });
        rest = &rest[size..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::batches;
    use crate::kafka::{
        protocol::batch::{BatchBuilder, BatchOptions, Compression, assign},
        types::{LeaderEpoch, Offset, Timestamp},
    };

    fn batch(base: i64, epoch: i32, value: &[u8]) -> Vec<u8> {
        let mut batch = BatchBuilder::new(Compression::None, 1 << 16);
        batch.append(Timestamp(1), None, Some(value), &[]);
        batch.append(Timestamp(2), None, Some(value), &[]);
        let mut bytes = batch.build(&BatchOptions::default()).to_vec();
        assign(&mut bytes, Offset(base), LeaderEpoch(epoch));
        bytes
    }

    #[test]
    fn batches_are_found_with_their_places_and_a_torn_one_is_not() {
        let mut segment = batch(5, 1, b"a");
        segment.extend(batch(7, 2, b"b"));
        let whole = segment.len();
        segment.extend(&batch(9, 2, b"c")[..70]);
        let found = batches(&segment);
        let places: Vec<_> = found.iter().map(|b| (b.base.0, b.last.0, b.epoch)).collect();
        assert_eq!(places, [(5, 6, 1), (7, 8, 2)]);
        assert_ne!(found[0].checksum, found[1].checksum);
        assert_eq!(found, batches(&segment[..whole]));
    }
}
