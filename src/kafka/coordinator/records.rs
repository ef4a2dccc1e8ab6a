//! Records of `__consumer_offsets`, in Kafka's own binary format.
//!
//! A key begins with its version, and the version says what the record is: 0 and 1 an offset, 2 a
//! classic group. A value begins with its own version; no value at all takes back what the key names.
//! The schemas are Kafka's `group-coordinator/src/main/resources/common/message/*.json`. The
//! `kafka-protocol` crate leaves these out, since no request carries them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

use crate::kafka::{
    protocol::unsigned_varint,
    types::{
        GenerationId, GroupId, LeaderEpoch, MemberId, Offset, Timestamp, TopicName, TopicPartition,
    },
};

/// Versions of an OffsetCommitKey.
const OFFSET_KEYS: std::ops::RangeInclusive<i16> = 0..=1;
/// The only version of a GroupMetadataKey.
const GROUP_KEY: i16 = 2;
const LATEST_VALUE: i16 = 4;
/// From this version on values have compact lengths and tagged fields.
const FLEXIBLE: i16 = 4;
/// The only version of an offset that has a time of its own to expire at.
const EXPIRING_OFFSET: i16 = 1;
/// What Kafka writes (`MetadataVersion.offsetCommitValueVersion`, `groupMetadataValueVersion`):
/// version 4 is for readers of the future.
const WRITTEN_VALUE: i16 = 3;
const NONE: i64 = -1;

/// A record ready to append. Without a value it is a tombstone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupRecord {
    Offset {
        group: GroupId,
        partition: TopicPartition,
        value: Option<OffsetValue>,
    },
    Group {
        group: GroupId,
        value: Option<GroupValue>,
    },
    /// Of a kind this coordinator does not keep: other group types and whatever comes later.
    Other {
        key_version: i16,
    },
}

/// A committed offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetValue {
    pub offset: Offset,
    pub leader_epoch: Option<LeaderEpoch>,
    pub metadata: StrBytes,
    pub committed_at: Timestamp,
    /// Set by old clients alone, which asked for a retention of their own.
    pub expires_at: Option<Timestamp>,
}

/// A generation of a group and what its members were assigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupValue {
    pub protocol_type: StrBytes,
    pub generation: GenerationId,
    pub protocol: Option<StrBytes>,
    pub leader: Option<MemberId>,
    /// When the group entered its state; not known of groups written by old versions.
    pub state_since: Option<Timestamp>,
    pub members: Vec<MemberValue>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberValue {
    pub member: MemberId,
    pub instance_id: Option<StrBytes>,
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    /// -1 in records of version 0, which had none.
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// The metadata the member gave for the chosen protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    #[error("record ends too early")]
    CutOff,
    #[error("record holds a length of {0}")]
    Length(i64),
    #[error("record holds text that is not UTF-8")]
    NotText,
    #[error("{what} of version {version} is not known")]
    Version { what: &'static str, version: i16 },
}

impl Record {
    pub fn offset(
        group: &GroupId,
        partition: &TopicPartition,
        value: Option<&OffsetValue>,
    ) -> Self {
        let mut out = Writer::key(*OFFSET_KEYS.end());
        out.text(group.as_str());
        out.text(partition.topic.as_str());
        out.bytes.put_i32(partition.partition);
        let key = out.bytes.freeze();
        Record { key, value: value.map(|value| value.encode(value.written_version())) }
    }

    pub fn group(group: &GroupId, value: Option<&GroupValue>) -> Self {
        let mut out = Writer::key(GROUP_KEY);
        out.text(group.as_str());
        let key = out.bytes.freeze();
        Record { key, value: value.map(|value| value.encode(WRITTEN_VALUE)) }
    }
}

impl GroupRecord {
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, RecordError> {
        let mut key = Reader::new(key)?;
        if OFFSET_KEYS.contains(&key.version) {
            let group = GroupId::from(key.text()?.as_str());
            let topic = TopicName::from(key.text()?.as_str());
            let partition = TopicPartition::new(topic, key.i32()?);
            let value = value.map(OffsetValue::decode).transpose()?;
            return Ok(GroupRecord::Offset { group, partition, value });
        }
        if key.version == GROUP_KEY {
            let group = GroupId::from(key.text()?.as_str());
            let value = value.map(GroupValue::decode).transpose()?;
            return Ok(GroupRecord::Group { group, value });
        }
        Ok(GroupRecord::Other { key_version: key.version })
    }
}

impl OffsetValue {
    fn written_version(&self) -> i16 {
        if self.expires_at.is_some() { EXPIRING_OFFSET } else { WRITTEN_VALUE }
    }

    fn encode(&self, version: i16) -> Bytes {
        let mut out = Writer::value(version);
        out.bytes.put_i64(self.offset.0);
        if version >= 3 {
            out.bytes.put_i32(self.leader_epoch.map_or(-1, |epoch| epoch.0));
        }
        out.text(&self.metadata);
        out.bytes.put_i64(self.committed_at.0);
        if version == EXPIRING_OFFSET {
            out.bytes.put_i64(self.expires_at.map_or(NONE, |at| at.0));
        }
        out.end_struct();
        out.bytes.freeze()
    }

    fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let mut value = Reader::versioned(bytes, "offset commit value")?;
        let offset = Offset(value.i64()?);
        let leader_epoch = if value.version >= 3 { value.i32()? } else { -1 };
        let metadata = value.text()?;
        let committed_at = Timestamp(value.i64()?);
        let expires_at = if value.version == EXPIRING_OFFSET { value.i64()? } else { NONE };
        value.end_struct()?;
        Ok(OffsetValue {
            offset,
            leader_epoch: (leader_epoch >= 0).then_some(LeaderEpoch(leader_epoch)),
            metadata,
            committed_at,
            expires_at: (expires_at != NONE).then_some(Timestamp(expires_at)),
        })
    }
}

