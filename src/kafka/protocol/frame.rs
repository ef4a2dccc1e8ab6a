//! Length-prefixed frames over a byte stream.
//!
//! A frame's length comes from the other side and may be a lie: memory is taken as bytes arrive, never
//! for what is only announced. A frame's room serves for the next one, and is given back when there is none.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Least room for one read. Most frames fit in one, and one read may bring several.
const READ_BYTES: usize = 8 * 1024;
/// Largest room made at once for a frame that is announced as larger.
const GROWTH_BYTES: usize = 1024 * 1024;
/// Room made for a byte that has come, so that a large frame is moved to larger room only twice or so.
const ROOM_PER_BYTE: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {size} bytes is outside of 0..={max}")]
    BadLength { size: i32, max: usize },
    #[error("connection ended inside a frame")]
    CutOff,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Room that an idle connection may keep: two reads.
const KEPT_BYTES: usize = 2 * READ_BYTES;

/// Takes frames off a stream; keeps what was read beyond one for the next.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    /// Bytes behind the buffer, and behind frames that were taken from it.
    room: usize,
    max: usize,
}

impl FrameReader {
    /// `max` bytes a frame, length not counted (`socket.request.max.bytes`).
    pub fn new(max: usize) -> Self {
        FrameReader { buffer: BytesMut::new(), room: 0, max }
    }

    /// The next frame without its length; `None` at the stream's orderly end. Safe to drop and call
    /// again: nothing read is lost.
    pub async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if !self.fill(stream).await? {
                return Ok(None);
            }
        }
    }

    /// Reads once, for more of the next frame; tells whether the stream goes on. Safe to drop.
    pub async fn fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<bool, FrameError> {
        if self.buffer.is_empty() {
            if !self.buffer.try_reclaim(READ_BYTES) {
                // Somebody keeps something of the last frame, and no more than that shall stay with it.
                (self.buffer, self.room) = (BytesMut::new(), 0);
            } else if self.room > KEPT_BYTES {
                tokio::select! {
                    biased;
                    read = stream.read_buf(&mut self.buffer) => return self.goes_on(read?),
                    // Or an idle connection would hold the memory of the largest frame it ever sent.
                    () = std::future::ready(()) => (self.buffer, self.room) = (BytesMut::new(), 0),
                }
            }
        }
        let most = GROWTH_BYTES.min(ROOM_PER_BYTE * self.buffer.len()).max(READ_BYTES);
        self.buffer.reserve(self.missing().clamp(READ_BYTES, most));
        self.room = self.room.max(self.buffer.capacity());
        let read = stream.read_buf(&mut self.buffer).await?;
        self.goes_on(read)
    }

    /// What a read of so many bytes tells.
    fn goes_on(&self, read: usize) -> Result<bool, FrameError> {
        match (read, self.buffer.is_empty()) {
            (0, true) => Ok(false),
            (0, false) => Err(FrameError::CutOff),
            _ => Ok(true),
        }
    }

    /// Bytes of the next frame, without its length, once that has been read.
    pub fn size(&self) -> Result<Option<usize>, FrameError> {
        let Some(size) = self.announced() else { return Ok(None) };
        let legal = usize::try_from(size).ok().filter(|length| *length <= self.max);
        legal.map(Some).ok_or(FrameError::BadLength { size, max: self.max })
    }

    /// A whole frame from what has been read.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.size()? else { return Ok(None) };
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn announced(&self) -> Option<i32> {
        self.buffer.first_chunk().map(|length| i32::from_be_bytes(*length))
    }

    fn missing(&self) -> usize {
        let whole = self.announced().map_or(0, |size| 4 + size as usize);
        whole.saturating_sub(self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use proptest::prelude::*;

    use super::{FrameError, FrameReader};

    fn polled<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Reads all frames of `bytes`, which come without waiting.
    fn frames(bytes: &[u8], max: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let mut reader = FrameReader::new(max);
        let mut stream = bytes;
        let mut frames = Vec::new();
        loop {
            let Poll::Ready(next) = polled(reader.next(&mut stream)) else {
                panic!("a slice never waits");
            };
            match next {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    #[test]
    fn an_absurd_length_is_refused_before_any_memory_is_taken() {
        let (_, error) = frames(&i32::MAX.to_be_bytes(), 100);
        assert!(matches!(error, Some(FrameError::BadLength { size: i32::MAX, max: 100 })));
        let (_, error) = frames(&(-1i32).to_be_bytes(), 100);
        assert!(matches!(error, Some(FrameError::BadLength { size: -1, .. })));
    }

    #[test]
    fn room_is_made_for_what_has_come_and_not_for_what_is_announced() {
        let mut reader = FrameReader::new(100 << 20);
        for (sent, most) in [(5, 16 << 10), (4 << 10, 160 << 10), (512 << 10, 4 << 20)] {
            let mut bytes = vec![0; sent];
            bytes[..4].copy_from_slice(&(100_i32 << 20).to_be_bytes());
            reader.buffer = bytes[..].into();
            let mut more = &[0][..];
            assert!(matches!(polled(reader.fill(&mut more)), Poll::Ready(Ok(true))));
            assert!(reader.buffer.capacity() <= most, "{sent}: {}", reader.buffer.capacity());
        }
    }

    #[test]
    fn the_room_of_a_large_frame_is_given_back_when_nothing_follows() {
        let mut reader = FrameReader::new(1 << 20);
        let mut bytes = vec![0; 4 + (512 << 10)];
        bytes[..4].copy_from_slice(&(512_i32 << 10).to_be_bytes());
        let mut stream = &bytes[..];
        let frame = loop {
            assert!(polled(reader.fill(&mut stream)).is_ready());
            if let Some(frame) = reader.take().unwrap() {
                break frame;
            }
        };
        assert_eq!(frame.len(), 512 << 10);
        drop(frame);
        let (mut silent, _other) = tokio::io::duplex(1);
        assert!(polled(reader.fill(&mut silent)).is_pending());
        assert!(reader.buffer.capacity() <= 16 << 10, "{}", reader.buffer.capacity());
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 0..3usize,
        ) {
            let mut bytes = Vec::new();
            for frame in &sent {
                bytes.extend((frame.len() as i32).to_be_bytes());
                bytes.extend(frame);
            }
            let cut = cut.min(bytes.len());
            let (read, error) = frames(&bytes[..bytes.len() - cut], 40);
            if cut == 0 {
                prop_assert!(error.is_none());
                prop_assert_eq!(read, sent);
            } else {
                prop_assert!(matches!(error, Some(FrameError::CutOff)));
                prop_assert_eq!(&read[..], &sent[..sent.len() - 1]);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            frames(&bytes, 64);
        }
    }
}
