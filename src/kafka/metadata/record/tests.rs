//! Records survive the log; known bytes; damage never panics; a snapshot is the image.

use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

use super::{ConfigResource, MetadataRecord, RecordError};
use crate::kafka::{
    metadata::{
        BrokerEndpoint, BrokerFeature, BrokerRegistration, Image, LeaderRecoveryState,
        PartitionChange, PartitionImage, RegistrationChange,
    },
    types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId},
};

/// Few of each, so that records of one log meet.
fn id() -> impl Strategy<Value = Uuid> {
    (100u128..104).prop_map(Uuid::from_u128)
}

fn broker() -> impl Strategy<Value = BrokerId> {
    (0..4i32).prop_map(BrokerId)
}

fn brokers() -> impl Strategy<Value = Vec<BrokerId>> {
    vec(broker(), 0..5)
}

fn epoch() -> impl Strategy<Value = BrokerEpoch> {
    (0..3i64).prop_map(BrokerEpoch)
}

fn recovery() -> impl Strategy<Value = LeaderRecoveryState> {
    prop_oneof![Just(LeaderRecoveryState::Recovered), Just(LeaderRecoveryState::Recovering)]
}

fn registration() -> impl Strategy<Value = BrokerRegistration> {
    let endpoint = ("[A-Z]{1,5}", "[a-z.]{0,9}", any::<u16>(), any::<i16>()).prop_map(
        |(name, host, port, security_protocol)| BrokerEndpoint {
            name,
            host,
            port,
            security_protocol,
        },
    );
    let feature = ("[a-z.]{1,9}", any::<i16>(), any::<i16>())
        .prop_map(|(name, min, max)| BrokerFeature { name, min, max });
    let who = (broker(), epoch(), id(), option::of("[a-z]{0,4}"));
    let state = (any::<bool>(), any::<bool>());
    (who, vec(endpoint, 0..3), vec(feature, 0..3), state, vec(id(), 0..3)).prop_map(
        |((id, epoch, incarnation, rack), endpoints, features, (fenced, ends), directories)| {
            BrokerRegistration {
                id,
                epoch,
                incarnation,
                endpoints,
                features,
                rack,
                fenced,
                in_controlled_shutdown: ends,
                directories,
            }
        },
    )
}

fn partition() -> impl Strategy<Value = PartitionImage> {
    let lists = (brokers(), brokers(), brokers(), brokers(), brokers(), brokers());
    let numbers = (-1..4i32, any::<i32>(), any::<i32>());
    (lists, numbers, vec(id(), 0..3), recovery()).prop_map(
        |(lists, (leader, leader_epoch, partition_epoch), directories, recovery)| {
            let (replicas, isr, removing, adding, eligible, last_known_eligible) = lists;
            PartitionImage {
                replicas,
                // Elr is known from the version on that knows directories.
                directories,
                isr,
                removing,
                adding,
                leader: BrokerId(leader),
                recovery,
                leader_epoch: LeaderEpoch(leader_epoch),
                partition_epoch: PartitionEpoch(partition_epoch),
                eligible,
                last_known_eligible,
            }
        },
    )
}

fn change() -> impl Strategy<Value = PartitionChange> {
    let list = || option::of(brokers());
    let lists = (list(), list(), list(), list(), list(), list());
    let leader = option::of((-1..4i32).prop_map(BrokerId));
    (lists, leader, option::of(recovery()), option::of(vec(id(), 0..3))).prop_map(
        |(lists, leader, recovery, directories)| {
            let (isr, replicas, removing, adding, eligible, last_known_eligible) = lists;
            PartitionChange {
                isr,
                leader,
                replicas,
                removing,
                adding,
                recovery,
                directories,
                eligible,
                last_known_eligible,
            }
        },
    )
}

fn of_brokers() -> impl Strategy<Value = MetadataRecord> {
    let change = (option::of(any::<bool>()), any::<bool>(), vec(id(), 0..3)).prop_map(
        |(fenced, enters_controlled_shutdown, directories)| RegistrationChange {
            fenced,
            enters_controlled_shutdown,
            directories,
        },
    );
    prop_oneof![
        registration().prop_map(MetadataRecord::RegisterBroker),
        (broker(), epoch()).prop_map(|(id, epoch)| MetadataRecord::UnregisterBroker { id, epoch }),
        (broker(), epoch()).prop_map(|(id, epoch)| MetadataRecord::FenceBroker { id, epoch }),
        (broker(), epoch()).prop_map(|(id, epoch)| MetadataRecord::UnfenceBroker { id, epoch }),
        (broker(), epoch(), change).prop_map(|(id, epoch, change)| {
            MetadataRecord::RegistrationChange { id, epoch, change }
        }),
        (broker(), epoch(), any::<i64>()).prop_map(|(broker, epoch, next)| {
            MetadataRecord::ProducerIds { broker, epoch, next: ProducerId(next) }
        }),
    ]
}

