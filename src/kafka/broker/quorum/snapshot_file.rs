//! What stands in a snapshot of the metadata: a header, the image as records, a footer (`RecordsSnapshotWriter`).
//!
//! Header and footer are control records in batches of their own; the footer says that the snapshot is whole. Offsets
//! count within the snapshot, and all batches carry the epoch that it reaches.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{SnapshotFooterRecord, SnapshotHeaderRecord},
    protocol::{Decodable, Encodable},
};

use crate::{
    env::WallTime,
    kafka::{
        metadata::{Image, MetadataRecord},
        protocol::batch::{Batch, BatchBuilder, BatchError, BatchOptions, Batches, Compression},
        types::{LeaderEpoch, Offset, Timestamp},
    },
};

/// Records in one batch (`SnapshotEmitter`).
const BATCH_RECORDS: usize = 1024;
/// About what one batch has at most (`KafkaRaftClient.MAX_BATCH_SIZE_BYTES`).
const BATCH_LIMIT: usize = 8 << 20;
/// `ControlRecordType.SNAPSHOT_HEADER` and `SNAPSHOT_FOOTER`.
const HEADER: i16 = 3;
const FOOTER: i16 = 4;
/// `ControlRecordUtils.SNAPSHOT_HEADER_CURRENT_VERSION`, `SNAPSHOT_FOOTER_CURRENT_VERSION`
const VERSION: i16 = 0;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::kafka::broker) enum SnapshotError {
    #[error("batch at byte {position}: {source}")]
    Batch { position: usize, source: BatchError },
    #[error("it does not begin with a header")]
    NoHeader,
    #[error("it does not end with a footer")]
    NoFooter,
}

/// What a snapshot adds up to.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::kafka::broker) struct Contents {
    pub image: Image,
    /// When the last record that it stands for was appended.
    pub last_contained: Timestamp,
}

/// Batches one after the other, each at the offset where the last one ended.
struct Writer {
    bytes: BytesMut,
    next: Offset,
    epoch: LeaderEpoch,
    now: Timestamp,
}

impl Writer {
    fn put(&mut self, records: &[(Option<Bytes>, Bytes)], control: Control) {
        let mut batch = BatchBuilder::new(Compression::None, BATCH_LIMIT);
        for (key, value) in records {
            batch.append(self.now, key.as_deref(), Some(value), &[]);
        }
        let options = BatchOptions {
            base_offset: self.next,
            leader_epoch: self.epoch,
            control: control == Control::Yes,
            ..BatchOptions::default()
        };
        self.bytes.put_slice(&batch.build(&options));
        self.next = self.next + records.len() as i64;
    }

