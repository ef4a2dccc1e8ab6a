//! An answer on its way to its client: a frame, and records that are read from their files as it goes.
//!
//! So an answer takes little memory, however many records it has and however slowly its client reads, and they are
//! copied once, from the page cache to the socket. Kafka leaves that copy to `sendfile`.

use std::{collections::VecDeque, io};

use bytes::{Buf, Bytes, BytesMut};

use crate::kafka::log::Slice;

/// What is read and sent at once: large enough that calls cost little, small enough for a cache.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Response {
    parts: VecDeque<Part>,
    /// Bytes in all parts.
    remaining: usize,
}

enum Part {
    Bytes(Bytes),
    Records { slice: Slice, sent: usize },
}

impl From<BytesMut> for Response {
    fn from(frame: BytesMut) -> Self {
        let remaining = frame.len();
        Response { parts: VecDeque::from([Part::Bytes(frame.freeze())]), remaining }
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
        let remaining = parts.iter().map(Part::remaining).sum();
        Response { parts, remaining }
    }

    /// All of it at once, for whoever asked within this node.
    pub fn into_bytes(mut self) -> io::Result<Bytes> {
        let mut all = self.next_chunk()?;
        while self.remaining > 0 {
            all = [all, self.next_chunk()?].concat().into();
        }
        Ok(all)
    }

    /// The bytes that go next; none at the end.
    pub fn next_chunk(&mut self) -> io::Result<Bytes> {
        if let (1, Some(Part::Bytes(frame))) = (self.parts.len(), self.parts.front_mut()) {
            // Most answers are one frame, which needs no copy.
            self.remaining = 0;
            return Ok(std::mem::take(frame));
        }
        let mut chunk = vec![0; self.remaining.min(CHUNK_BYTES)];
        let mut filled = 0;
        while filled < chunk.len() {
            let part = self.parts.front_mut().expect("the parts have what remains");
            filled += part.take_into(&mut chunk[filled..])?;
            if part.remaining() == 0 {
                self.parts.pop_front();
            }
        }
        self.remaining -= filled;
        Ok(chunk.into())
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

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{CHUNK_BYTES, Response};
    use crate::{
        env::{Disk, File, OpenMode},
        kafka::log::{Slice, tests::memory_disk::MemoryDisk},
    };

    fn file(size: usize) -> Arc<dyn File> {
        let file = MemoryDisk::default().open("records", OpenMode::Create).unwrap();
        file.write_at(0, &bytes(size)).unwrap();
        file
    }

    fn bytes(size: usize) -> Vec<u8> {
        (0..size).map(|at| at as u8).collect()
    }

    fn sent(mut response: Response) -> io::Result<Vec<u8>> {
        let mut sent = Vec::new();
        loop {
            let chunk = response.next_chunk()?;
            if chunk.is_empty() {
                return Ok(sent);
            }
            sent.extend_from_slice(&chunk);
        }
    }

    /// Sizes about the border of a chunk, and small ones.
    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![1..300_usize, CHUNK_BYTES - 3..CHUNK_BYTES + 3, Just(2 * CHUNK_BYTES)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn all_is_sent_in_its_order(
            records in prop::collection::vec((0..99_usize, size(), 0..99_u64), 0..6),
            tail in 0..9_usize,
        ) {
            let file = file(3 * CHUNK_BYTES);
            let bytes = bytes(3 * CHUNK_BYTES);
            let (mut frame, mut places, mut slices) = (BytesMut::new(), Vec::new(), Vec::new());
            let mut expected = Vec::new();
            for (before, size, position) in records {
                frame.extend_from_slice(&vec![b'f'; before]);
                expected.extend(vec![b'f'; before]);
                places.push(frame.len());
                slices.push(Slice::new(file.clone(), position, size));
                expected.extend_from_slice(&bytes[position as usize..][..size]);
            }
            frame.extend_from_slice(&vec![b't'; tail]);
            expected.extend(vec![b't'; tail]);
            prop_assert!(sent(Response::around(frame, places, slices)).unwrap() == expected);
        }
    }

    #[test]
    fn records_that_have_gone_end_the_answer_with_an_error() {
        let file = file(3 * CHUNK_BYTES);
        let slice = Slice::new(file.clone(), 5, 2 * CHUNK_BYTES);
        let mut response = Response::around(BytesMut::from("frame"), vec![5], [slice]);
        assert_eq!(response.next_chunk().unwrap().len(), CHUNK_BYTES);
        file.set_len(CHUNK_BYTES as u64).unwrap();
        assert_eq!(sent(response).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
