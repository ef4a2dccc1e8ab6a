//! The quorum's messages through Kafka's encoding and back, and messages of strangers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages,
    protocol::{Decodable, Encodable, StrBytes},
};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::{
    Ballot, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchOutcome, FetchRequest,
    FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, OffsetAndEpoch, ReplicaKey,
    Response, SnapshotPart, Standing, VoteRequest,
    wire::{
        Unfit, to_begin_quorum_epoch_response, to_end_quorum_epoch_response, to_fetch_response,
        to_fetch_snapshot_response, to_vote_response,
    },
};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerId, LeaderEpoch, Offset},
};

fn carried<M: Encodable + Decodable>(message: &M, version: i16) -> M {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).unwrap();
    let mut bytes = bytes.freeze();
    let message = M::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty());
    message
}

prop_compose! {
    fn key()(id in 0..9_i32, directory in any::<u128>()) -> ReplicaKey {
        ReplicaKey::new(BrokerId(id), Uuid::from_u128(directory))
    }
}

prop_compose! {
    fn reach()(offset in 0..i64::MAX, epoch in 0..i32::MAX) -> OffsetAndEpoch {
        OffsetAndEpoch::new(Offset(offset), LeaderEpoch(epoch))
    }
}

fn cluster() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-z]{0,22}")
}

fn error() -> impl Strategy<Value = ResponseError> {
    prop::sample::select(vec![
        ResponseError::FencedLeaderEpoch,
        ResponseError::NotLeaderOrFollower,
        ResponseError::InvalidVoterKey,
        ResponseError::SnapshotNotFound,
        ResponseError::UnknownServerError,
    ])
}

prop_compose! {
    fn standing()(
        error in prop::option::of(error()),
        epoch in 0..i32::MAX,
        leader in prop::option::of(0..9_i32),
    ) -> Standing {
        Standing { error, epoch: LeaderEpoch(epoch), leader: leader.map(BrokerId) }
    }
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from)
}

fn outcome() -> impl Strategy<Value = FetchOutcome> {
    prop_oneof![
        bytes().prop_map(FetchOutcome::Records),
        reach().prop_map(FetchOutcome::Diverging),
        reach().prop_map(FetchOutcome::Snapshot),
    ]
}

