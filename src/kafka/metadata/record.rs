//! Records of the metadata log, in Kafka's own encoding.
//!
//! Each is framed by a frame version (1), its type and its version, all unsigned varints
//! (`AbstractApiMessageSerde`), and is a flexible message after that. The schemas are Kafka's
//! `metadata/src/main/resources/common/metadata/*.json`; fields this broker does not model are written
//! with their defaults.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::kafka::types::{BrokerId, LeaderEpoch, ProducerId, TopicName};

const FRAME_VERSION: u32 = 1;
const TOPIC: u32 = 2;
const PARTITION: u32 = 3;
const CONFIG: u32 = 4;
const REMOVE_TOPIC: u32 = 9;
const PRODUCER_IDS: u32 = 15;
/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;

/// One change of the cluster's metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataRecord {
    Topic {
        name: TopicName,
        id: Uuid,
    },
    Partition {
        topic_id: Uuid,
        partition: i32,
        replicas: Vec<BrokerId>,
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
    },
    /// The topic goes, with its partitions and settings.
    RemoveTopic {
        id: Uuid,
    },
    /// A topic's setting; `None` takes it back to the default.
    TopicConfig {
        topic: TopicName,
        name: String,
        value: Option<String>,
    },
    /// The first producer id that no block has given out.
    ProducerIds {
        broker: BrokerId,
        next: ProducerId,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    #[error("metadata record ends too early")]
    CutOff,
    #[error("metadata record has frame version {0}")]
    FrameVersion(u32),
    #[error("metadata record of type {kind} in version {version} is not known")]
    Unknown { kind: u32, version: u32 },
    #[error("metadata record holds text that is not UTF-8")]
    NotText,
    #[error("metadata record is followed by {0} stray bytes")]
    Stray(usize),
}

impl MetadataRecord {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        put_varint(&mut out, FRAME_VERSION);
        put_varint(&mut out, self.kind());
        put_varint(&mut out, 0);
        match self {
            MetadataRecord::Topic { name, id } => {
                put_text(&mut out, name.as_str());
                out.put_slice(id.as_bytes());
            }
            MetadataRecord::Partition { topic_id, partition, replicas, leader, leader_epoch } => {
                out.put_i32(*partition);
                out.put_slice(topic_id.as_bytes());
                put_ids(&mut out, replicas);
                // With one replica the in-sync set is all of them; nothing is being added or removed.
                put_ids(&mut out, replicas);
                put_ids(&mut out, &[]);
                put_ids(&mut out, &[]);
                out.put_i32(leader.0);
                out.put_i32(leader_epoch.0);
                out.put_i32(0);
            }
            MetadataRecord::RemoveTopic { id } => out.put_slice(id.as_bytes()),
            MetadataRecord::TopicConfig { topic, name, value } => {
                out.put_i8(TOPIC_RESOURCE);
                put_text(&mut out, topic.as_str());
                put_text(&mut out, name);
                match value {
                    Some(value) => put_text(&mut out, value),
                    None => out.put_u8(0),
                }
            }
            MetadataRecord::ProducerIds { broker, next } => {
                out.put_i32(broker.0);
                out.put_i64(-1);
                out.put_i64(next.0);
            }
        }
        out.put_u8(0);
        out.freeze()
    }

    fn kind(&self) -> u32 {
        match self {
            MetadataRecord::Topic { .. } => TOPIC,
            MetadataRecord::Partition { .. } => PARTITION,
            MetadataRecord::RemoveTopic { .. } => REMOVE_TOPIC,
            MetadataRecord::TopicConfig { .. } => CONFIG,
            MetadataRecord::ProducerIds { .. } => PRODUCER_IDS,
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let input = &mut { bytes };
        let frame = take_varint(input)?;
        if frame != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame));
        }
        let (kind, version) = (take_varint(input)?, take_varint(input)?);
        let record = match (kind, version) {
            (TOPIC, 0) => {
                MetadataRecord::Topic { name: take_text(input)?.into(), id: take_id(input)? }
            }
            (PARTITION, 0) => take_partition(input)?,
            (REMOVE_TOPIC, 0) => MetadataRecord::RemoveTopic { id: take_id(input)? },
            (CONFIG, 0) => {
                take(input, Buf::try_get_i8)?;
                let (topic, name) = (take_text(input)?.into(), take_text(input)?);
                MetadataRecord::TopicConfig { topic, name, value: take_nullable_text(input)? }
            }
            (PRODUCER_IDS, 0) => {
                let broker = BrokerId(take(input, Buf::try_get_i32)?);
                take(input, Buf::try_get_i64)?;
                let next = ProducerId(take(input, Buf::try_get_i64)?);
                MetadataRecord::ProducerIds { broker, next }
            }
            (kind, version) => return Err(RecordError::Unknown { kind, version }),
        };
        for _ in 0..take_varint(input)? {
            take_varint(input)?;
            let size = take_varint(input)? as usize;
            *input = input.get(size..).ok_or(RecordError::CutOff)?;
        }
        if input.is_empty() { Ok(record) } else { Err(RecordError::Stray(input.len())) }
    }
}

