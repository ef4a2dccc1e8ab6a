//! The format against bytes written by hand from Kafka's schemas, and against itself.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use proptest::{collection::vec, option, prelude::*};

use super::{GroupRecord, GroupValue, MemberValue, OffsetValue, Record, RecordError};
use crate::kafka::types::{
    GenerationId, GroupId, LeaderEpoch, MemberId, Offset, Timestamp, TopicPartition,
};

fn offset() -> OffsetValue {
    OffsetValue {
        offset: Offset(258),
        leader_epoch: Some(LeaderEpoch(3)),
        metadata: StrBytes::from_static_str("m"),
        committed_at: Timestamp(7),
        expires_at: None,
    }
}

const OFFSET_KEY: &[u8] = &[0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2];

#[test]
fn an_offset_is_written_as_kafka_writes_it() {
    let (group, partition) = (GroupId::from("g"), TopicPartition::new("t", 2));
    let record = Record::offset(&group, &partition, Some(&offset()));
    assert_eq!(&record.key[..], OFFSET_KEY);
    let value: &[u8] = &[
        0, 3, // version
        0, 0, 0, 0, 0, 0, 1, 2, // offset
        0, 0, 0, 3, // leader epoch
        0, 1, b'm', // metadata
        0, 0, 0, 0, 0, 0, 0, 7, // commit timestamp
    ];
    assert_eq!(record.value.as_deref(), Some(value));
    assert_eq!(Record::offset(&group, &partition, None).value, None);
}

#[test]
fn an_offset_with_a_retention_of_its_own_is_written_in_version_1() {
    let value = OffsetValue { expires_at: Some(Timestamp(9)), ..offset() };
    let record = Record::offset(&GroupId::from("g"), &TopicPartition::new("t", 2), Some(&value));
    let bytes: &[u8] = &[
        0, 1, // version
        0, 0, 0, 0, 0, 0, 1, 2, // offset
        0, 1, b'm', // metadata
        0, 0, 0, 0, 0, 0, 0, 7, // commit timestamp
        0, 0, 0, 0, 0, 0, 0, 9, // expire timestamp
    ];
    assert_eq!(record.value.as_deref(), Some(bytes));
}

#[test]
fn an_offset_of_the_flexible_version_is_read() {
    let bytes: &[u8] = &[
        0, 4, // version
        0, 0, 0, 0, 0, 0, 1, 2, // offset
        0, 0, 0, 3, // leader epoch
        2, b'm', // metadata, its length plus one
        0, 0, 0, 0, 0, 0, 0, 7, // commit timestamp
        1, 5, 2, 8, 8, // one tagged field, number 5, of two bytes
    ];
    assert_eq!(OffsetValue::decode(Bytes::from_static(bytes)), Ok(offset()));
}

#[test]
fn a_group_is_written_as_kafka_writes_it() {
    let member = MemberValue {
        member: MemberId::from("m"),
        instance_id: None,
        client_id: StrBytes::from_static_str("c"),
        client_host: StrBytes::from_static_str("/h"),
        rebalance_timeout_ms: 256,
        session_timeout_ms: 255,
        subscription: Bytes::from_static(&[1, 2]),
        assignment: Bytes::from_static(&[3]),
    };
    let value = GroupValue {
        protocol_type: StrBytes::from_static_str("consumer"),
        generation: GenerationId(4),
        protocol: Some(StrBytes::from_static_str("r")),
        leader: Some(MemberId::from("m")),
        state_since: Some(Timestamp(6)),
        members: vec![member],
    };
    let record = Record::group(&GroupId::from("g"), Some(&value));
    assert_eq!(&record.key[..], &[0, 2, 0, 1, b'g']);
    let bytes: &[u8] = &[
        0, 3, // version
        0, 8, b'c', b'o', b'n', b's', b'u', b'm', b'e', b'r', // protocol type
        0, 0, 0, 4, // generation
        0, 1, b'r', // protocol
        0, 1, b'm', // leader
        0, 0, 0, 0, 0, 0, 0, 6, // current state timestamp
        0, 0, 0, 1, // members
        0, 1, b'm', // member id
        0xff, 0xff, // no instance id
        0, 1, b'c', // client id
        0, 2, b'/', b'h', // client host
        0, 0, 1, 0, // rebalance timeout
        0, 0, 0, 255, // session timeout
        0, 0, 0, 2, 1, 2, // subscription
        0, 0, 0, 1, 3, // assignment
    ];
    assert_eq!(record.value.as_deref(), Some(bytes));
}

