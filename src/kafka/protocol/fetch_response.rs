//! Fetch responses around records that lie elsewhere.
//!
//! The generated encoder wants all records in memory and copies them into the frame. Here it encodes each level
//! with nothing in the level below, and the counts and lengths it wrote for "nothing" are replaced: what remains
//! is a frame with places into which the records go when it is sent.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        FetchResponse,
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
    protocol::Encodable,
};

use super::{
    message::{MessageError, begin_response, finish, unreadable},
    unsigned_varint,
};

/// From here on lengths are compact, and every structure ends with tagged fields.
const FLEXIBLE_SINCE: i16 = 12;
/// From here on an error code and a session id follow the throttle time.
const SESSIONS_SINCE: i16 = 7;

/// A frame without its records.
#[derive(Debug)]
pub struct FrameAround {
    /// Its length counts the records.
    pub frame: BytesMut,
    /// Positions in the frame, rising, at which the records of each size that is not 0 belong.
    pub places: Vec<usize>,
}

/// The frame of a response whose partitions have records of these sizes, in their order. What the response
/// itself holds as records is not looked at.
pub fn encode_fetch_response(
    correlation_id: i32,
    version: i16,
    mut response: FetchResponse,
    sizes: impl IntoIterator<Item = usize>,
) -> Result<FrameAround, MessageError> {
    let mut writer = Writer {
        frame: begin_response::<FetchResponse>(correlation_id, version),
        version,
        places: Vec::new(),
    };
    let topics = std::mem::take(&mut response.responses);
    let mut sizes = sizes.into_iter();
    let mut total = 0;
    let begin = writer.frame.len();
    writer.put(&response)?;
    // Fields of fixed size, the number of topics, which is none, tagged fields.
    let fixed = if version >= SESSIONS_SINCE { 10 } else { 4 };
    let tail = writer.frame.split_off(begin + fixed);
    writer.put_count(topics.len())?;
    for topic in topics {
        total += writer.put_topic(topic, &mut sizes)?;
    }
    writer.frame.put_slice(&tail[writer.nothing()..]);
    let Writer { frame, places, .. } = writer;
    Ok(FrameAround { frame: finish(frame, total)?, places })
}

struct Writer {
    frame: BytesMut,
    version: i16,
    places: Vec<usize>,
}

impl Writer {
    fn is_flexible(&self) -> bool {
        self.version >= FLEXIBLE_SINCE
    }

    /// Bytes that say that there are no elements.
    fn nothing(&self) -> usize {
        if self.is_flexible() { 1 } else { 4 }
    }

    fn put(&mut self, part: &impl Encodable) -> Result<(), MessageError> {
        part.encode(&mut self.frame, self.version).map_err(|error| unreadable("response", error))
    }

    fn put_count(&mut self, count: usize) -> Result<(), MessageError> {
        let count = i32::try_from(count).map_err(|error| unreadable("response", error))?;
        match self.is_flexible() {
            true => unsigned_varint::put(&mut self.frame, count as u32 + 1),
            false => self.frame.put_i32(count),
        }
        Ok(())
    }

    /// Takes back the last field, which is empty, and the tagged fields behind it, of which there are none.
    fn drop_nothing(&mut self) {
        let tags = usize::from(self.is_flexible());
        self.frame.truncate(self.frame.len() - self.nothing() - tags);
    }

    fn put_no_tags(&mut self) {
        if self.is_flexible() {
            self.frame.put_u8(0);
        }
    }

    fn put_topic(
        &mut self,
        mut topic: FetchableTopicResponse,
        sizes: &mut impl Iterator<Item = usize>,
    ) -> Result<usize, MessageError> {
        let partitions = std::mem::take(&mut topic.partitions);
        self.put(&topic)?;
        self.drop_nothing();
        self.put_count(partitions.len())?;
        let mut total = 0;
        for partition in partitions {
            let size = sizes.next().unwrap_or_default();
            self.put_partition(partition, size)?;
            total += size;
        }
        self.put_no_tags();
        Ok(total)
    }

    fn put_partition(&mut self, data: PartitionData, size: usize) -> Result<(), MessageError> {
        // Kafka fills the tagged fields of a partition only beside an error or a divergence, where there are
        // no records.
        self.put(&data.with_records(Some(Bytes::new())))?;
        if size > 0 {
            self.drop_nothing();
            self.put_count(size)?;
            self.places.push(self.frame.len());
            self.put_no_tags();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::{
        messages::{
            FetchResponse, TopicName,
            fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData},
        },
        protocol::StrBytes,
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::encode_fetch_response;
    use crate::kafka::protocol::message::encode_response;

    fn partition() -> impl Strategy<Value = PartitionData> {
        let aborted = prop::option::of(prop::collection::vec((0..9_i64, 0..9_i64), 0..3));
        (0..99_i32, 0..9_i16, -1..1_000_000_i64, aborted, 0..300_usize).prop_map(
            |(index, error, offset, aborted, size)| {
                let transaction = |(id, first): (i64, i64)| {
                    AbortedTransaction::default()
                        .with_producer_id(id.into())
                        .with_first_offset(first)
                };
                let aborted = aborted.map(|ids| ids.into_iter().map(transaction).collect());
                PartitionData::default()
                    .with_partition_index(index)
                    .with_error_code(error)
                    .with_high_watermark(offset)
                    .with_log_start_offset(offset)
                    .with_aborted_transactions(aborted)
                    .with_records(Some(Bytes::from(vec![7; size])))
            },
        )
    }

    fn topic(version: i16) -> impl Strategy<Value = FetchableTopicResponse> {
        let name = if version < 13 { "[a-z]{1,9}" } else { "" };
        let id = if version < 13 { Just(0).boxed() } else { any::<u128>().boxed() };
        (name, id, prop::collection::vec(partition(), 0..4)).prop_map(|(name, id, partitions)| {
            FetchableTopicResponse::default()
                .with_topic(TopicName(StrBytes::from_string(name)))
                .with_topic_id(Uuid::from_u128(id))
                .with_partitions(partitions)
        })
    }

    fn response() -> impl Strategy<Value = (i16, FetchResponse)> {
        (4..=17_i16).prop_flat_map(|version| {
            let session = if version < 7 { Just(0).boxed() } else { any::<i32>().boxed() };
            let topics = prop::collection::vec(topic(version), 0..200);
            (session, any::<i32>(), topics).prop_map(move |(session, throttle, topics)| {
                let response = FetchResponse::default()
                    .with_throttle_time_ms(throttle)
                    .with_session_id(session)
                    .with_responses(topics);
                (version, response)
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn with_its_records_in_their_places_it_is_what_the_library_encodes(
            (version, response) in response(),
        ) {
            let whole = encode_response(9, version, &response).unwrap();
            let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
            let records: Vec<_> = partitions.map(|data| data.records.clone().unwrap()).collect();
            let sizes = records.iter().map(Bytes::len);
            let around = encode_fetch_response(9, version, response, sizes).unwrap();
            let mut filled = Vec::new();
            let mut records = records.iter().filter(|records| !records.is_empty());
            let mut from = 0;
            for place in around.places {
                filled.extend_from_slice(&around.frame[from..place]);
                filled.extend_from_slice(records.next().unwrap());
                from = place;
            }
            filled.extend_from_slice(&around.frame[from..]);
            prop_assert!(records.next().is_none());
            prop_assert_eq!(filled, whole);
        }
    }
}
