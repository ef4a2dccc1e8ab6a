//! A buffer that does not let a message announce more than it brings.
//!
//! The generated decoders make room for as many elements as an array announces, before they read the
//! first: thirty bytes from a stranger could ask for a terabyte, and a failed allocation ends the process.
//! What a number means is not to be seen from below the decoders, so the two kinds of array are met in two
//! ways:
//!
//! - lengths and tags are the only numbers of varying length in a message, and none of those is ever far
//!   beyond what is left: too large a one is an error on the spot (a boolean is read as such a byte too,
//!   but no array follows one directly);
//! - lengths of old arrays look like any `i32`. A large one is read as a smaller one that still is more than
//!   the buffer holds, so that an array fails for want of bytes; if all went well it was no array, and the
//!   message is decoded once more with its numbers as they are.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::{Decodable, buf::ByteBuf};

/// Elements that an array may announce beyond the bytes that are left: room for them costs little, and most
/// numbers of honest messages are below, so that few are decoded twice.
const SLACK: usize = 1 << 16;

/// Decodes a message, with memory bounded by the message's size and not by what it announces.
pub(super) fn decode<M: Decodable>(body: &mut Bytes, version: i16) -> Result<M, String> {
    let mut careful = Guarded { bytes: body.clone(), varint: None, clamped: false };
    let message = M::decode(&mut careful, version).map_err(|error| error.to_string())?;
    if careful.clamped {
        return M::decode(body, version).map_err(|error| error.to_string());
    }
    *body = careful.bytes;
    Ok(message)
}

struct Guarded {
    bytes: Bytes,
    /// The number of varying length that is being read, and how many bits of it are.
    varint: Option<(u64, u32)>,
    /// A number was not told as it is.
    clamped: bool,
}

impl Guarded {
    fn most(&self) -> usize {
        self.bytes.len() + SLACK
    }

    /// Adds a byte to the number of varying length. Refuses a number that no length can be.
    fn note(&mut self, byte: u8) -> Result<(), TryGetError> {
        let (value, bits) = self.varint.take().unwrap_or_default();
        let value = value | (u64::from(byte & 0x7f) << bits);
        // The decoders take five bytes at most, and then what they have.
        if byte & 0x80 != 0 && bits < 28 {
            self.varint = Some((value, bits + 7));
            return Ok(());
        }
        let (requested, available) = (value as usize, self.bytes.len());
        if requested > self.most() { Err(TryGetError { requested, available }) } else { Ok(()) }
    }
}

impl Buf for Guarded {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.varint = None;
        self.bytes.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        self.note(byte)?;
        Ok(byte)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.varint = None;
        let value = self.bytes.try_get_i32()?;
        // Nothing left holds no element: one is enough to fail.
        let most = i32::try_from(self.most()).unwrap_or(i32::MAX);
        if value > most {
            self.clamped = true;
            return Ok(most);
        }
        Ok(value)
    }
}

impl ByteBuf for Guarded {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.varint = None;
        self.bytes.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};
    use kafka_protocol::{
        messages::{self, FetchRequest, MetadataRequest},
        protocol::{Encodable, Message, Request},
    };
    use proptest::prelude::*;

    use super::decode;

    #[test]
    fn arrays_that_announce_more_than_there_is_are_refused() {
        for (version, length) in
            [(4, &[0x7f, 0xff, 0xff, 0xff][..]), (9, &[255, 255, 255, 255, 15])]
        {
            let mut body = Bytes::copy_from_slice(length);
            assert!(decode::<MetadataRequest>(&mut body, version).is_err(), "version {version}");
        }
    }

    #[test]
    fn large_numbers_that_are_no_lengths_come_out_as_they_are() {
        for version in 4..=17 {
            let request =
                FetchRequest::default().with_max_bytes(i32::MAX).with_max_wait_ms(1_000_000);
            let mut body = BytesMut::new();
            request.encode(&mut body, version).unwrap();
            body.put_u8(7);
            let mut body = body.freeze();
            assert_eq!(decode::<FetchRequest>(&mut body, version).unwrap(), request);
            assert_eq!(&body[..], [7], "what follows a message stays");
        }
    }

    /// Bytes as a stranger sends them: mostly small numbers, some of them monstrous.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::collection::vec(0..4u8, 1..6),
            1 => Just(vec![0x7f, 0xff, 0xff, 0xff]),
            1 => Just(vec![255, 255, 255, 255, 15]),
            2 => prop::collection::vec(any::<u8>(), 1..6),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Tries the bytes as a request of every version.
    fn attempt<R: Request + Message>(bytes: &[u8]) {
        for version in R::VERSIONS.min..=R::VERSIONS.max {
            let _ = decode::<R>(&mut Bytes::copy_from_slice(bytes), version);
        }
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(bytes in hostile()) {
            attempt::<messages::ProduceRequest>(&bytes);
            attempt::<messages::FetchRequest>(&bytes);
            attempt::<messages::ListOffsetsRequest>(&bytes);
            attempt::<messages::MetadataRequest>(&bytes);
            attempt::<messages::OffsetCommitRequest>(&bytes);
            attempt::<messages::OffsetFetchRequest>(&bytes);
            attempt::<messages::FindCoordinatorRequest>(&bytes);
            attempt::<messages::JoinGroupRequest>(&bytes);
            attempt::<messages::HeartbeatRequest>(&bytes);
            attempt::<messages::LeaveGroupRequest>(&bytes);
            attempt::<messages::SyncGroupRequest>(&bytes);
            attempt::<messages::ApiVersionsRequest>(&bytes);
            attempt::<messages::CreateTopicsRequest>(&bytes);
            attempt::<messages::InitProducerIdRequest>(&bytes);
        }
    }
}
