//! Headers and bodies in and out of frames.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::ApiKey,
    protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, buf::ByteBuf},
};

use super::{guarded, unsigned_varint};

/// A frame that cannot be read. The connection it came on is closed, as Kafka does.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("frame of {0} bytes is too short for a request header")]
    ShortHeader(usize),
    #[error("unreadable {what}: {reason}")]
    Unreadable { what: &'static str, reason: String },
    #[error("answer has correlation id {got}, expected {expected}")]
    Correlation { got: i32, expected: i32 },
}

/// What stands before every request's body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHead {
    pub api_key: i16,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<StrBytes>,
}

impl RequestHead {
    /// Takes the head off a frame, leaving the body. The head of an API that is not known is read as far
    /// as all heads agree: its body cannot be found.
    pub fn take(frame: &mut Bytes) -> Result<Self, MessageError> {
        let short = MessageError::ShortHeader(frame.len());
        if frame.len() < 8 {
            return Err(short);
        }
        let (api_key, version, correlation_id) =
            (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let mut head = RequestHead { api_key, version, correlation_id, client_id: None };
        let header_version = match ApiKey::try_from(api_key) {
            Ok(key) => key.request_header_version(version),
            Err(()) => return Ok(head),
        };
        if header_version >= 1 {
            head.client_id = take_nullable_string(frame)?;
        }
        if header_version >= 2 {
            skip_tags(frame)?;
        }
        Ok(head)
    }

    /// The whole request again, with its length, ready to be sent on to somebody else.
    pub fn frame(&self, body: &[u8]) -> Result<BytesMut, MessageError> {
        let client_id = self.client_id.as_deref();
        let mut frame = BytesMut::with_capacity(64 + body.len());
        frame.put_i32(0);
        let header_version = ApiKey::try_from(self.api_key)
            .map_or(1, |key| key.request_header_version(self.version));
        put_head(
            &mut frame,
            (self.api_key, self.version, header_version),
            self.correlation_id,
            client_id,
        )?;
        frame.put_slice(body);
        finish(frame, 0)
    }
}

fn put_head(
    frame: &mut BytesMut,
    (api_key, version, header_version): (i16, i16, i16),
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<(), MessageError> {
    frame.put_i16(api_key);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    if header_version >= 1 {
        let length = client_id.map_or(Ok(-1), |id| i16::try_from(id.len()));
        frame.put_i16(length.map_err(|error| unreadable("client id", error))?);
        frame.put_slice(client_id.unwrap_or_default().as_bytes());
    }
    if header_version >= 2 {
        frame.put_u8(0);
    }
    Ok(())
}

pub(super) fn unreadable(what: &'static str, reason: impl ToString) -> MessageError {
    MessageError::Unreadable { what, reason: reason.to_string() }
}

fn take_nullable_string(frame: &mut Bytes) -> Result<Option<StrBytes>, MessageError> {
    let length = frame.try_get_i16().map_err(|error| unreadable("client id", error))?;
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    let text = frame.try_get_bytes(length).map_err(|error| unreadable("client id", error))?;
    StrBytes::from_utf8(text).map(Some).map_err(|error| unreadable("client id", error))
}

/// Tagged fields of a request header: none is defined, so all are passed over.
fn skip_tags(frame: &mut Bytes) -> Result<(), MessageError> {
    for _ in 0..take_varint(frame)? {
        take_varint(frame)?;
        let size = take_varint(frame)? as usize;
        frame.try_get_bytes(size).map_err(|error| unreadable("tagged field", error))?;
    }
    Ok(())
}

fn take_varint(frame: &mut Bytes) -> Result<u32, MessageError> {
    unsigned_varint::take(frame).ok_or_else(|| unreadable("tagged field", "a number does not end"))
}

/// Reads a request's body.
pub fn decode_request<R: Request>(mut body: Bytes, version: i16) -> Result<R, MessageError> {
    guarded::decode::<R>(&mut body, version).map_err(|error| unreadable("request", error))
}

/// Reads a message that lies in a field of another one, behind a version of its own. A newer version than
/// ours is read as ours, as Kafka does with those of `ConsumerProtocol`: fields are only ever added at the
/// end.
pub fn decode_versioned<M: Decodable + Message>(mut bytes: Bytes) -> Result<M, MessageError> {
    let version = bytes.try_get_i16().map_err(|error| unreadable("version", error))?;
    if version < M::VERSIONS.min {
        return Err(unreadable("version", format!("{version} is not supported")));
    }
    let version = version.min(M::VERSIONS.max);
    guarded::decode::<M>(&mut bytes, version).map_err(|error| unreadable("message", error))
}

/// A whole request with its length, ready to send.
pub fn encode_request<R: Request>(
    correlation_id: i32,
    client_id: &str,
    version: i16,
    body: &R,
) -> Result<BytesMut, MessageError> {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    let head = (R::KEY, version, R::header_version(version));
    put_head(&mut frame, head, correlation_id, Some(client_id))?;
    body.encode(&mut frame, version).map_err(|error| unreadable("request", error))?;
    finish(frame, 0)
}

/// A whole response with its length, ready to send.
pub fn encode_response<M: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    body: &M,
) -> Result<BytesMut, MessageError> {
    let mut frame = begin_response::<M>(correlation_id, version);
    body.encode(&mut frame, version).map_err(|error| unreadable("response", error))?;
    finish(frame, 0)
}

/// What stands before every response's body, after room for the length.
pub(super) fn begin_response<M: HeaderVersion>(correlation_id: i32, version: i16) -> BytesMut {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    frame.put_i32(correlation_id);
    if M::header_version(version) >= 1 {
        frame.put_u8(0);
    }
    frame
}

/// Another broker's answer, with its length and for the correlation id that the client knows.
pub fn pass_on_response(answer: &[u8], correlation_id: i32) -> Result<BytesMut, MessageError> {
    let rest = answer.get(4..).ok_or_else(|| unreadable("response", "it is too short"))?;
    let mut frame = BytesMut::with_capacity(8 + rest.len());
    frame.put_i32(0);
    frame.put_i32(correlation_id);
    frame.put_slice(rest);
    finish(frame, 0)
}

/// Reads the answer to a request sent with that correlation id.
pub fn decode_response<M: Decodable + HeaderVersion>(
    mut frame: Bytes,
    correlation_id: i32,
    version: i16,
) -> Result<M, MessageError> {
    let got = frame.try_get_i32().map_err(|error| unreadable("response", error))?;
    if got != correlation_id {
        return Err(MessageError::Correlation { got, expected: correlation_id });
    }
    if M::header_version(version) >= 1 {
        skip_tags(&mut frame)?;
    }
    guarded::decode::<M>(&mut frame, version).map_err(|error| unreadable("response", error))
}

/// Writes the length into its place, with `more` bytes that are not in the frame.
pub(super) fn finish(mut frame: BytesMut, more: usize) -> Result<BytesMut, MessageError> {
    let length =
        i32::try_from(frame.len() - 4 + more).map_err(|error| unreadable("frame", error))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, Bytes};
    use kafka_protocol::{
        messages::{ApiKey, MetadataRequest, MetadataResponse},
        protocol::StrBytes,
    };
    use proptest::prelude::*;

    use super::{RequestHead, decode_request, decode_response, encode_request, encode_response};

    #[test]
    fn a_request_and_its_response_survive_the_wire_in_every_version() {
        for version in 0..=13 {
            let request = MetadataRequest::default();
            let mut frame = encode_request(7, "test", version, &request).unwrap().freeze();
            assert_eq!(frame.get_i32() as usize, frame.len());
            let head = RequestHead::take(&mut frame).unwrap();
            let client_id = Some(StrBytes::from_static_str("test"));
            let api_key = ApiKey::Metadata as i16;
            assert_eq!(head, RequestHead { api_key, version, correlation_id: 7, client_id });
            decode_request::<MetadataRequest>(frame, version).unwrap();
            let response = MetadataResponse::default();
            let mut frame = encode_response(7, version, &response).unwrap().freeze();
            frame.advance(4);
            decode_response::<MetadataResponse>(frame.clone(), 7, version).unwrap();
            assert!(decode_response::<MetadataResponse>(frame, 8, version).is_err());
        }
    }

    proptest! {
        #[test]
        fn random_heads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = RequestHead::take(&mut Bytes::from(bytes));
        }
    }
}