proptest! {
    #[test]
    fn vote_requests_arrive(
        cluster_id in cluster(),
        voter in prop::option::of(key()),
        (replica, epoch, last) in (key(), any::<i32>(), reach()),
        pre_vote in any::<bool>(),
    ) {
        let ballot = if pre_vote { Ballot::PreVote } else { Ballot::Vote };
        let epoch = LeaderEpoch(epoch);
        let request = VoteRequest { cluster_id, voter, replica, epoch, last, ballot };
        let wire = messages::VoteRequest::from(&request);
        prop_assert_eq!(VoteRequest::try_from(carried(&wire, 2)), Ok(request));
    }

    #[test]
    fn requests_of_leaders_arrive(
        cluster_id in cluster(),
        voter in prop::option::of(key()),
        (leader, epoch) in (0..9_i32, any::<i32>()),
        preferred_candidates in prop::collection::vec(key(), 0..5),
    ) {
        let (leader, epoch) = (BrokerId(leader), LeaderEpoch(epoch));
        let begin =
            BeginQuorumEpochRequest { cluster_id: cluster_id.clone(), voter, leader, epoch };
        let wire = messages::BeginQuorumEpochRequest::from(&begin);
        prop_assert_eq!(BeginQuorumEpochRequest::try_from(carried(&wire, 1)), Ok(begin));
        let end = EndQuorumEpochRequest { cluster_id, leader, epoch, preferred_candidates };
        let wire = messages::EndQuorumEpochRequest::from(&end);
        prop_assert_eq!(EndQuorumEpochRequest::try_from(carried(&wire, 1)), Ok(end));
    }

    #[test]
    fn fetches_arrive(
        cluster_id in cluster(),
        (replica, at, epoch) in (key(), reach(), any::<i32>()),
        (wait, max_bytes, known) in (0..i32::MAX as u64, any::<i32>(), -1..i64::MAX),
    ) {
        let fetch = FetchRequest {
            cluster_id: cluster_id.clone(),
            replica,
            epoch: LeaderEpoch(epoch),
            last_fetched_epoch: at.epoch,
            offset: at.offset,
            max_wait: Duration::from_millis(wait),
            max_bytes,
            high_watermark: Offset(known),
        };
        let wire = messages::FetchRequest::from(&fetch);
        prop_assert_eq!(FetchRequest::try_from(carried(&wire, 18)), Ok(fetch.clone()));
        // A version that cannot say what is known to be committed.
        let silent = FetchRequest { high_watermark: Offset(i64::MAX), ..fetch };
        let wire = messages::FetchRequest::from(&silent);
        prop_assert_eq!(FetchRequest::try_from(carried(&wire, 17)), Ok(silent));
        let snapshot = FetchSnapshotRequest {
            cluster_id,
            replica,
            epoch: LeaderEpoch(epoch),
            snapshot: at,
            position: wait,
            max_bytes,
        };
        let wire = messages::FetchSnapshotRequest::from(&snapshot);
        prop_assert_eq!(FetchSnapshotRequest::try_from(carried(&wire, 1)), Ok(snapshot));
    }

    #[test]
    fn answers_arrive(
        standing in standing(),
        granted in any::<bool>(),
        (known, log_start) in (prop::option::of(0..i64::MAX), 0..i64::MAX),
        (outcome, snapshot, bytes) in (outcome(), reach(), bytes()),
        (size, position) in (0..u64::MAX / 2, 0..u64::MAX / 2),
    ) {
        let vote = Response::Vote { standing, granted };
        prop_assert_eq!(Response::try_from(carried(&to_vote_response(&vote), 2)), Ok(vote));
        let begin = Response::BeginQuorumEpoch(standing);
        let wire = to_begin_quorum_epoch_response(&begin);
        prop_assert_eq!(Response::try_from(carried(&wire, 1)), Ok(begin));
        let end = Response::EndQuorumEpoch(standing);
        let wire = to_end_quorum_epoch_response(&end);
        prop_assert_eq!(Response::try_from(carried(&wire, 1)), Ok(end));
        let high_watermark = known.map(Offset);
        let log_start = Offset(log_start);
        let fetch =
            Response::Fetch(FetchResponse { standing, high_watermark, log_start, outcome });
        prop_assert_eq!(Response::try_from(carried(&to_fetch_response(&fetch), 18)), Ok(fetch));
        let part = SnapshotPart { snapshot, size, position, bytes };
        let part = standing.error.is_none().then_some(part);
        let fetch = Response::FetchSnapshot(FetchSnapshotResponse { standing, part });
        let wire = to_fetch_snapshot_response(&fetch);
        prop_assert_eq!(Response::try_from(carried(&wire, 1)), Ok(fetch));
    }
}

#[test]
fn refusals_arrive_whatever_was_asked() {
    let refused = Response::Refused(ResponseError::InconsistentClusterId);
    let told = Ok(refused.clone());
    assert_eq!(Response::try_from(carried(&to_vote_response(&refused), 2)), told);
    assert_eq!(Response::try_from(carried(&to_begin_quorum_epoch_response(&refused), 1)), told);
    assert_eq!(Response::try_from(carried(&to_end_quorum_epoch_response(&refused), 1)), told);
    assert_eq!(Response::try_from(carried(&to_fetch_response(&refused), 17)), told);
    assert_eq!(Response::try_from(carried(&to_fetch_snapshot_response(&refused), 1)), told);
}

#[test]
fn messages_about_other_partitions_are_unfit() {
    let request = BeginQuorumEpochRequest {
        cluster_id: None,
        voter: None,
        leader: BrokerId(1),
        epoch: LeaderEpoch(1),
    };
    let read = BeginQuorumEpochRequest::try_from;
    let mut none = messages::BeginQuorumEpochRequest::from(&request);
    none.topics.clear();
    assert_eq!(read(none), Err(Unfit::NotOnePartition));
    let mut two = messages::BeginQuorumEpochRequest::from(&request);
    let partition = two.topics[0].partitions[0].clone();
    two.topics[0].partitions.push(partition);
    assert_eq!(read(two), Err(Unfit::NotOnePartition));
    let mut other = messages::BeginQuorumEpochRequest::from(&request);
    other.topics[0].partitions[0].partition_index = 1;
    assert_eq!(read(other), Err(Unfit::OtherPartition));
    let mut other = messages::BeginQuorumEpochRequest::from(&request);
    other.topics[0].topic_name = StrBytes::from_static_str("orders").into();
    assert_eq!(read(other), Err(Unfit::OtherPartition));
}