#[test]
fn records_of_other_kinds_are_passed_over() {
    let key = Bytes::from_static(&[0, 3, 0, 1, b'g']);
    assert_eq!(GroupRecord::decode(key, None), Ok(GroupRecord::Other { key_version: 3 }));
    let offset =
        GroupRecord::decode(Bytes::from_static(OFFSET_KEY), Some(Bytes::from_static(&[0, 5])));
    let error = RecordError::Version { what: "offset commit value", version: 5 };
    assert_eq!(offset, Err(error));
}

fn text() -> impl Strategy<Value = StrBytes> {
    ".{0,6}".prop_map(StrBytes::from_string)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

prop_compose! {
    fn offset_value()(
        offset in any::<i64>(),
        leader_epoch in option::of(0..=i32::MAX),
        metadata in text(),
        committed_at in any::<i64>(),
        expires_at in option::of(0..=i64::MAX),
    ) -> OffsetValue {
        OffsetValue {
            offset: Offset(offset),
            leader_epoch: leader_epoch.map(LeaderEpoch),
            metadata,
            committed_at: Timestamp(committed_at),
            expires_at: expires_at.map(Timestamp),
        }
    }
}

prop_compose! {
    fn member_value()(
        (member, client_id, client_host) in (text(), text(), text()),
        instance_id in option::of(text()),
        (rebalance_timeout_ms, session_timeout_ms) in any::<(i32, i32)>(),
        (subscription, assignment) in (bytes(), bytes()),
    ) -> MemberValue {
        MemberValue {
            member: MemberId::from(member.as_str()),
            instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms,
            session_timeout_ms,
            subscription,
            assignment,
        }
    }
}

prop_compose! {
    fn group_value()(
        protocol_type in text(),
        generation in any::<i32>(),
        protocol in option::of(text()),
        leader in option::of(text()),
        state_since in option::of(0..=i64::MAX),
        members in vec(member_value(), 0..4),
    ) -> GroupValue {
        GroupValue {
            protocol_type,
            generation: GenerationId(generation),
            protocol,
            leader: leader.map(|leader| MemberId::from(leader.as_str())),
            state_since: state_since.map(Timestamp),
            members,
        }
    }
}

proptest! {
    #[test]
    fn an_offset_survives_every_version(mut value in offset_value(), version in 0..=4_i16) {
        let decoded = OffsetValue::decode(value.encode(version)).unwrap();
        if version < 3 {
            value.leader_epoch = None;
        }
        if version != 1 {
            value.expires_at = None;
        }
        prop_assert_eq!(decoded, value);
    }

    #[test]
    fn a_group_survives_every_version(mut value in group_value(), version in 0..=4_i16) {
        let decoded = GroupValue::decode(value.encode(version)).unwrap();
        if version < 2 {
            value.state_since = None;
        }
        for member in &mut value.members {
            if version < 1 {
                member.rebalance_timeout_ms = -1;
            }
            if version < 3 {
                member.instance_id = None;
            }
        }
        prop_assert_eq!(decoded, value);
    }

    #[test]
    fn records_survive_the_log(group in text(), topic in text(), partition in any::<i32>(), value in group_value()) {
        let group = GroupId::from(group.as_str());
        let partition = TopicPartition::new(topic.as_str(), partition);
        let record = Record::offset(&group, &partition, None);
        let decoded = GroupRecord::decode(record.key, record.value);
        prop_assert_eq!(decoded, Ok(GroupRecord::Offset { group: group.clone(), partition, value: None }));
        let record = Record::group(&group, Some(&value));
        let decoded = GroupRecord::decode(record.key, record.value);
        prop_assert_eq!(decoded, Ok(GroupRecord::Group { group, value: Some(value) }));
    }

    #[test]
    fn whatever_bytes_there_are_reading_them_ends(
        kind in 0..3_u8,
        key in vec(any::<u8>(), 0..40),
        version in 0..6_u8,
        value in vec(any::<u8>(), 0..60),
    ) {
        let key: Vec<u8> = [0, kind].into_iter().chain(key).collect();
        let value: Vec<u8> = [0, version].into_iter().chain(value).collect();
        let _ = GroupRecord::decode(Bytes::from(key), Some(Bytes::from(value.clone())));
        let _ = GroupRecord::decode(Bytes::from_static(OFFSET_KEY), Some(Bytes::from(value.clone())));
        let group_key = Bytes::from_static(&[0, 2, 0, 1, b'g']);
        let _ = GroupRecord::decode(group_key, Some(Bytes::from(value)));
    }
}