impl GroupValue {
    fn encode(&self, version: i16) -> Bytes {
        let mut out = Writer::value(version);
        out.text(&self.protocol_type);
        out.bytes.put_i32(self.generation.0);
        out.nullable_text(self.protocol.as_deref());
        out.nullable_text(self.leader.as_ref().map(MemberId::as_str));
        if version >= 2 {
            out.bytes.put_i64(self.state_since.map_or(NONE, |since| since.0));
        }
        out.count(self.members.len());
        for member in &self.members {
            member.encode(version, &mut out);
        }
        out.end_struct();
        out.bytes.freeze()
    }

    fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let mut value = Reader::versioned(bytes, "group metadata value")?;
        let protocol_type = value.text()?;
        let generation = GenerationId(value.i32()?);
        let protocol = value.nullable_text()?;
        let leader = value.nullable_text()?.map(|leader| MemberId::from(leader.as_str()));
        let state_since = if value.version >= 2 { value.i64()? } else { NONE };
        let count = value.count()?;
        let members =
            (0..count).map(|_| MemberValue::decode(&mut value)).collect::<Result<_, _>>()?;
        value.end_struct()?;
        Ok(GroupValue {
            protocol_type,
            generation,
            protocol,
            leader,
            state_since: (state_since != NONE).then_some(Timestamp(state_since)),
            members,
        })
    }
}

impl MemberValue {
    fn encode(&self, version: i16, out: &mut Writer) {
        out.text(self.member.as_str());
        if version >= 3 {
            out.nullable_text(self.instance_id.as_deref());
        }
        out.text(&self.client_id);
        out.text(&self.client_host);
        if version >= 1 {
            out.bytes.put_i32(self.rebalance_timeout_ms);
        }
        out.bytes.put_i32(self.session_timeout_ms);
        out.blob(&self.subscription);
        out.blob(&self.assignment);
        out.end_struct();
    }

    fn decode(value: &mut Reader) -> Result<Self, RecordError> {
        let member = MemberId::from(value.text()?.as_str());
        let instance_id = if value.version >= 3 { value.nullable_text()? } else { None };
        let (client_id, client_host) = (value.text()?, value.text()?);
        let rebalance_timeout_ms = if value.version >= 1 { value.i32()? } else { -1 };
        let session_timeout_ms = value.i32()?;
        let (subscription, assignment) = (value.blob()?, value.blob()?);
        value.end_struct()?;
        Ok(MemberValue {
            member,
            instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms,
            session_timeout_ms,
            subscription,
            assignment,
        })
    }
}

/// Writes the fields of one message; lengths depend on its version.
struct Writer {
    bytes: BytesMut,
    flexible: bool,
}