fn of_topics() -> impl Strategy<Value = MetadataRecord> {
    let resource = prop_oneof![
        "[a-c]".prop_map(|name| ConfigResource::Topic(name.as_str().into())),
        "[1-3]?".prop_map(ConfigResource::Broker),
    ];
    prop_oneof![
        ("[a-c]", id())
            .prop_map(|(name, id)| MetadataRecord::Topic { name: name.as_str().into(), id }),
        (id(), 0..3i32, partition()).prop_map(|(topic_id, partition, image)| {
            MetadataRecord::Partition { topic_id, partition, image }
        }),
        (id(), 0..3i32, change()).prop_map(|(topic_id, partition, change)| {
            MetadataRecord::PartitionChange { topic_id, partition, change }
        }),
        id().prop_map(|id| MetadataRecord::RemoveTopic { id }),
        (resource, "[a-c]{1,200}", option::of("[a-z]{0,5}"))
            .prop_map(|(resource, name, value)| MetadataRecord::Config { resource, name, value }),
        ("[a-c.]{1,9}|metadata\\.version", 0..3i16)
            .prop_map(|(name, level)| MetadataRecord::FeatureLevel { name, level }),
        Just(MetadataRecord::NoOp),
    ]
}

pub fn records() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![of_brokers(), of_topics()]
}

/// Topics whose names and ids are both of one topic, as the controller sees to it.
pub fn is_sound(record: &MetadataRecord, image: &Image) -> bool {
    match record {
        MetadataRecord::Topic { name, id } => {
            image.topic(name.as_str()).is_none() && image.topic_by_id(*id).is_none()
        }
        MetadataRecord::ProducerIds { next, .. } => next.0 >= 0,
        _ => true,
    }
}

proptest! {
    #[test]
    fn a_record_survives_the_log(record in records()) {
        prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..60)) {
        let _ = MetadataRecord::decode(&bytes);
    }

    #[test]
    fn damaged_records_never_panic(record in records(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = record.encode().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = MetadataRecord::decode(&bytes);
        prop_assert!(MetadataRecord::decode(&record.encode()[..at]).is_err());
    }

    #[test]
    fn a_snapshot_adds_up_to_its_image(log in vec(records(), 0..60)) {
        let mut image = Image::default();
        for record in log {
            if is_sound(&record, &image) {
                image.apply(record);
            }
        }
        let mut restored = Image::default();
        for record in image.records() {
            let record = MetadataRecord::decode(&record.encode());
            restored.apply(record.expect("it was written"));
        }
        prop_assert_eq!(restored, image);
    }
}

/// From the schema by hand: frame 1, type 2, version 0, "ab", the id, no tags.
#[test]
fn a_topic_record_has_kafkas_bytes() {
    let record = MetadataRecord::Topic { name: "ab".into(), id: Uuid::from_u128(5) };
    let mut expected = vec![1, 2, 0, 3, b'a', b'b'];
    expected.extend([0; 15]);
    expected.extend([5, 0]);
    assert_eq!(record.encode(), expected);
}

/// From the schema by hand: partition 1 of topic 5; tag 0 is the new ISR, tag 1 the new leader.
#[test]
fn a_partition_change_has_kafkas_bytes() {
    let change = PartitionChange {
        isr: Some(vec![BrokerId(2)]),
        leader: Some(BrokerId::NONE),
        ..PartitionChange::default()
    };
    let topic_id = Uuid::from_u128(5);
    let record = MetadataRecord::PartitionChange { topic_id, partition: 1, change };
    let mut expected = vec![1, 5, 2, 0, 0, 0, 1];
    expected.extend([0; 15]);
    expected.extend([5, 2]);
    expected.extend([0, 5, 2, 0, 0, 0, 2]);
    expected.extend([1, 4, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(record.encode(), expected);
}

/// From the schema by hand, version 2: partition 0 of topic 5 on broker 1 in directory 7, which recovers.
#[test]
fn a_partition_record_has_kafkas_bytes() {
    let image = PartitionImage {
        directories: vec![Uuid::from_u128(7)],
        recovery: LeaderRecoveryState::Recovering,
        ..PartitionImage::new(vec![BrokerId(1)])
    };
    let record = MetadataRecord::Partition { topic_id: Uuid::from_u128(5), partition: 0, image };
    let mut expected = vec![1, 3, 2, 0, 0, 0, 0];
    expected.extend([0; 15]);
    expected.push(5);
    expected.extend([2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 1, 1]);
    expected.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.push(2);
    expected.extend([0; 15]);
    expected.extend([7, 1, 0, 1, 1]);
    assert_eq!(record.encode(), expected);
}

/// From the schema by hand: broker 1 in epoch 9 enters its controlled shutdown, which is version 1.
#[test]
fn a_registration_change_has_kafkas_bytes() {
    let change = RegistrationChange { enters_controlled_shutdown: true, ..Default::default() };
    let record =
        MetadataRecord::RegistrationChange { id: BrokerId(1), epoch: BrokerEpoch(9), change };
    let expected = [1, 17, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 1, 1, 1];
    assert_eq!(record.encode(), expected[..]);
}

#[test]
fn unknown_records_are_told_by_type_and_version() {
    let unknown = RecordError::Unknown { kind: 99, version: 0 };
    assert_eq!(MetadataRecord::decode(&[1, 99, 0, 0]), Err(unknown));
    let newer = RecordError::Unknown { kind: 3, version: 9 };
    assert_eq!(MetadataRecord::decode(&[1, 3, 9, 0]), Err(newer));
}
