//! Appending: what a leader accepts, where it goes, and when a segment is rolled.

use bytes::Bytes;

use super::{
    error::{AppendError, LogError},
    partition_log::Log,
    segment::{Appended, Segment},
};
use crate::{
    env::WallTime,
    kafka::{
        config::CleanupPolicy,
        protocol::batch::{
            Batch, BatchError, BatchHeader, Compression, TimestampType, assign, check_crc,
            recompress, set_log_append_time, starts_with_partial, stored_crc,
        },
        types::{LeaderEpoch, Offset, ProducerId, Timestamp},
    },
};

/// Bytes of the buffer for assigning offsets that a log keeps between appends.
const SCRATCH_LIMIT: usize = 64 << 10;

/// Who wrote the batch, which decides how closely it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendOrigin {
    /// A Produce request: everything is checked.
    Client,
    /// The broker's own coordinator, whose batches have no sequence.
    Coordinator,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Appended,
    /// The batch was in the log before; nothing was written.
    Duplicate,
}

/// Where a batch is in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendInfo {
    pub first_offset: Offset,
    pub last_offset: Offset,
    /// When `message.timestamp.type=LogAppendTime`, and for a duplicate, as in Kafka, the timestamp of
    /// the batch it repeats; otherwise -1.
    pub log_append_time: Timestamp,
    pub log_start: Offset,
    pub bytes: usize,
    /// As the log holds it; 0 for a duplicate.
    pub checksum: u32,
    pub outcome: Outcome,
    /// Whether it must be durable before it is acknowledged or seen: `flush.messages` is reached, by this
    /// append or by one before it that is not durable yet. For a duplicate, what it repeats.
    pub must_flush: bool,
}

impl Log {
    /// Appends the one batch of a leader's `records`, giving it offsets and `leader_epoch`.
    ///
    /// The payload is not looked into (Kafka walks through the records of every batch), but for topics
    /// that are compacted, where each record needs a key, or want another compression.
    pub fn append_as_leader(
        &mut self,
        records: &[u8],
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
        now: WallTime,
    ) -> Result<AppendInfo, AppendError> {
        self.check_usable()?;
        let (header, bytes) = self.validate(records, origin, now)?;
        if header.has_producer_id()
            && let Some(known) = self.producers.check(&header, origin)?
        {
            return Ok(AppendInfo {
                first_offset: known.first_offset(),
                last_offset: known.last_offset,
                log_append_time: known.timestamp,
                log_start: self.start,
                bytes: 0,
                checksum: 0,
                outcome: Outcome::Duplicate,
                must_flush: self.flush_messages_reached(self.recovery_point()),
            });
        }
        let mut batch = std::mem::take(&mut self.scratch);
        batch.clear();
        let header = match self.target_compression(&header) {
            None => {
                batch.extend_from_slice(bytes);
                header
            }
            Some(codec) => self.recompressed(header, bytes, codec, &mut batch)?,
        };
        let info = self.append_assigned(&mut batch, header, leader_epoch, now);
        // A rare large batch does not hold its memory for ever.
        if batch.capacity() <= SCRATCH_LIMIT {
            self.scratch = batch;
        }
        Ok(info?)
    }

    fn append_assigned(
        &mut self,
        batch: &mut [u8],
        mut header: BatchHeader,
        leader_epoch: LeaderEpoch,
        now: WallTime,
    ) -> Result<AppendInfo, LogError> {
        header.base_offset = self.end;
        assign(batch, header.base_offset, leader_epoch);
        let mut log_append_time = Timestamp::NONE;
        if self.config.log_append_time {
            log_append_time = now.into();
            header.max_timestamp = log_append_time;
            set_log_append_time(batch, log_append_time);
        }
        self.epochs.assign(leader_epoch, header.base_offset);
        let last = header.last_offset();
        let checksum = stored_crc(batch);
        let appended = Appended {
            first: header.base_offset,
            last,
            max: (header.max_timestamp, last),
            batches: 1,
        };
        self.changing(|log| log.write(batch, appended, now))?;
        self.producers.update(&header);
        Ok(AppendInfo {
            first_offset: header.base_offset,
            last_offset: last,
            log_append_time,
            log_start: self.start,
            bytes: batch.len(),
            checksum,
            outcome: Outcome::Appended,
            must_flush: self.must_flush_append(),
        })
    }

    /// The codec that `compression.type` wants and the batch has not.
    fn target_compression(&self, header: &BatchHeader) -> Option<Compression> {
        let target = match self.config.compression.as_str() {
            "producer" => return None,
            "uncompressed" => Compression::None,
            name => name.parse().ok()?,
        };
        (header.attributes.compression() != Ok(target)).then_some(target)
    }

