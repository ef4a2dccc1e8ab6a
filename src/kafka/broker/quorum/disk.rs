//! The metadata log and `quorum-state` as the core wants them: facts to decide by, and changes it asks for.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{BrokerId as WireBrokerId, LeaderChangeMessage, leader_change_message::Voter},
    protocol::Encodable,
};

use super::snapshots::Snapshots;
use crate::{
    env::{Disk, WallTime},
    kafka::{
        broker::{observer::BatchMark, partitions::Partition, state::Broker},
        log::{
            AppendError, AppendOrigin, Log, LogError, MinOneMessage, read_text, write_atomically,
        },
        metadata::MetadataRecord,
        protocol::batch::{BatchBuilder, BatchOptions, Compression},
        raft::{ElectionState, ElectionStateError, OffsetAndEpoch, QUORUM_STATE_FILE, QuorumLog},
        types::{BrokerId, LeaderEpoch, Offset, Timestamp},
    },
};

/// About what one batch of metadata records has: it grows beyond it where one decision has more
/// (`KafkaRaftClient.MAX_BATCH_SIZE_BYTES`).
const BATCH_LIMIT: usize = 8 << 20;
/// `ControlRecordType.LEADER_CHANGE`, behind the version of the key.
const LEADER_CHANGE_KEY: [u8; 4] = [0, 0, 0, 2];
/// `ControlRecordUtils.LEADER_CHANGE_CURRENT_VERSION` without directories of voters (KIP-853).
const LEADER_CHANGE_VERSION: i16 = 0;

/// What the core reads of the log.
pub(super) struct Facts<'a> {
    pub log: &'a Log,
    pub snapshots: &'a Snapshots,
}

impl QuorumLog for Facts<'_> {
    fn start_offset(&self) -> Offset {
        self.log.start_offset()
    }

    fn end_offset(&self) -> Offset {
        self.log.end_offset()
    }

    fn last_epoch(&self) -> LeaderEpoch {
        let latest = self.log.latest_epoch().map(|entry| entry.epoch);
        let before = || self.earliest_snapshot().map(|snapshot| snapshot.epoch);
        latest.or_else(before).unwrap_or_default()
    }

    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch {
        match self.log.end_offset_for_epoch(epoch) {
            // Of an epoch that is above all of the log's the cache says nothing.
            None => OffsetAndEpoch::new(self.end_offset(), self.last_epoch()),
            Some((_, offset)) if offset <= self.start_offset() => {
                self.earliest_snapshot().unwrap_or_default()
            }
            Some((floor, offset)) => OffsetAndEpoch::new(offset, floor),
        }
    }

    fn earliest_snapshot(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.ending_at(self.start_offset()).filter(|_| self.start_offset() > Offset(0))
    }

    fn latest_snapshot(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.latest()
    }

    fn snapshot_size(&self, snapshot: OffsetAndEpoch) -> Option<u64> {
        self.snapshots.size(snapshot)
    }
}

fn quorum_state_path(dir: &str) -> String {
    format!("{dir}/{QUORUM_STATE_FILE}")
}

/// What the replica had voted, and whom it followed.
pub(super) fn load_election(
    disk: &dyn Disk,
    dir: &str,
) -> Result<Option<ElectionState>, ElectionStateError> {
    let path = quorum_state_path(dir);
    let text = read_text(disk, &path);
    let text = text.map_err(|error| ElectionStateError::NotJson(error.to_string()))?;
    text.map(|text| ElectionState::from_json(text.as_bytes())).transpose()
}

/// Replaces `quorum-state`, durably.
pub(super) async fn store_election(
    disk: &dyn Disk,
    dir: &str,
    state: ElectionState,
) -> Result<(), LogError> {
    let path = quorum_state_path(dir);
    let stored = write_atomically(disk, &path, &state.to_json()).await;
    stored.map_err(|source| LogError::Io { action: "replace", path, source })
}

/// Appends what the leader sent. What does not fit the log is passed over: it is fetched again.
pub(super) fn append_fetched(log: &mut Log, records: &[u8], now: WallTime) -> Result<(), LogError> {
    match log.append_as_follower(records, now) {
        Ok(_) => Ok(()),
        Err(AppendError::Log(error)) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "metadata from the leader passed over");
            Ok(())
        }
    }
}

fn append(
    log: &mut Log,
    batch: &Bytes,
    epoch: LeaderEpoch,
    now: WallTime,
) -> Result<BatchMark, LogError> {
    match log.append_as_leader(batch, AppendOrigin::Coordinator, epoch, now) {
        Ok(info) => Ok(BatchMark {
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            leader_epoch: epoch,
            checksum: info.checksum,
        }),
        Err(AppendError::Log(error)) => Err(error),
        Err(error) => {
            let source = std::io::Error::other(error.to_string());
            Err(LogError::Io { action: "append to", path: log.dir().to_owned(), source })
        }
    }
}

/// Appends the active controller's records as one batch, which counts as a whole or not at all.
pub(super) fn append_records(
    log: &mut Log,
    records: &[MetadataRecord],
    epoch: LeaderEpoch,
    now: WallTime,
) -> Result<BatchMark, LogError> {
    let mut batch = BatchBuilder::new(Compression::None, BATCH_LIMIT);
    for record in records {
        batch.append(Timestamp::from(now), None, Some(&record.encode()), &[]);
    }
    append(log, &batch.build(&BatchOptions::default()), epoch, now)
}

pub(super) struct LeaderChange {
    pub epoch: LeaderEpoch,
    pub leader: BrokerId,
    pub voters: Vec<BrokerId>,
    pub granting: Vec<BrokerId>,
}

pub(super) fn append_leader_change(
    log: &mut Log,
    change: &LeaderChange,
    now: WallTime,
) -> Result<BatchMark, LogError> {
    let voter = |id: &BrokerId| Voter::default().with_voter_id(id.0);
    let message = LeaderChangeMessage::default()
        .with_version(LEADER_CHANGE_VERSION)
        .with_leader_id(WireBrokerId(change.leader.0))
        .with_voters(change.voters.iter().map(voter).collect())
        .with_granting_voters(change.granting.iter().map(voter).collect());
    let mut value = BytesMut::new();
    message.encode(&mut value, LEADER_CHANGE_VERSION).expect("the version is one of the message's");
    let mut key = BytesMut::new();
    key.put_slice(&LEADER_CHANGE_KEY);
    let mut batch = BatchBuilder::new(Compression::None, BATCH_LIMIT);
    batch.append(Timestamp::from(now), Some(&key), Some(&value), &[]);
    let options = BatchOptions { control: true, ..BatchOptions::default() };
    append(log, &batch.build(&options), change.epoch, now)
}

/// Whole batches from `from` on, committed or not.
pub(super) fn read(log: &Log, from: Offset, max_bytes: i32) -> Bytes {
    let end = log.end_offset();
    if from >= end {
        return Bytes::new();
    }
    let bytes = usize::try_from(max_bytes).unwrap_or_default();
    match log.read(from, bytes, end, MinOneMessage::Yes) {
        Ok(read) => read.records,
        Err(error) => {
            tracing::warn!(%error, "metadata not read");
            Bytes::new()
        }
    }
}

/// Makes all that the log holds durable.
pub(super) async fn sync(broker: Arc<Broker>, log: Arc<Partition>) -> Result<(), LogError> {
    log.flush(&broker).await
}