    fn put_control(&mut self, kind: i16, value: Bytes) {
        let mut key = BytesMut::new();
        key.put_i16(VERSION);
        key.put_i16(kind);
        self.put(&[(Some(key.freeze()), value)], Control::Yes);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    Yes,
    No,
}

fn encoded(message: &impl Encodable) -> Bytes {
    let mut value = BytesMut::new();
    message.encode(&mut value, VERSION).expect("the version is one of the message's");
    value.freeze()
}

/// The snapshot of `image`, which the records up to those of `epoch` add up to.
pub(in crate::kafka::broker) fn encode(
    image: &Image,
    epoch: LeaderEpoch,
    last_contained: Timestamp,
    now: WallTime,
) -> Bytes {
    let now = Timestamp::from(now);
    let mut writer = Writer { bytes: BytesMut::new(), next: Offset(0), epoch, now };
    let header = SnapshotHeaderRecord::default()
        .with_version(VERSION)
        .with_last_contained_log_timestamp(last_contained.0);
    writer.put_control(HEADER, encoded(&header));
    let records: Vec<_> = image.records().iter().map(|it| (None, it.encode())).collect();
    for batch in records.chunks(BATCH_RECORDS) {
        writer.put(batch, Control::No);
    }
    let footer = SnapshotFooterRecord::default().with_version(VERSION);
    writer.put_control(FOOTER, encoded(&footer));
    writer.bytes.freeze()
}

/// The kind of a batch's control record, and the record; `None` for a batch of another kind.
fn control(batch: &Batch) -> Option<(i16, Bytes)> {
    if !batch.header.attributes.is_control() {
        return None;
    }
    let record = batch.records().ok()?.next()?.ok()?;
    let kind = record.key.as_deref()?.get(2..4)?.try_into().ok()?;
    Some((i16::from_be_bytes(kind), record.value?))
}

fn header(batch: &Batch) -> Option<Timestamp> {
    let (_, mut value) = control(batch).filter(|(kind, _)| *kind == HEADER)?;
    let header = SnapshotHeaderRecord::decode(&mut value, VERSION).ok()?;
    Some(Timestamp(header.last_contained_log_timestamp))
}

/// Reads a snapshot and checks that it is sound and whole.
pub(in crate::kafka::broker) fn decode(bytes: Bytes) -> Result<Contents, SnapshotError> {
    let length = bytes.len();
    let mut batches = Batches::new(bytes);
    let mut contents: Option<Contents> = None;
    let (mut position, mut is_whole) = (0, false);
    while let Some(batch) = batches.next() {
        let failed = |source| SnapshotError::Batch { position, source };
        let batch = batch.map_err(failed)?;
        batch.check_crc().map_err(failed)?;
        match &mut contents {
            None => {
                let last_contained = header(&batch).ok_or(SnapshotError::NoHeader)?;
                contents = Some(Contents { image: Image::default(), last_contained });
            }
            Some(contents) if !batch.header.attributes.is_control() => {
                for record in batch.records().map_err(failed)? {
                    let value = record.map_err(failed)?.value.unwrap_or_default();
                    match MetadataRecord::decode(&value) {
                        Ok(record) => contents.image.apply(record),
                        Err(error) => tracing::warn!(%error, "metadata record passed over"),
                    }
                }
            }
            Some(_) => {}
        }
        is_whole = control(&batch).is_some_and(|(kind, _)| kind == FOOTER);
        position = length - batches.rest().len();
    }
    let contents = contents.ok_or(SnapshotError::NoHeader)?;
    if is_whole && position == length { Ok(contents) } else { Err(SnapshotError::NoFooter) }
}

/// When the last record that the snapshot stands for was appended, by its first batch.
pub(super) fn last_contained(start: Bytes) -> Option<Timestamp> {
    header(&Batches::new(start).next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{Contents, SnapshotError, decode, encode, last_contained};
    use crate::{
        env::WallTime,
        kafka::{
            metadata::{Image, MetadataRecord},
            protocol::batch::Batches,
            types::{LeaderEpoch, Offset, ProducerId, Timestamp},
        },
    };

    fn image(topics: u128) -> Image {
        let mut image = Image::default();
        for id in 1..=topics {
            let name = format!("topic-{id}").as_str().into();
            image.apply(MetadataRecord::Topic { name, id: Uuid::from_u128(id) });
        }
        let (broker, epoch) = Default::default();
        image.apply(MetadataRecord::ProducerIds { broker, epoch, next: ProducerId(3000) });
        image
    }

    fn snapshot(topics: u128) -> Bytes {
        encode(&image(topics), LeaderEpoch(7), Timestamp(55), WallTime(66))
    }

    #[test]
    fn a_snapshot_gives_its_image_back() {
        for topics in [0, 3, 2500] {
            let bytes = snapshot(topics);
            let expected = Contents { image: image(topics), last_contained: Timestamp(55) };
            assert_eq!(last_contained(bytes.clone()), Some(Timestamp(55)));
            assert_eq!(decode(bytes), Ok(expected));
        }
    }

    #[test]
    fn header_and_footer_are_batches_of_their_own_and_offsets_go_on() {
        let batches: Vec<_> = Batches::new(snapshot(2500)).map(Result::unwrap).collect();
        let told: Vec<_> = batches
            .iter()
            .map(|batch| (batch.header.base_offset, batch.header.record_count))
            .collect();
        let at = |offset, count| (Offset(offset), count);
        assert_eq!(told, [at(0, 1), at(1, 1024), at(1025, 1024), at(2049, 453), at(2502, 1)]);
        assert!(batches.iter().all(|batch| batch.header.leader_epoch == LeaderEpoch(7)));
        let control: Vec<_> =
            batches.iter().map(|batch| batch.header.attributes.is_control()).collect();
        assert_eq!(control, [true, false, false, false, true]);
        let key = |batch: &crate::kafka::protocol::batch::Batch| {
            batch.records().unwrap().next().unwrap().unwrap().key.unwrap()
        };
        assert_eq!(
            (&key(&batches[0])[..], &key(&batches[4])[..]),
            (&[0, 0, 0, 3][..], &[0, 0, 0, 4][..])
        );
    }

    #[test]
    fn half_a_snapshot_is_none() {
        let bytes = snapshot(3);
        let first = Batches::new(bytes.clone()).next().unwrap().unwrap().bytes.len();
        assert_eq!(decode(Bytes::new()), Err(SnapshotError::NoHeader));
        assert_eq!(decode(bytes.slice(first..)), Err(SnapshotError::NoHeader));
        for end in [first, first + 10, bytes.len() - 1] {
            assert_eq!(decode(bytes.slice(..end)), Err(SnapshotError::NoFooter), "{end}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_under_a_checksum_is_found(at in 0_usize..10_000, bit in 0_u8..8) {
            let bytes = snapshot(3);
            let mut damaged = bytes.to_vec();
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
            // Base offset and epoch stand before the checksum and tell nothing that is used.
            if let Ok(contents) = decode(Bytes::from(damaged)) {
                prop_assert_eq!(contents.image, image(3));
            }
        }
    }
}