    /// Puts the batch into `out` as `codec` packs it; it may have become too large.
    fn recompressed(
        &self,
        header: BatchHeader,
        bytes: &[u8],
        codec: Compression,
        out: &mut Vec<u8>,
    ) -> Result<BatchHeader, AppendError> {
        let batch = Batch { header, bytes: Bytes::copy_from_slice(bytes) };
        let packed = recompress(&batch, codec).map_err(|error| invalid(error.to_string()))?;
        self.check_size(packed.len())?;
        out.extend_from_slice(&packed);
        BatchHeader::parse(out).map_err(AppendError::Corrupt)
    }

    fn check_size(&self, size: usize) -> Result<(), AppendError> {
        let (max, max_segment) = (self.config.max_message_bytes, self.config.segment_bytes);
        if size > max as usize {
            return Err(AppendError::MessageTooLarge { size, max });
        }
        if size > max_segment as usize {
            return Err(AppendError::LargerThanSegment { size, max: max_segment });
        }
        Ok(())
    }

    /// `LogValidator.validateTimestamp`, by the header: the first record's timestamp and the largest.
    fn check_timestamps(&self, header: &BatchHeader, now: WallTime) -> Result<(), AppendError> {
        let config = &self.config;
        let ahead = |at: Timestamp| i128::from(at.0) - i128::from(now.0);
        let (first, latest) = (header.base_timestamp, header.max_timestamp);
        let late =
            latest != Timestamp::NONE && ahead(latest) > i128::from(config.timestamp_after_max_ms);
        let early =
            first != Timestamp::NONE && -ahead(first) > i128::from(config.timestamp_before_max_ms);
        let at = if late { latest } else { first };
        if late || early {
            return Err(AppendError::InvalidTimestamp(format!(
                "timestamp {at} is too far from the broker's time {}",
                now.0
            )));
        }
        Ok(())
    }

    /// Appends batches as the leader has them: offsets and epochs stay, nothing is judged but that they
    /// are sound and continue this log. Returns the range appended, or `None` if there was no batch.
    pub fn append_as_follower(
        &mut self,
        records: &[u8],
        now: WallTime,
    ) -> Result<Option<(Offset, Offset)>, AppendError> {
        self.check_usable()?;
        let Some(batches) = self.validate_replicated(records)? else { return Ok(None) };
        let bytes = &records[..batches.bytes];
        for header in &batches.headers {
            self.epochs.assign(header.leader_epoch, header.base_offset);
        }
        let (first, last) = (batches.headers[0].base_offset, batches.last());
        let count = batches.headers.len();
        let appended = Appended { first, last, max: batches.max, batches: count };
        self.changing(|log| log.write(bytes, appended, now))?;
        for header in &batches.headers {
            self.producers.update(header);
        }
        Ok(Some((first, last)))
    }

    /// Writes whole batches at the end, into a new segment if need be.
    fn write(&mut self, bytes: &[u8], appended: Appended, now: WallTime) -> Result<(), LogError> {
        let active = self.segments.last().expect("a log has an active segment");
        if active.should_roll(&self.config, bytes.len(), &appended, now) {
            self.roll_to(appended.first, now)?;
        }
        self.active().append(bytes, appended)?;
        self.end = appended.last + 1;
        Ok(())
    }

    /// Begins a new segment at the end of the log. A producer snapshot at its base lets recovery begin
    /// there; both that and the old segment are to be flushed soon (see [`Log::due_flush`]).
    pub fn roll(&mut self, now: WallTime) -> Result<(), LogError> {
        let end = self.end;
        self.changing(|log| log.roll_to(end, now))
    }

    pub(super) fn roll_to(&mut self, base: Offset, now: WallTime) -> Result<(), LogError> {
        if self.active().base == base {
            return Ok(());
        }
        self.active().seal()?;
        let (segment, _) = Segment::open(self.disk.as_ref(), &self.dir, base, &self.config, now)?;
        self.segments.push(segment);
        self.producers.set_end(base);
        let snapshot = self.producers.take_snapshot(self.disk.as_ref())?;
        self.flush.rolled(base, snapshot);
        Ok(())
    }

