//! The pieces that metadata records are written with: varints, compact texts and arrays, ids, and tagged
//! fields, as in every flexible message of Kafka.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::RecordError;
pub use crate::kafka::protocol::unsigned_varint::put as put_varint;
use crate::kafka::{protocol::unsigned_varint, types::BrokerId};

/// Keeps a damaged length from asking for memory that the record could not fill.
fn check_count(count: usize, element: usize, input: &[u8]) -> Result<usize, RecordError> {
    if count > input.len() / element { Err(RecordError::CutOff) } else { Ok(count) }
}

pub fn take<'a, T, E>(
    input: &mut &'a [u8],
    get: impl Fn(&mut &'a [u8]) -> Result<T, E>,
) -> Result<T, RecordError> {
    get(input).map_err(|_| RecordError::CutOff)
}

pub fn take_i8(input: &mut &[u8]) -> Result<i8, RecordError> {
    take(input, Buf::try_get_i8)
}

pub fn take_i16(input: &mut &[u8]) -> Result<i16, RecordError> {
    take(input, Buf::try_get_i16)
}

pub fn take_i32(input: &mut &[u8]) -> Result<i32, RecordError> {
    take(input, Buf::try_get_i32)
}

pub fn take_i64(input: &mut &[u8]) -> Result<i64, RecordError> {
    take(input, Buf::try_get_i64)
}

pub fn take_bool(input: &mut &[u8]) -> Result<bool, RecordError> {
    Ok(take_i8(input)? != 0)
}

pub fn take_varint(input: &mut &[u8]) -> Result<u32, RecordError> {
    unsigned_varint::take(input).ok_or(RecordError::CutOff)
}

/// A compact string: its length plus one, then its bytes.
pub fn put_text(out: &mut BytesMut, text: &str) {
    put_varint(out, text.len() as u32 + 1);
    out.put_slice(text.as_bytes());
}

pub fn put_nullable_text(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.put_u8(0),
    }
}

pub fn take_nullable_text(input: &mut &[u8]) -> Result<Option<String>, RecordError> {
    let Some(length) = take_varint(input)?.checked_sub(1) else { return Ok(None) };
    let (text, rest) = input.split_at_checked(length as usize).ok_or(RecordError::CutOff)?;
    *input = rest;
    let text = str::from_utf8(text).map_err(|_| RecordError::NotText)?;
    Ok(Some(text.to_owned()))
}

pub fn take_text(input: &mut &[u8]) -> Result<String, RecordError> {
    take_nullable_text(input)?.ok_or(RecordError::CutOff)
}

pub fn take_id(input: &mut &[u8]) -> Result<Uuid, RecordError> {
    let (id, rest) = input.split_first_chunk().ok_or(RecordError::CutOff)?;
    *input = rest;
    Ok(Uuid::from_bytes(*id))
}

/// A compact array: its length plus one, then its elements.
pub fn put_array<T>(out: &mut BytesMut, items: &[T], mut put: impl FnMut(&mut BytesMut, &T)) {
    put_varint(out, items.len() as u32 + 1);
    items.iter().for_each(|item| put(out, item));
}

/// `None` for null. No element is shorter than `element` bytes.
pub fn take_nullable_array<T>(
    input: &mut &[u8],
    element: usize,
    mut take: impl FnMut(&mut &[u8]) -> Result<T, RecordError>,
) -> Result<Option<Vec<T>>, RecordError> {
    let Some(count) = take_varint(input)?.checked_sub(1) else { return Ok(None) };
    let count = check_count(count as usize, element, input)?;
    (0..count).map(|_| take(input)).collect::<Result<_, _>>().map(Some)
}

pub fn take_array<T>(
    input: &mut &[u8],
    element: usize,
    take: impl FnMut(&mut &[u8]) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    take_nullable_array(input, element, take)?.ok_or(RecordError::CutOff)
}

pub fn put_brokers(out: &mut BytesMut, ids: &[BrokerId]) {
    put_array(out, ids, |out, id| out.put_i32(id.0));
}

pub fn take_brokers(input: &mut &[u8]) -> Result<Vec<BrokerId>, RecordError> {
    take_array(input, 4, |input| take_i32(input).map(BrokerId))
}

pub fn put_ids(out: &mut BytesMut, ids: &[Uuid]) {
    put_array(out, ids, |out, id| out.put_slice(id.as_bytes()));
}

pub fn take_ids(input: &mut &[u8]) -> Result<Vec<Uuid>, RecordError> {
    take_array(input, 16, take_id)
}

/// The tagged fields at the end of a structure; only those that have no default value are written.
#[derive(Default)]
pub struct Tags(Vec<(u32, Bytes)>);

impl Tags {
    /// In rising order of tags.
    pub fn put(&mut self, tag: u32, put: impl FnOnce(&mut BytesMut)) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < tag));
        let mut value = BytesMut::new();
        put(&mut value);
        self.0.push((tag, value.freeze()));
    }

    pub fn put_brokers(&mut self, tag: u32, ids: Option<&[BrokerId]>) {
        if let Some(ids) = ids {
            self.put(tag, |out| put_brokers(out, ids));
        }
    }

    pub fn write(self, out: &mut BytesMut) {
        put_varint(out, self.0.len() as u32);
        for (tag, value) in self.0 {
            put_varint(out, tag);
            put_varint(out, value.len() as u32);
            out.put_slice(&value);
        }
    }
}

/// Gives each tagged field to `read`, which leaves alone those that it does not know.
pub fn take_tags(
    input: &mut &[u8],
    mut read: impl FnMut(u32, &mut &[u8]) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    for _ in 0..take_varint(input)? {
        let tag = take_varint(input)?;
        let size = take_varint(input)? as usize;
        let (mut value, rest) = input.split_at_checked(size).ok_or(RecordError::CutOff)?;
        read(tag, &mut value)?;
        *input = rest;
    }
    Ok(())
}

/// Of a structure that has none.
pub fn skip_tags(input: &mut &[u8]) -> Result<(), RecordError> {
    take_tags(input, |_, _| Ok(()))
}
