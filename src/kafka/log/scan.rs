//! Walking the batches of a segment's file, headers alone or checked as a whole.

use bytes::Bytes;

use super::error::LogError;
use crate::{
    env::File,
    kafka::protocol::batch::{BatchError, BatchHeader, HEADER_LEN, check_crc},
};

/// How much of each batch is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// The header; the checksum stays unchecked.
    Header,
    /// The batch, which must have a valid checksum.
    Whole,
}

/// Bytes read ahead: about one index interval of headers, or enough to make whole batches cheap.
const HEADER_CHUNK: usize = 4 << 10;
const WHOLE_CHUNK: usize = 64 << 10;

/// A walk over `position..end` of one file.
pub(super) struct Scan<'a> {
    file: &'a dyn File,
    path: &'a str,
    depth: Depth,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer starts.
    buffered_from: u64,
}

/// A batch met on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub header: BatchHeader,
    pub position: u64,
}

/// Why a walk stopped early.
#[derive(Debug)]
pub(super) enum ScanError {
    /// What is at the current position is no batch.
    Bad(BatchError),
    Log(LogError),
}

impl<'a> Scan<'a> {
    pub fn new(file: &'a dyn File, path: &'a str, from: u64, end: u64, depth: Depth) -> Self {
        Scan { file, path, depth, position: from, end, buffer: Vec::new(), buffered_from: from }
    }

    /// Where the next batch starts: after an error, the position of what is no batch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Found>, ScanError> {
        let left = self.end - self.position;
        if left == 0 {
            return Ok(None);
        }
        let head = self.bytes(HEADER_LEN.min(left as usize))?;
        let header = BatchHeader::parse(head).map_err(ScanError::Bad)?;
        let size = header.size();
        if size as u64 > left {
            let error = BatchError::Incomplete { have: left as usize, need: size };
            return Err(ScanError::Bad(error));
        }
        if self.depth == Depth::Whole {
            let batch = self.bytes(size)?;
            check_crc(&header, batch).map_err(ScanError::Bad)?;
        }
        let found = Found { header, position: self.position };
        self.position += size as u64;
        Ok(Some(found))
    }

    /// The bytes of the batch that was found last, in a walk over whole batches.
    pub fn last_batch(&self, found: &Found) -> Bytes {
        let from = (found.position - self.buffered_from) as usize;
        Bytes::copy_from_slice(&self.buffer[from..from + found.header.size()])
    }

    /// As [`Scan::next`], with what is no batch being an error of the log.
    pub fn expect_next(&mut self) -> Result<Option<Found>, LogError> {
        self.next().map_err(|error| match error {
            ScanError::Log(error) => error,
            ScanError::Bad(source) => {
                LogError::Corrupt { path: self.path.into(), position: self.position, source }
            }
        })
    }

    /// `len` bytes from the current position on.
    fn bytes(&mut self, len: usize) -> Result<&[u8], ScanError> {
        let mut from = (self.position - self.buffered_from) as usize;
        if self.buffer.len() < from + len {
            let chunk = match self.depth {
                Depth::Header => HEADER_CHUNK,
                Depth::Whole => WHOLE_CHUNK,
            };
            let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
            self.buffer.resize(chunk.max(len).min(left), 0);
            self.buffered_from = self.position;
            from = 0;
            let read = self.file.read_at(self.position, &mut self.buffer);
            let read = read.map_err(|e| ScanError::Log(LogError::io("read", self.path)(e)))?;
            self.buffer.truncate(read);
        }
        let have = self.buffer.len() - from;
        let error = BatchError::Incomplete { have, need: len };
        self.buffer.get(from..from + len).ok_or(ScanError::Bad(error))
    }
}