    /// What `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords` and
    /// `LogValidator.validateBatch` demand. Returns the batch without what may trail it.
    fn validate<'a>(
        &self,
        records: &'a [u8],
        origin: AppendOrigin,
        now: WallTime,
    ) -> Result<(BatchHeader, &'a [u8]), AppendError> {
        if starts_with_partial(records) {
            return Err(invalid("the request has no record batch"));
        }
        let header = BatchHeader::parse(records).map_err(batch_error)?;
        let (bytes, rest) = records.split_at(header.size());
        if !starts_with_partial(rest) {
            return Err(invalid("the request has more than one record batch"));
        }
        if origin == AppendOrigin::Client && header.base_offset.0 != 0 {
            return Err(invalid(format!(
                "base offset of the batch should be 0, it is {}",
                header.base_offset
            )));
        }
        self.check_size(bytes.len())?;
        check_crc(&header, bytes).map_err(batch_error)?;
        header.attributes.compression().map_err(batch_error)?;
        if header.last_offset_delta < 0 || header.record_count <= 0 {
            return Err(invalid(format!("batch says it has {} records", header.record_count)));
        }
        if origin == AppendOrigin::Client {
            validate_client(&header)?;
        }
        if !self.config.log_append_time {
            self.check_timestamps(&header, now)?;
        }
        let compacted = !matches!(self.config.cleanup_policy, CleanupPolicy::Delete);
        if compacted && origin == AppendOrigin::Client {
            validate_keys(&header, bytes)?;
        }
        Ok((header, bytes))
    }

    fn validate_replicated(&self, records: &[u8]) -> Result<Option<Replicated>, AppendError> {
        let mut found =
            Replicated { headers: Vec::new(), bytes: 0, max: (Timestamp::NONE, self.end) };
        let mut next = self.end;
        let mut rest = records;
        while !starts_with_partial(rest) {
            let header = BatchHeader::parse(rest).map_err(AppendError::Corrupt)?;
            check_crc(&header, rest).map_err(AppendError::Corrupt)?;
            if header.base_offset < next || header.last_offset_delta < 0 {
                let got = header.base_offset;
                return Err(AppendError::UnexpectedOffset { got, end: next });
            }
            next = header.next_offset();
            if header.max_timestamp > found.max.0 {
                found.max = (header.max_timestamp, header.last_offset());
            }
            rest = &rest[header.size()..];
            found.headers.push(header);
        }
        found.bytes = records.len() - rest.len();
        let max = self.config.segment_bytes;
        if found.bytes > max as usize {
            return Err(AppendError::LargerThanSegment { size: found.bytes, max });
        }
        Ok((!found.headers.is_empty()).then_some(found))
    }
}

/// Sound batches of a leader's, in order.
struct Replicated {
    headers: Vec<BatchHeader>,
    bytes: usize,
    max: (Timestamp, Offset),
}

impl Replicated {
    fn last(&self) -> Offset {
        self.headers.last().expect("only built with batches").last_offset()
    }
}

fn invalid(reason: impl Into<String>) -> AppendError {
    AppendError::InvalidRecord(reason.into())
}

/// An old format is an invalid record to Kafka, other damage a corrupt message.
fn batch_error(error: BatchError) -> AppendError {
    match error {
        BatchError::UnsupportedMagic(_) => AppendError::InvalidRecord(error.to_string()),
        error => AppendError::Corrupt(error),
    }
}

fn validate_client(header: &BatchHeader) -> Result<(), AppendError> {
    if i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        return Err(invalid(format!(
            "batch says it has {} records with offsets from 0 to {}",
            header.record_count, header.last_offset_delta
        )));
    }
    if header.attributes.is_control() {
        return Err(invalid("clients are not allowed to write control records"));
    }
    if header.has_producer_id() && header.base_sequence.0 < 0 {
        return Err(invalid(format!("sequence {} is negative", header.base_sequence)));
    }
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(AppendError::InvalidTimestamp(
            "producers do not set the timestamp type to LogAppendTime".into(),
        ));
    }
    if header.attributes.is_transactional() {
        // Without a transaction coordinator no transaction is ever ongoing (KIP-890).
        return Err(AppendError::InvalidTxnState(ProducerId(header.producer_id.0)));
    }
    Ok(())
}

/// Compaction needs a key on every record.
fn validate_keys(header: &BatchHeader, bytes: &[u8]) -> Result<(), AppendError> {
    let batch = Batch { header: *header, bytes: Bytes::copy_from_slice(bytes) };
    for record in batch.records().map_err(batch_error)? {
        if record.map_err(|error| invalid(error.to_string()))?.key.is_none() {
            return Err(invalid("a compacted topic accepts no record without a key"));
        }
    }
    Ok(())
}
