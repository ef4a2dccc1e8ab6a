//! Batches against `kafka-protocol`'s own decoder and encoder, and against garbage.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{protocol::StrBytes, records as reference};
use proptest::{collection::vec, option, prelude::*};

use super::{
    Batch, BatchBuilder, BatchError, BatchHeader, BatchOptions, Batches, Compression, HEADER_LEN,
    RecordHeader, TimestampType, assign, recompress, set_log_append_time, set_producer, varint,
};
use crate::kafka::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

type Field = Option<Vec<u8>>;

#[derive(Clone, Debug)]
struct Input {
    timestamp: i64,
    key: Field,
    value: Field,
    headers: Vec<(String, Field)>,
}

impl Input {
    fn headers(&self) -> Vec<RecordHeader> {
        let header = |(key, value): &(String, Field)| RecordHeader {
            key: StrBytes::from_string(key.clone()),
            value: value.clone().map(Bytes::from),
        };
        self.headers.iter().map(header).collect()
    }
}

fn input() -> impl Strategy<Value = Input> {
    let field = || option::of(vec(any::<u8>(), 0..200));
    let header = ("[a-z]{0,5}", option::of(vec(any::<u8>(), 0..9)));
    (0..1_i64 << 45, field(), field(), vec(header, 0..4))
        .prop_map(|(timestamp, key, value, headers)| Input { timestamp, key, value, headers })
}

fn options() -> impl Strategy<Value = BatchOptions> {
    (0..1_i64 << 40, 0..9_i32, -1..99_i64, -1..9_i16, -1..i32::MAX).prop_map(
        |(offset, leader, id, epoch, sequence)| BatchOptions {
            base_offset: Offset(offset),
            leader_epoch: LeaderEpoch(leader),
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: Sequence(sequence),
            ..BatchOptions::default()
        },
    )
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

fn build(inputs: &[Input], codec: Compression, options: &BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(codec, 16_384);
    for input in inputs {
        builder.append(
            Timestamp(input.timestamp),
            input.key.as_deref(),
            input.value.as_deref(),
            &input.headers(),
        );
    }
    builder.build(options)
}

fn only_batch(bytes: Bytes) -> Batch {
    let mut batches = Batches::new(bytes);
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

fn simple(value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, 0);
    builder.append(Timestamp(7), None, Some(value), &[]);
    builder.build(&BatchOptions::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_built_batch_reads_as_it_was_written(
        inputs in vec(input(), 1..8), codec in codec(), options in options(),
    ) {
        let batch = only_batch(build(&inputs, codec, &options));
        batch.check_crc().unwrap();
        prop_assert_eq!(batch.header.base_offset, options.base_offset);
        prop_assert_eq!(batch.header.producer_id, options.producer_id);
        prop_assert_eq!(batch.header.record_count as usize, inputs.len());
        let latest = inputs.iter().map(|input| input.timestamp).max().unwrap();
        prop_assert_eq!(batch.header.max_timestamp, Timestamp(latest));
        let records: Vec<_> = batch.records().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), inputs.len());
        for (index, (record, input)) in records.iter().zip(&inputs).enumerate() {
            prop_assert_eq!(record.offset, options.base_offset + index as i64);
            prop_assert_eq!(record.timestamp.0, input.timestamp);
            prop_assert_eq!(record.key.as_deref(), input.key.as_deref());
            prop_assert_eq!(record.value.as_deref(), input.value.as_deref());
            prop_assert_eq!(&record.headers, &input.headers());
        }
    }

    #[test]
    fn the_reference_decoder_reads_our_batches(
        inputs in vec(input(), 1..8), codec in codec(), options in options(),
    ) {
        let mut bytes = build(&inputs, codec, &options);
        let set = reference::RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert_eq!(set.records.len(), inputs.len());
        for (index, (record, input)) in set.records.iter().zip(&inputs).enumerate() {
            prop_assert_eq!(record.offset, options.base_offset.0 + index as i64);
            prop_assert_eq!(record.producer_id, options.producer_id.0);
            prop_assert_eq!(record.partition_leader_epoch, options.leader_epoch.0);
            prop_assert_eq!(record.timestamp, input.timestamp);
            prop_assert_eq!(record.key.as_deref(), input.key.as_deref());
            prop_assert_eq!(record.value.as_deref(), input.value.as_deref());
        }
    }

    #[test]
    fn the_reference_encoder_writes_the_same_bytes(
        mut inputs in vec(input(), 1..8), options in options(),
    ) {
        // It takes the smallest timestamp for the first, and keeps no repeated header.
        inputs.sort_by_key(|input| input.timestamp);
        let record = |(index, input): (usize, &mut Input)| {
            input.headers.truncate(1);
            let header = |header: RecordHeader| (header.key, header.value);
            reference::Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: options.leader_epoch.0,
                producer_id: options.producer_id.0,
                producer_epoch: options.producer_epoch.0,
                timestamp_type: reference::TimestampType::Creation,
                offset: options.base_offset.0 + index as i64,
                sequence: options.base_sequence.0.wrapping_add(index as i32),
                timestamp: input.timestamp,
                key: input.key.clone().map(Bytes::from),
                value: input.value.clone().map(Bytes::from),
                headers: input.headers().into_iter().map(header).collect(),
            }
        };
        let records: Vec<_> = inputs.iter_mut().enumerate().map(record).collect();
        let mut expected = BytesMut::new();
        let compression = reference::Compression::None;
        let encoding = reference::RecordEncodeOptions { version: 2, compression };
        reference::RecordBatchEncoder::encode(&mut expected, &records, &encoding).unwrap();
        prop_assert_eq!(build(&inputs, Compression::None, &options), expected.freeze());
    }

    #[test]
    fn size_accounting_is_exact(inputs in vec(input(), 1..8)) {
        let mut builder = BatchBuilder::new(Compression::None, usize::MAX);
        for input in &inputs {
            builder.append(
                Timestamp(input.timestamp),
                input.key.as_deref(),
                input.value.as_deref(),
                &input.headers(),
            );
        }
        let estimated = builder.estimated_size();
        let batch = builder.build(&BatchOptions::default());
        prop_assert_eq!(estimated, batch.len());
    }

    #[test]
    fn recompression_changes_nothing_but_the_codec(
        inputs in vec(input(), 1..4), from in codec(), to in codec(), options in options(),
    ) {
        let before = only_batch(build(&inputs, from, &options));
        let after = only_batch(recompress(&before, to).unwrap());
        after.check_crc().unwrap();
        prop_assert_eq!(after.header.attributes.compression(), Ok(to));
        prop_assert_eq!(after.header.producer_id, before.header.producer_id);
        let records = |batch: &Batch| batch.records().unwrap().collect::<Result<Vec<_>, _>>();
        prop_assert_eq!(records(&after), records(&before));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        for batch in Batches::new(Bytes::from(bytes)).flatten() {
            let _ = batch.check_crc();
            if let Ok(records) = batch.records() {
                let _ = records.count();
            }
        }
    }

    #[test]
    fn a_damaged_batch_never_panics_and_is_noticed(
        inputs in vec(input(), 1..4), codec in codec(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
    ) {
        let mut bytes = BytesMut::from(&build(&inputs, codec, &BatchOptions::default())[..]);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        for batch in Batches::new(bytes.freeze()).flatten() {
            // Base offset and leader epoch are the leader's to set and not under the checksum.
            let sealed = at >= 16;
            prop_assert!(!sealed || batch.check_crc().is_err());
            if let Ok(records) = batch.records() {
                let _ = records.count();
            }
        }
    }

    #[test]
    fn varints_return(value in any::<i64>()) {
        let mut out = BytesMut::new();
        varint::put(&mut out, value);
        prop_assert_eq!(out.len(), varint::size(value));
        let mut rest = &out[..];
        prop_assert_eq!(varint::take(&mut rest), Some(value));
        prop_assert!(rest.is_empty());
    }
}

