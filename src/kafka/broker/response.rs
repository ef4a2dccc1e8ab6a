//! An answer on its way to its client: a frame, and records that are read from their files as it goes.
//!
//! So an answer takes little memory, however many records it has and however slowly its client reads, and they are
//! copied once, from the page cache to the socket. Kafka leaves that copy to `sendfile`.

use std::{collections::VecDeque, io};

use bytes::{Buf, Bytes, BytesMut};

use crate::kafka::log::Slice;

/// What is read and sent at once: large enough that calls cost little, small enough for a cache.
const CHUNK_BYTES: usize = 128 * 1024;

#[derive(Default)]
pub(super) struct Response {
    parts: VecDeque<Part>,
}

enum Part {
    Bytes(Bytes),
    Records { slice: Slice, sent: usize },
}

impl From<BytesMut> for Response {
    fn from(frame: BytesMut) -> Self {
        Response { parts: VecDeque::from([Part::Bytes(frame.freeze())]) }
    }
}

impl Response {
    /// A frame with places for records, and these.
    pub fn around(
        frame: BytesMut,
        places: Vec<usize>,
        records: impl IntoIterator<Item = Slice>,
    ) -> Self {
        let mut frame = frame.freeze();
        let mut parts = VecDeque::with_capacity(2 * places.len() + 1);
        let mut cut = 0;
        for (place, slice) in places.into_iter().zip(records) {
            parts.push_back(Part::Bytes(frame.split_to(place - cut)));
            parts.push_back(Part::Records { slice, sent: 0 });
            cut = place;
        }
        parts.push_back(Part::Bytes(frame));
        Response { parts }
    }

    /// The bytes that go next; none at the end.
    pub fn next_chunk(&mut self) -> io::Result<Bytes> {
        if let [Part::Bytes(_)] = self.parts.make_contiguous() {
            // Most answers are one frame, which needs no copy.
            let Some(Part::Bytes(frame)) = self.parts.pop_front() else { unreachable!() };
            return Ok(frame);
        }
        let mut chunk = vec![0; self.remaining().min(CHUNK_BYTES)];
        let mut filled = 0;
        while filled < chunk.len() {
            let Some(part) = self.parts.front_mut() else { break };
            filled += part.take_into(&mut chunk[filled..])?;
            if part.remaining() == 0 {
                self.parts.pop_front();
            }
        }
        Ok(chunk.into())
    }

    fn remaining(&self) -> usize {
        self.parts.iter().map(Part::remaining).sum()
    }
}

impl Part {
    fn remaining(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::Records { slice, sent } => slice.len() - sent,
        }
    }

    /// Moves as many bytes as there is room for.
    fn take_into(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.remaining().min(room.len());
        let room = &mut room[..count];
        match self {
            Part::Bytes(bytes) => bytes.copy_to_slice(room),
            Part::Records { slice, sent } => {
                slice.read_at(*sent, room)?;
                *sent += count;
            }
        }
        Ok(count)
    }
}
