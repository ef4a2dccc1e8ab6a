//! Properties of everything that reads bytes from elsewhere: requests through the wire, batches, and a data
//! directory as a broker finds it.
//!
//! What comes is nonsense now and then, and mostly something right that was damaged: bits flipped, ends
//! cut off, pieces put in, lengths and counts beyond anything.

use kafka_protocol::{
    messages::{self, ApiKey, TopicName},
    protocol::{Request, StrBytes},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use retrial::kafka::{
    protocol::batch::{BatchBuilder, BatchOptions, Compression},
    types::Timestamp,
};

use super::{
    bodies::{self, Attempt, Change, Edit, Ended, reseal, with_header},
    ground::{TOPIC, simulated},
    stranger::Stranger,
};

/// Numbers that lengths and counts should not be, in the encodings there are.
fn monstrous() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        vec![0x7f, 0xff, 0xff, 0xff],
        vec![0x80, 0, 0, 0],
        vec![255, 255, 255, 255],
        vec![0x7f, 0xff],
        vec![0x80, 0],
        vec![255, 255, 255, 255, 15],
        vec![255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        vec![0x7f, 255, 255, 255, 255, 255, 255, 255],
    ])
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Overwrite(Index, Vec<u8>),
    /// A piece of it once more, elsewhere.
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || prop_oneof![monstrous(), vec(any::<u8>(), 1..9)];
    prop_oneof![
        4 => (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        4 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        1 => any::<(Index, Index, Index)>().prop_map(|(from, to, at)| Damage::Splice(from, to, at)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match damage {
            Damage::Flip(at, bits) => {
                let at = place(at, &bytes);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
            }
            Damage::Cut(at) => bytes.truncate(place(at, &bytes)),
            Damage::Insert(at, piece) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, piece.iter().copied());
            }
            Damage::Overwrite(at, piece) => {
                let at = place(at, &bytes);
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            Damage::Splice(from, to, at) => {
                let (from, to) = (place(from, &bytes), place(to, &bytes));
                let (piece, at) = (bytes[from.min(to)..from.max(to)].to_vec(), place(at, &bytes));
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

/// A batch as an honest producer builds it.
fn sound_batch() -> impl Strategy<Value = Vec<u8>> {
    (codec(), vec(vec(any::<u8>(), 0..40), 1..5)).prop_map(|(codec, values)| {
        let mut batch = BatchBuilder::new(codec, 1 << 16);
        for value in &values {
            batch.append(Timestamp(1), Some(b"key"), Some(value), &[]);
        }
        batch.build(&BatchOptions::default()).to_vec()
    })
}

/// A damaged batch, half the time with a checksum that says it is sound.
fn damaged_batch() -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<u16>(), prop_oneof![monstrous(), vec(any::<u8>(), 1..4)]), 0..4);
    prop_oneof![
        (sound_batch(), edits).prop_map(|(mut batch, edits)| {
            edits.iter().for_each(|(at, bytes)| reseal(&mut batch, *at, bytes));
            batch
        }),
        (sound_batch(), vec(damage(), 1..5)).prop_map(|(batch, damages)| damaged(batch, &damages)),
    ]
}

/// Bytes put together from what requests are made of, in both of their encodings.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec!["", "t", "g", "__consumer_offsets", "range", "consumer"]);
    let text = (text, any::<bool>()).prop_map(|(text, compact)| {
        let length = text.len() as u8;
        let head = if compact { vec![length + 1] } else { vec![0, length] };
        [head, text.as_bytes().to_vec()].concat()
    });
    let records = (damaged_batch(), any::<bool>()).prop_map(|(batch, compact)| {
        let length = batch.len() as u32;
        let compact_length = length + 1;
        let head = match compact {
            true => vec![compact_length as u8 | 0x80, (compact_length >> 7) as u8],
            false => length.to_be_bytes().to_vec(),
        };
        [head, batch].concat()
    });
    let piece = prop_oneof![
        6 => vec(0..4_u8, 1..9),
        4 => text,
        1 => monstrous(),
        1 => vec(any::<u8>(), 1..9),
        1 => records,
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn encoded<R: Request>(version: i16, request: R) -> Option<Vec<u8>> {
    let mut bytes = bytes::BytesMut::new();
    request.encode(&mut bytes, version).ok()?;
    Some(bytes.to_vec())
}

/// A request that makes the broker do something, of some of the APIs.
fn sound_request(key: i16, version: i16, batch: &[u8]) -> Option<Vec<u8>> {
    let topic = || TopicName(StrBytes::from_static_str(TOPIC));
    let group = || StrBytes::from_static_str("g").into();
    let text = StrBytes::from_static_str;
    match ApiKey::try_from(key).ok()? {
        ApiKey::Produce => {
            use messages::produce_request::{PartitionProduceData, TopicProduceData};
            let data = PartitionProduceData::default().with_records(Some(batch.to_vec().into()));
            let data =
                TopicProduceData::default().with_name(topic()).with_partition_data(vec![data]);
            let request = messages::ProduceRequest::default().with_acks(1).with_timeout_ms(100);
            encoded(version, request.with_topic_data(vec![data]))
        }
        ApiKey::Fetch => {
            use messages::fetch_request::{FetchPartition, FetchTopic};
            let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
            let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
            let request = messages::FetchRequest::default().with_max_bytes(1 << 20);
            encoded(version, request.with_topics(vec![topic]))
        }
        ApiKey::ListOffsets => {
            use messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
            let partition = ListOffsetsPartition::default().with_timestamp(1);
            let topic = ListOffsetsTopic::default().with_name(topic());
            let topic = topic.with_partitions(vec![partition]);
            encoded(version, messages::ListOffsetsRequest::default().with_topics(vec![topic]))
        }
        ApiKey::JoinGroup => {
            use messages::join_group_request::JoinGroupRequestProtocol;
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(text("range"))
                .with_metadata(vec![0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 0].into());
            let request = messages::JoinGroupRequest::default()
                .with_group_id(group())
                .with_session_timeout_ms(10_000)
                .with_rebalance_timeout_ms(10_000)
                .with_protocol_type(text("consumer"));
            encoded(version, request.with_protocols(vec![protocol]))
        }
        ApiKey::OffsetCommit => {
            use messages::offset_commit_request::{
                OffsetCommitRequestPartition, OffsetCommitRequestTopic,
            };
            let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
            let topic = OffsetCommitRequestTopic::default().with_name(topic());
            let topic = topic.with_partitions(vec![partition]);
            let request = messages::OffsetCommitRequest::default()
                .with_group_id(group())
                .with_generation_id_or_member_epoch(-1);
            encoded(version, request.with_topics(vec![topic]))
        }
        ApiKey::FindCoordinator => {
            let request = messages::FindCoordinatorRequest::default();
            match version {
                4.. => encoded(version, request.with_coordinator_keys(vec![text("g")])),
                _ => encoded(version, request.with_key(text("g"))),
            }
        }
        ApiKey::CreateTopics => {
            use messages::create_topics_request::CreatableTopic;
            let topic = CreatableTopic::default().with_num_partitions(1).with_replication_factor(1);
            let topic = topic.with_name(TopicName(text("new")));
            encoded(version, messages::CreateTopicsRequest::default().with_topics(vec![topic]))
        }
        _ => None,
    }
}

/// A request of any API, from bytes that suit none in particular.
fn attempt() -> impl Strategy<Value = Attempt> {
    (any::<u16>(), plausible()).prop_map(|(api, body)| Attempt { api, body })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_broker_outlives_plausible_requests(attempts in vec(attempt(), 1..60)) {
        bodies::requests(attempts);
    }

    #[test]
    fn the_broker_outlives_damaged_requests(
        batch in damaged_batch(),
        damages in vec((any::<u16>(), vec(damage(), 0..3)), 1..60),
    ) {
        simulated(&[], move |ground| async move {
            let mut stranger = Stranger::open(&ground).await;
            let served = bodies::served(&mut stranger).await;
            let sound: Vec<_> = served
                .iter()
                .filter_map(|&(key, version)| Some((key, version, sound_request(key, version, &batch)?)))
                .collect();
            for (correlation, (pick, damages)) in (100..).zip(&damages) {
                let (key, version, body) = &sound[usize::from(*pick) % sound.len()];
                let body = damaged(body.clone(), damages);
                let head = (*key, *version, correlation);
                bodies::try_request(&ground, &mut stranger, head, &body).await;
            }
        });
    }
}

/// Bodies of one kind of byte, so that every API in every version is met at least once.
#[test]
fn every_served_version_of_every_api_takes_plain_nonsense() {
    for body in [vec![], vec![0; 200], vec![1; 200], vec![2; 200], vec![0x7f; 200], vec![255; 200]]
    {
        let all = 0..400;
        bodies::requests(all.map(|api| Attempt { api, body: body.clone() }).collect());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn damaged_batches_are_opened_or_refused(batches in vec(damaged_batch(), 1..3)) {
        bodies::batches(&batches.concat());
    }

    #[test]
    fn any_bytes_behind_a_header_are_opened_or_refused(
        codec in codec(),
        count in any::<i32>(),
        payload in vec(any::<u8>(), 0..200),
    ) {
        bodies::batches(&with_header(codec.id(), count, &payload));
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let bytes = || prop_oneof![monstrous(), vec(any::<u8>(), 0..20)];
    let change = prop_oneof![
        1 => Just(Change::Remove),
        1 => any::<u16>().prop_map(|at| Change::Cut { at }),
        3 => (any::<u16>(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip { at, bits }),
        2 => (any::<u16>(), bytes()).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => vec(any::<u8>(), 0..100).prop_map(|bytes| Change::Replace { bytes }),
        6 => (any::<u8>(), any::<u16>(), bytes())
            .prop_map(|(batch, at, bytes)| Change::Reseal { batch, at, bytes }),
        2 => prop_oneof![any::<u64>(), 0..100_u64, Just(i64::MAX as u64)]
            .prop_map(|offset| Change::Copy { offset }),
    ];
    (any::<u8>(), change).prop_map(|(file, change)| Edit { file, change })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_broker_opens_or_refuses_any_directory(
        ended in prop::sample::select(vec![Ended::Killed, Ended::Clean]),
        edits in vec(edit(), 0..8),
    ) {
        bodies::directory(ended, &edits);
    }
}
