//! Reading: batches from an offset on, and offsets by timestamp.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{
    error::{LogError, ReadError},
    partition_log::Log,
    scan::{Found, Scan},
    segment::Segment,
};
use crate::{
    env::File,
    kafka::{
        protocol::batch::{Batch, BatchHeader, TimestampType, starts_with_partial},
        types::{LeaderEpoch, Offset, Timestamp},
    },
};

/// Whether the first batch is returned even if it is larger than asked for: a Fetch that could not
/// return it would never get past it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MinOneMessage {
    Yes,
    No,
}

/// Where batches lie in a segment's file, to be read when they are wanted. The file stays readable when its
/// segment is deleted.
#[derive(Clone)]
pub struct Slice {
    file: Arc<dyn File>,
    position: u64,
    len: usize,
}

impl Slice {
    pub fn new(file: Arc<dyn File>, position: u64, len: usize) -> Self {
        Slice { file, position, len }
    }

    /// In bytes, never 0.
    #[expect(clippy::len_without_is_empty, reason = "an empty slice is none")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads into all of `buf` from `start` bytes into the slice on; fails if the file has become shorter.
    pub fn read_at(&self, start: usize, buf: &mut [u8]) -> io::Result<()> {
        let read = self.file.read_at(self.position + start as u64, buf)?;
        if read < buf.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Batches as they are on the disk.
#[derive(Clone, Debug)]
pub struct ReadInfo {
    /// The first may begin before the offset asked for.
    pub records: Bytes,
    /// The offset after the last batch; the one asked for if there is none.
    pub next_offset: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
}

/// Answer to a question by timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundOffset {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// Where batches lie that hold `from` and what follows, below `upto`, of at most `max_bytes`: one whole
    /// batch at least, and the last may be cut short. They are of one segment, so there may be more within the
    /// limit. Nothing of them is read.
    pub fn locate(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        min_one: MinOneMessage,
    ) -> Result<Option<Slice>, ReadError> {
        let located = self.locate_in(from, max_bytes, upto, min_one)?;
        Ok(located.map(|(_, slice)| slice))
    }

    fn locate_in(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        min_one: MinOneMessage,
    ) -> Result<Option<(&Segment, Slice)>, ReadError> {
        self.check_usable()?;
        if from < self.start || from > self.end {
            let (start, end) = (self.start, self.end);
            return Err(ReadError::OutOfRange { asked: from, start, end });
        }
        if from >= upto.min(self.end) {
            return Ok(None);
        }
        for segment in &self.segments[self.slot_of(from)..] {
            let Some(place) = segment.find(from)? else { continue };
            let first = place.size as usize;
            let end = self.position_limit(segment, upto)?;
            let room = end.saturating_sub(place.position) as usize;
            if room < first || (min_one == MinOneMessage::No && max_bytes < first) {
                return Ok(None);
            }
            let len = max_bytes.max(first).min(room);
            let slice = Slice::new(Arc::clone(&segment.file), u64::from(place.position), len);
            return Ok(Some((segment, slice)));
        }
        Ok(None)
    }

    /// As [`Log::locate`], read at once and without a batch that is cut short.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        min_one: MinOneMessage,
    ) -> Result<ReadInfo, ReadError> {
        let mut info = ReadInfo {
            records: Bytes::new(),
            next_offset: from,
            log_start: self.start,
            high_watermark: self.high_watermark,
        };
        if let Some((segment, slice)) = self.locate_in(from, max_bytes, upto, min_one)? {
            let bytes = read_exact(segment, slice.position as u32, slice.len)?;
            self.take_whole(bytes, upto, &mut info);
        }
        Ok(info)
    }

    /// Where in `segment` batches that reach `upto` begin.
    fn position_limit(&self, segment: &Segment, upto: Offset) -> Result<u32, LogError> {
        if upto >= self.end {
            return Ok(segment.size);
        }
        Ok(segment.find(upto)?.map_or(segment.size, |place| place.position))
    }

