//! Requests in both directions.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        self, BrokerId as WireBroker, TopicName as WireTopic, begin_quorum_epoch_request as begin,
        end_quorum_epoch_request as end,
        fetch_request::{FetchPartition, FetchTopic, ReplicaState},
        fetch_snapshot_request as snapshot, vote_request as vote,
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{
    super::{
        Ballot, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, FetchSnapshotRequest,
        OffsetAndEpoch, ReplicaKey, VoteRequest,
    },
    METADATA_TOPIC, METADATA_TOPIC_ID,
};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerId, LeaderEpoch, Offset},
};

/// A message that is well formed and yet says nothing of the metadata log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    #[error("message is not about exactly one partition")]
    NotOnePartition,
    #[error("message is about another partition than that of the metadata log")]
    OtherPartition,
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

impl Unfit {
    /// What the sender of a request is told, at the top level.
    pub fn code(self) -> ResponseError {
        ResponseError::InvalidRequest
    }
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic() -> WireTopic {
    text(METADATA_TOPIC).into()
}

pub(super) fn only<T>(list: Vec<T>) -> Result<T, Unfit> {
    <[T; 1]>::try_from(list).map(|[only]| only).map_err(|_| Unfit::NotOnePartition)
}

pub(super) fn check(name: &WireTopic, partition: i32) -> Result<(), Unfit> {
    let known = name.as_str() == METADATA_TOPIC && partition == 0;
    if known { Ok(()) } else { Err(Unfit::OtherPartition) }
}

fn cluster(id: Option<StrBytes>) -> Option<String> {
    id.map(|id| id.to_string())
}

fn wire_cluster(id: Option<&String>) -> Option<StrBytes> {
    id.map(|id| text(id))
}

fn key(id: WireBroker, directory: Uuid) -> ReplicaKey {
    ReplicaKey::new(BrokerId(id.0), directory)
}

/// -1 is nobody.
fn voter(id: WireBroker, directory: Uuid) -> Option<ReplicaKey> {
    (id.0 >= 0).then(|| key(id, directory))
}

fn wire_voter(voter: Option<ReplicaKey>) -> (WireBroker, Uuid) {
    let nobody = ReplicaKey::new(BrokerId(-1), Uuid::nil());
    let voter = voter.unwrap_or(nobody);
    (WireBroker(voter.id.0), voter.directory)
}

impl From<&VoteRequest> for messages::VoteRequest {
    fn from(request: &VoteRequest) -> Self {
        let (voter_id, voter_directory) = wire_voter(request.voter);
        let partition = vote::PartitionData::default()
            .with_replica_epoch(request.epoch.0)
            .with_replica_id(WireBroker(request.replica.id.0))
            .with_replica_directory_id(request.replica.directory)
            .with_voter_directory_id(voter_directory)
            .with_last_offset_epoch(request.last.epoch.0)
            .with_last_offset(request.last.offset.0)
            .with_pre_vote(request.ballot == Ballot::PreVote);
        let topic =
            vote::TopicData::default().with_topic_name(topic()).with_partitions(vec![partition]);
        messages::VoteRequest::default()
            .with_cluster_id(wire_cluster(request.cluster_id.as_ref()))
            .with_voter_id(voter_id)
            .with_topics(vec![topic])
    }
}

impl TryFrom<messages::VoteRequest> for VoteRequest {
    type Error = Unfit;