impl Writer {
    fn key(version: i16) -> Self {
        let mut bytes = BytesMut::with_capacity(64);
        bytes.put_i16(version);
        Writer { bytes, flexible: false }
    }

    fn value(version: i16) -> Self {
        Writer { flexible: version >= FLEXIBLE, ..Writer::key(version) }
    }

    fn varint(&mut self, value: usize) {
        let value = u32::try_from(value).expect("a request holds less than 2 GB");
        unsigned_varint::put(&mut self.bytes, value);
    }

    fn text(&mut self, text: &str) {
        if self.flexible {
            self.varint(text.len() + 1);
        } else {
            let length = i16::try_from(text.len());
            self.bytes.put_i16(length.expect("requests with longer texts are refused"));
        }
        self.bytes.put_slice(text.as_bytes());
    }

    fn nullable_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None if self.flexible => self.varint(0),
            None => self.bytes.put_i16(-1),
        }
    }

    fn blob(&mut self, blob: &[u8]) {
        self.count(blob.len());
        self.bytes.put_slice(blob);
    }

    fn count(&mut self, count: usize) {
        if self.flexible {
            self.varint(count + 1);
        } else {
            self.bytes.put_i32(i32::try_from(count).expect("a request holds less than 2 GB"));
        }
    }

    /// No tagged field is defined.
    fn end_struct(&mut self) {
        if self.flexible {
            self.varint(0);
        }
    }
}

/// Reads the fields of one message. Bytes left over are ignored, as Kafka does.
struct Reader {
    bytes: Bytes,
    version: i16,
    flexible: bool,
}

impl Reader {
    fn new(mut bytes: Bytes) -> Result<Self, RecordError> {
        let version = bytes.try_get_i16().map_err(|_| RecordError::CutOff)?;
        Ok(Reader { bytes, version, flexible: false })
    }

    fn versioned(bytes: Bytes, what: &'static str) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        if !(0..=LATEST_VALUE).contains(&reader.version) {
            return Err(RecordError::Version { what, version: reader.version });
        }
        reader.flexible = reader.version >= FLEXIBLE;
        Ok(reader)
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        self.bytes.try_get_i32().map_err(|_| RecordError::CutOff)
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        self.bytes.try_get_i64().map_err(|_| RecordError::CutOff)
    }

    fn varint(&mut self) -> Result<i64, RecordError> {
        unsigned_varint::take(&mut self.bytes).map(i64::from).ok_or(RecordError::CutOff)
    }

    /// A length; -1 for null.
    fn length(&mut self, short: bool) -> Result<i64, RecordError> {
        if self.flexible {
            return Ok(self.varint()? - 1);
        }
        if short {
            let length = self.bytes.try_get_i16().map_err(|_| RecordError::CutOff)?;
            return Ok(i64::from(length));
        }
        Ok(i64::from(self.i32()?))
    }

    fn take(&mut self, length: i64) -> Result<Bytes, RecordError> {
        let length = usize::try_from(length).map_err(|_| RecordError::Length(length))?;
        if length > self.bytes.len() {
            return Err(RecordError::CutOff);
        }
        Ok(self.bytes.split_to(length))
    }

    fn text(&mut self) -> Result<StrBytes, RecordError> {
        self.nullable_text()?.ok_or(RecordError::Length(NONE))
    }

    fn nullable_text(&mut self) -> Result<Option<StrBytes>, RecordError> {
        let length = self.length(true)?;
        if length == NONE {
            return Ok(None);
        }
        // A copy, or every record read at a load would keep its whole batch in memory.
        let text = Bytes::copy_from_slice(&self.take(length)?);
        StrBytes::from_utf8(text).map(Some).map_err(|_| RecordError::NotText)
    }

    fn blob(&mut self) -> Result<Bytes, RecordError> {
        let length = self.length(false)?;
        Ok(Bytes::copy_from_slice(&self.take(length)?))
    }

    fn count(&mut self) -> Result<i64, RecordError> {
        let count = self.length(false)?;
        if count < 0 {
            return Err(RecordError::Length(count));
        }
        Ok(count)
    }

    fn end_struct(&mut self) -> Result<(), RecordError> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let size = self.varint()?;
                self.take(size)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