#[test]
fn assigning_a_place_leaves_the_checksum_valid() {
    let mut bytes = BytesMut::from(&simple(b"v")[..]);
    assign(&mut bytes, Offset(41), LeaderEpoch(3));
    let batch = only_batch(bytes.freeze());
    batch.check_crc().unwrap();
    assert_eq!(batch.header.base_offset, Offset(41));
    assert_eq!(batch.header.leader_epoch, LeaderEpoch(3));
    assert_eq!(batch.header.next_offset(), Offset(42));
}

#[test]
fn log_append_time_replaces_every_timestamp() {
    let mut bytes = BytesMut::from(&simple(b"v")[..]);
    set_log_append_time(&mut bytes, Timestamp(999));
    let batch = only_batch(bytes.freeze());
    batch.check_crc().unwrap();
    assert_eq!(batch.header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    let record = batch.records().unwrap().next().unwrap().unwrap();
    assert_eq!(record.timestamp, Timestamp(999));
}

#[test]
fn a_batch_can_change_its_producer() {
    let bytes = set_producer(&simple(b"v"), ProducerId(5), ProducerEpoch(2), Sequence(0));
    let batch = only_batch(bytes);
    batch.check_crc().unwrap();
    assert_eq!(batch.header.producer_id, ProducerId(5));
    assert_eq!(batch.header.producer_epoch, ProducerEpoch(2));
    assert_eq!(batch.header.last_sequence(), Sequence(0));
}

#[test]
fn a_partial_batch_ends_the_walk() {
    let whole = simple(b"v");
    let mut bytes = BytesMut::from(&whole[..]);
    bytes.extend_from_slice(&whole[..whole.len() - 1]);
    let mut batches = Batches::new(bytes.freeze());
    assert!(batches.next().unwrap().is_ok());
    assert!(batches.next().is_none());
    assert_eq!(batches.rest().len(), whole.len() - 1);
}

#[test]
fn older_formats_are_refused() {
    let mut bytes = BytesMut::from(&simple(b"v")[..]);
    bytes[16] = 1;
    assert_eq!(BatchHeader::parse(&bytes), Err(BatchError::UnsupportedMagic(1)));
    assert_eq!(
        BatchHeader::parse(&bytes[..20]),
        Err(BatchError::Incomplete { have: 20, need: HEADER_LEN })
    );
}

#[test]
fn a_batch_is_full_where_javas_builder_is() {
    // 61 bytes of header; each record takes 1 (size) + 1 + 1 + 1 + 1 (no key) + 1 + 10 + 1 = 17.
    let mut builder = BatchBuilder::new(Compression::None, 61 + 2 * 17);
    let room =
        |builder: &BatchBuilder| builder.has_room_for(Timestamp(1), None, Some(&[0; 10]), &[]);
    for _ in 0..2 {
        assert!(room(&builder) && !builder.is_full());
        builder.append(Timestamp(1), None, Some(&[0; 10]), &[]);
    }
    assert!(!room(&builder) && builder.is_full());
    assert_eq!(BatchBuilder::upper_bound(None, Some(&[0; 10]), &[]), 61 + 21 + 13);
}

#[test]
fn the_first_record_always_fits() {
    let mut builder = BatchBuilder::new(Compression::None, 0);
    assert!(builder.has_room_for(Timestamp(1), None, Some(&[0; 99]), &[]));
    builder.append(Timestamp(1), None, Some(&[0; 99]), &[]);
    assert!(builder.is_full());
}