fn take_partition(input: &mut &[u8]) -> Result<MetadataRecord, RecordError> {
    let partition = take(input, Buf::try_get_i32)?;
    let topic_id = take_id(input)?;
    let replicas = take_ids(input)?;
    let _isr = take_ids(input)?;
    let _removing = take_ids(input)?;
    let _adding = take_ids(input)?;
    let leader = BrokerId(take(input, Buf::try_get_i32)?);
    let leader_epoch = LeaderEpoch(take(input, Buf::try_get_i32)?);
    let _partition_epoch = take(input, Buf::try_get_i32)?;
    Ok(MetadataRecord::Partition { topic_id, partition, replicas, leader, leader_epoch })
}

fn take<'a, T, E>(
    input: &mut &'a [u8],
    get: impl Fn(&mut &'a [u8]) -> Result<T, E>,
) -> Result<T, RecordError> {
    get(input).map_err(|_| RecordError::CutOff)
}

fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_varint(input: &mut &[u8]) -> Result<u32, RecordError> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = take(input, Buf::try_get_u8)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(RecordError::CutOff)
}

/// A compact string: its length plus one, then its bytes.
fn put_text(out: &mut BytesMut, text: &str) {
    put_varint(out, text.len() as u32 + 1);
    out.put_slice(text.as_bytes());
}

fn take_nullable_text(input: &mut &[u8]) -> Result<Option<String>, RecordError> {
    let Some(length) = take_varint(input)?.checked_sub(1) else { return Ok(None) };
    let (text, rest) = input.split_at_checked(length as usize).ok_or(RecordError::CutOff)?;
    *input = rest;
    let text = str::from_utf8(text).map_err(|_| RecordError::NotText)?;
    Ok(Some(text.to_owned()))
}

fn take_text(input: &mut &[u8]) -> Result<String, RecordError> {
    take_nullable_text(input)?.ok_or(RecordError::CutOff)
}

fn take_id(input: &mut &[u8]) -> Result<Uuid, RecordError> {
    let (id, rest) = input.split_first_chunk().ok_or(RecordError::CutOff)?;
    *input = rest;
    Ok(Uuid::from_bytes(*id))
}

/// A compact array of broker ids.
fn put_ids(out: &mut BytesMut, ids: &[BrokerId]) {
    put_varint(out, ids.len() as u32 + 1);
    ids.iter().for_each(|id| out.put_i32(id.0));
}

fn take_ids(input: &mut &[u8]) -> Result<Vec<BrokerId>, RecordError> {
    let count = take_varint(input)?.checked_sub(1).ok_or(RecordError::CutOff)? as usize;
    if count > input.len() / 4 {
        return Err(RecordError::CutOff);
    }
    (0..count).map(|_| take(input, Buf::try_get_i32).map(BrokerId)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::MetadataRecord;
    use crate::kafka::types::{BrokerId, LeaderEpoch, ProducerId};

    fn records() -> impl Strategy<Value = MetadataRecord> {
        let ids = prop::collection::vec(any::<i32>().prop_map(BrokerId), 0..5);
        prop_oneof![
            ("[a-z]{1,9}", any::<u128>()).prop_map(|(name, id)| MetadataRecord::Topic {
                name: name.into(),
                id: Uuid::from_u128(id)
            }),
            (any::<u128>(), any::<i32>(), ids, any::<i32>(), any::<i32>()).prop_map(
                |(id, partition, replicas, leader, epoch)| MetadataRecord::Partition {
                    topic_id: Uuid::from_u128(id),
                    partition,
                    replicas,
                    leader: BrokerId(leader),
                    leader_epoch: LeaderEpoch(epoch),
                }
            ),
            any::<u128>().prop_map(|id| MetadataRecord::RemoveTopic { id: Uuid::from_u128(id) }),
            ("[a-z]{1,9}", "[a-z.]{1,200}", any::<Option<String>>()).prop_map(
                |(topic, name, value)| MetadataRecord::TopicConfig {
                    topic: topic.into(),
                    name,
                    value
                }
            ),
            (any::<i32>(), any::<i64>()).prop_map(|(broker, next)| MetadataRecord::ProducerIds {
                broker: BrokerId(broker),
                next: ProducerId(next)
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_record_survives_the_log(record in records()) {
            prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = MetadataRecord::decode(&bytes);
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
}