    fn try_from(request: messages::VoteRequest) -> Result<Self, Unfit> {
        let topic = only(request.topics)?;
        let partition = only(topic.partitions)?;
        check(&topic.topic_name, partition.partition_index)?;
        Ok(VoteRequest {
            cluster_id: cluster(request.cluster_id),
            voter: voter(request.voter_id, partition.voter_directory_id),
            replica: key(partition.replica_id, partition.replica_directory_id),
            epoch: LeaderEpoch(partition.replica_epoch),
            last: OffsetAndEpoch::new(
                Offset(partition.last_offset),
                LeaderEpoch(partition.last_offset_epoch),
            ),
            ballot: if partition.pre_vote { Ballot::PreVote } else { Ballot::Vote },
        })
    }
}

impl From<&BeginQuorumEpochRequest> for messages::BeginQuorumEpochRequest {
    fn from(request: &BeginQuorumEpochRequest) -> Self {
        let (voter_id, voter_directory) = wire_voter(request.voter);
        let partition = begin::PartitionData::default()
            .with_voter_directory_id(voter_directory)
            .with_leader_id(WireBroker(request.leader.0))
            .with_leader_epoch(request.epoch.0);
        let topic =
            begin::TopicData::default().with_topic_name(topic()).with_partitions(vec![partition]);
        messages::BeginQuorumEpochRequest::default()
            .with_cluster_id(wire_cluster(request.cluster_id.as_ref()))
            .with_voter_id(voter_id)
            .with_topics(vec![topic])
    }
}

impl TryFrom<messages::BeginQuorumEpochRequest> for BeginQuorumEpochRequest {
    type Error = Unfit;

    fn try_from(request: messages::BeginQuorumEpochRequest) -> Result<Self, Unfit> {
        let topic = only(request.topics)?;
        let partition = only(topic.partitions)?;
        check(&topic.topic_name, partition.partition_index)?;
        Ok(BeginQuorumEpochRequest {
            cluster_id: cluster(request.cluster_id),
            voter: voter(request.voter_id, partition.voter_directory_id),
            leader: BrokerId(partition.leader_id.0),
            epoch: LeaderEpoch(partition.leader_epoch),
        })
    }
}

impl From<&EndQuorumEpochRequest> for messages::EndQuorumEpochRequest {
    fn from(request: &EndQuorumEpochRequest) -> Self {
        let candidate = |key: &ReplicaKey| {
            end::ReplicaInfo::default()
                .with_candidate_id(WireBroker(key.id.0))
                .with_candidate_directory_id(key.directory)
        };
        let partition = end::PartitionData::default()
            .with_leader_id(WireBroker(request.leader.0))
            .with_leader_epoch(request.epoch.0)
            .with_preferred_candidates(
                request.preferred_candidates.iter().map(candidate).collect(),
            );
        let topic =
            end::TopicData::default().with_topic_name(topic()).with_partitions(vec![partition]);
        messages::EndQuorumEpochRequest::default()
            .with_cluster_id(wire_cluster(request.cluster_id.as_ref()))
            .with_topics(vec![topic])
    }
}

impl TryFrom<messages::EndQuorumEpochRequest> for EndQuorumEpochRequest {
    type Error = Unfit;

    fn try_from(request: messages::EndQuorumEpochRequest) -> Result<Self, Unfit> {
        let topic = only(request.topics)?;
        let partition = only(topic.partitions)?;
        check(&topic.topic_name, partition.partition_index)?;
        let candidate = |it: &end::ReplicaInfo| key(it.candidate_id, it.candidate_directory_id);
        // Version 0 has ids alone.
        let successor = |id: &i32| ReplicaKey::new(BrokerId(*id), Uuid::nil());
        let preferred_candidates = if partition.preferred_candidates.is_empty() {
            partition.preferred_successors.iter().map(successor).collect()
        } else {
            partition.preferred_candidates.iter().map(candidate).collect()
        };
        Ok(EndQuorumEpochRequest {
            cluster_id: cluster(request.cluster_id),
            leader: BrokerId(partition.leader_id.0),
            epoch: LeaderEpoch(partition.leader_epoch),
            preferred_candidates,
        })
    }
}

impl From<&FetchRequest> for messages::FetchRequest {
    fn from(request: &FetchRequest) -> Self {
        let wait = i32::try_from(request.max_wait.as_millis()).unwrap_or(i32::MAX);
        let partition = FetchPartition::default()
            .with_current_leader_epoch(request.epoch.0)
            .with_fetch_offset(request.offset.0)
            .with_last_fetched_epoch(request.last_fetched_epoch.0)
            .with_replica_directory_id(request.replica.directory)
            .with_high_watermark(request.high_watermark.0);
        let topic = FetchTopic::default()
            .with_topic(topic())
            .with_topic_id(METADATA_TOPIC_ID)
            .with_partitions(vec![partition]);
        messages::FetchRequest::default()
            .with_cluster_id(wire_cluster(request.cluster_id.as_ref()))
            .with_replica_state(
                ReplicaState::default().with_replica_id(WireBroker(request.replica.id.0)),
            )
            .with_max_wait_ms(wait)
            .with_max_bytes(request.max_bytes)
            .with_topics(vec![topic])
    }
}

impl TryFrom<messages::FetchRequest> for FetchRequest {
    type Error = Unfit;