    /// Keeps the batches that are there as a whole and end below `upto`.
    fn take_whole(&self, mut bytes: BytesMut, upto: Offset, info: &mut ReadInfo) {
        let mut end = 0;
        while !starts_with_partial(&bytes[end..]) {
            // Damage is reported by the read that begins at it.
            let Ok(header) = BatchHeader::parse(&bytes[end..]) else { break };
            if header.last_offset() >= upto {
                break;
            }
            end += header.size();
            info.next_offset = header.next_offset();
        }
        bytes.truncate(end);
        info.records = bytes.freeze();
    }

    /// The first record at or after the log's start whose timestamp is at least `timestamp`.
    pub fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
    ) -> Result<Option<FoundOffset>, LogError> {
        self.check_usable()?;
        let holds = |segment: &&Segment| segment.largest_timestamp() >= timestamp;
        // Kafka looks into the first such segment alone, and finds nothing if the log's start lies behind.
        for segment in self.segments.iter().filter(holds) {
            let mut scan = segment.scan_for_timestamp(timestamp, self.start);
            while let Some(found) = scan.expect_next()? {
                if found.header.max_timestamp < timestamp {
                    continue;
                }
                let wanted = |at: Timestamp, offset| at >= timestamp && offset >= self.start;
                if let Some(found) = first_record(segment, &scan, &found, wanted)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp; the first of them if there are several.
    pub fn max_timestamp(&self) -> Result<Option<FoundOffset>, LogError> {
        self.check_usable()?;
        let mut latest = &self.segments[0];
        for segment in &self.segments {
            if segment.max_timestamp().0 > latest.max_timestamp().0 {
                latest = segment;
            }
        }
        let (timestamp, offset) = latest.max_timestamp();
        if timestamp == Timestamp::NONE {
            return Ok(None);
        }
        let mut scan = latest.scan_from_offset(offset);
        while let Some(found) = scan.expect_next()? {
            if found.header.max_timestamp == timestamp {
                return first_record(latest, &scan, &found, |at, _| at == timestamp);
            }
        }
        Ok(None)
    }

    /// The first offset and the epoch that wrote it, for ListOffsets' `EARLIEST`.
    pub fn earliest(&self) -> (Offset, Option<LeaderEpoch>) {
        let first = self.epochs.earliest().filter(|entry| entry.start <= self.start);
        (self.start, first.map(|entry| entry.epoch))
    }

    /// `upto` (the high watermark for a consumer) and the latest epoch, for ListOffsets' `LATEST`.
    pub fn latest(&self, upto: Offset) -> (Offset, Option<LeaderEpoch>) {
        (upto.min(self.end), self.epochs.latest().map(|entry| entry.epoch))
    }
}

/// The first record of a batch that `wanted` holds for.
fn first_record(
    segment: &Segment,
    scan: &Scan<'_>,
    found: &Found,
    wanted: impl Fn(Timestamp, Offset) -> bool,
) -> Result<Option<FoundOffset>, LogError> {
    let header = found.header;
    let answer =
        |timestamp, offset| FoundOffset { offset, timestamp, leader_epoch: header.leader_epoch };
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime
        && wanted(header.max_timestamp, header.base_offset)
    {
        return Ok(Some(answer(header.max_timestamp, header.base_offset)));
    }
    let corrupt = |source| LogError::Corrupt {
        path: segment.path.clone(),
        position: scan.position() - header.size() as u64,
        source,
    };
    let bytes = read_exact(segment, found.position as u32, header.size())?.freeze();
    for record in (Batch { header, bytes }).records().map_err(corrupt)? {
        let record = record.map_err(corrupt)?;
        if wanted(record.timestamp, record.offset) {
            return Ok(Some(answer(record.timestamp, record.offset)));
        }
    }
    Ok(None)
}

fn read_exact(segment: &Segment, position: u32, len: usize) -> Result<BytesMut, LogError> {
    let mut bytes = BytesMut::zeroed(len);
    let read = segment
        .file
        .read_at(u64::from(position), &mut bytes)
        .map_err(LogError::io("read", &segment.path))?;
    bytes.truncate(read);
    Ok(bytes)
}