    fn try_from(request: messages::FetchRequest) -> Result<Self, Unfit> {
        let topic = only(request.topics)?;
        let partition = only(topic.partitions)?;
        // From version 13 on by id, before that by name.
        if topic.topic_id != METADATA_TOPIC_ID || partition.partition != 0 {
            check(&topic.topic, partition.partition)?;
        }
        let wait = u64::try_from(request.max_wait_ms).map_err(|_| Unfit::OutOfRange("max wait"))?;
        // Before version 15 the replica stood by itself.
        let id = request.replica_state.replica_id.0.max(request.replica_id.0);
        Ok(FetchRequest {
            cluster_id: cluster(request.cluster_id),
            replica: ReplicaKey::new(BrokerId(id), partition.replica_directory_id),
            epoch: LeaderEpoch(partition.current_leader_epoch),
            last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
            offset: Offset(partition.fetch_offset),
            max_wait: Duration::from_millis(wait),
            max_bytes: request.max_bytes,
            high_watermark: Offset(partition.high_watermark),
        })
    }
}

impl From<&FetchSnapshotRequest> for messages::FetchSnapshotRequest {
    fn from(request: &FetchSnapshotRequest) -> Self {
        let id = snapshot::SnapshotId::default()
            .with_end_offset(request.snapshot.offset.0)
            .with_epoch(request.snapshot.epoch.0);
        let partition = snapshot::PartitionSnapshot::default()
            .with_current_leader_epoch(request.epoch.0)
            .with_snapshot_id(id)
            .with_position(i64::try_from(request.position).unwrap_or(i64::MAX))
            .with_replica_directory_id(request.replica.directory);
        let topic =
            snapshot::TopicSnapshot::default().with_name(topic()).with_partitions(vec![partition]);
        messages::FetchSnapshotRequest::default()
            .with_cluster_id(wire_cluster(request.cluster_id.as_ref()))
            .with_replica_id(WireBroker(request.replica.id.0))
            .with_max_bytes(request.max_bytes)
            .with_topics(vec![topic])
    }
}

impl TryFrom<messages::FetchSnapshotRequest> for FetchSnapshotRequest {
    type Error = Unfit;

    fn try_from(request: messages::FetchSnapshotRequest) -> Result<Self, Unfit> {
        let topic = only(request.topics)?;
        let partition = only(topic.partitions)?;
        check(&topic.name, partition.partition)?;
        let id = &partition.snapshot_id;
        Ok(FetchSnapshotRequest {
            cluster_id: cluster(request.cluster_id),
            replica: key(request.replica_id, partition.replica_directory_id),
            epoch: LeaderEpoch(partition.current_leader_epoch),
            snapshot: OffsetAndEpoch::new(Offset(id.end_offset), LeaderEpoch(id.epoch)),
            // One below 0 lies outside of any snapshot, as this does.
            position: u64::try_from(partition.position).unwrap_or(u64::MAX),
            max_bytes: request.max_bytes,
        })
    }
}
