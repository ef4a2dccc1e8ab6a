//! Answers in both directions.
//!
//! An answer is written as that of the request it belongs to; another's is a bug of the shell, and panics.

use bytes::Bytes;
use kafka_protocol::messages::{
    self, BrokerId as WireBroker, begin_quorum_epoch_response as begin,
    end_quorum_epoch_response as end, fetch_response as fetch, fetch_snapshot_response as snapshot,
    vote_response as vote,
};

use super::{
    super::{
        FetchOutcome, FetchResponse, FetchSnapshotResponse, OffsetAndEpoch, Response, SnapshotPart,
        Standing,
    },
    METADATA_TOPIC_ID,
    requests::{Unfit, check, only, topic},
};
use crate::kafka::{
    protocol::ResponseError,
    types::{BrokerId, LeaderEpoch, Offset},
};

fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}

fn wire_leader(standing: &Standing) -> WireBroker {
    WireBroker(standing.leader.map_or(-1, |leader| leader.0))
}

fn standing(error: i16, epoch: i32, leader: WireBroker) -> Standing {
    Standing {
        error: ResponseError::try_from_code(error),
        epoch: LeaderEpoch(epoch),
        leader: (leader.0 >= 0).then_some(BrokerId(leader.0)),
    }
}

fn mixed_up(response: &Response, wanted: &str) -> ! {
    panic!("{response:?} is no answer to a {wanted}")
}

pub fn to_vote_response(response: &Response) -> messages::VoteResponse {
    let answer = messages::VoteResponse::default();
    match response {
        Response::Refused(error) => answer.with_error_code(error.code()),
        Response::Vote { standing, granted } => {
            let partition = vote::PartitionData::default()
                .with_error_code(code(standing.error))
                .with_leader_id(wire_leader(standing))
                .with_leader_epoch(standing.epoch.0)
                .with_vote_granted(*granted);
            let topic = vote::TopicData::default()
                .with_topic_name(topic())
                .with_partitions(vec![partition]);
            answer.with_topics(vec![topic])
        }
        other => mixed_up(other, "Vote"),
    }
}

impl TryFrom<messages::VoteResponse> for Response {
    type Error = Unfit;

    fn try_from(answer: messages::VoteResponse) -> Result<Self, Unfit> {
        if let Some(error) = ResponseError::try_from_code(answer.error_code) {
            return Ok(Response::Refused(error));
        }
        let topic = only(answer.topics)?;
        let partition = only(topic.partitions)?;
        check(&topic.topic_name, partition.partition_index)?;
        Ok(Response::Vote {
            standing: standing(partition.error_code, partition.leader_epoch, partition.leader_id),
            granted: partition.vote_granted,
        })
    }
}

/// Those that tell nothing but where the sender stands.
macro_rules! answers_to_leaders {
    ($($kind:ident $words:ident $message:ident $write:ident,)+) => { $(
        pub fn $write(response: &Response) -> messages::$message {
            let answer = messages::$message::default();
            match response {
                Response::Refused(error) => answer.with_error_code(error.code()),
                Response::$kind(standing) => {
                    let partition = $words::PartitionData::default()
                        .with_error_code(code(standing.error))
                        .with_leader_id(wire_leader(standing))
                        .with_leader_epoch(standing.epoch.0);
                    let topic = $words::TopicData::default()
                        .with_topic_name(topic())
                        .with_partitions(vec![partition]);
                    answer.with_topics(vec![topic])
                }
                other => mixed_up(other, stringify!($kind)),
            }
        }

        impl TryFrom<messages::$message> for Response {
            type Error = Unfit;

            fn try_from(answer: messages::$message) -> Result<Self, Unfit> {
                if let Some(error) = ResponseError::try_from_code(answer.error_code) {
                    return Ok(Response::Refused(error));
                }
                let topic = only(answer.topics)?;
                let partition = only(topic.partitions)?;
                check(&topic.topic_name, partition.partition_index)?;
                let (epoch, leader) = (partition.leader_epoch, partition.leader_id);
                Ok(Response::$kind(standing(partition.error_code, epoch, leader)))
            }
        }
    )+ };
}

answers_to_leaders! {
    BeginQuorumEpoch begin BeginQuorumEpochResponse to_begin_quorum_epoch_response,
    EndQuorumEpoch end EndQuorumEpochResponse to_end_quorum_epoch_response,
}

pub fn to_fetch_response(response: &Response) -> messages::FetchResponse {
    let answer = messages::FetchResponse::default();
    match response {
        Response::Refused(error) => answer.with_error_code(error.code()),
        Response::Fetch(response) => {
            let standing = &response.standing;
            let leader = fetch::LeaderIdAndEpoch::default()
                .with_leader_id(wire_leader(standing))
                .with_leader_epoch(standing.epoch.0);
            let partition = fetch::PartitionData::default()
                .with_error_code(code(standing.error))
                .with_high_watermark(response.high_watermark.map_or(-1, |known| known.0))
                .with_log_start_offset(response.log_start.0)
                .with_current_leader(leader);
            let partition = match &response.outcome {
                FetchOutcome::Records(records) => partition.with_records(Some(records.clone())),
                FetchOutcome::Diverging(end) => partition.with_diverging_epoch(
                    fetch::EpochEndOffset::default()
                        .with_epoch(end.epoch.0)
                        .with_end_offset(end.offset.0),
                ),
                FetchOutcome::Snapshot(id) => partition.with_snapshot_id(
                    fetch::SnapshotId::default()
                        .with_epoch(id.epoch.0)
                        .with_end_offset(id.offset.0),
                ),
            };
            let topic = fetch::FetchableTopicResponse::default()
                .with_topic(topic())
                .with_topic_id(METADATA_TOPIC_ID)
                .with_partitions(vec![partition]);
            answer.with_responses(vec![topic])
        }
        other => mixed_up(other, "Fetch"),
    }
}

impl TryFrom<messages::FetchResponse> for Response {
    type Error = Unfit;

    fn try_from(answer: messages::FetchResponse) -> Result<Self, Unfit> {
        if let Some(error) = ResponseError::try_from_code(answer.error_code) {
            return Ok(Response::Refused(error));
        }
        let topic = only(answer.responses)?;
        let partition = only(topic.partitions)?;
        if topic.topic_id != METADATA_TOPIC_ID || partition.partition_index != 0 {
            check(&topic.topic, partition.partition_index)?;
        }
        let (diverging, snapshot) = (&partition.diverging_epoch, &partition.snapshot_id);
        let outcome = if diverging.epoch >= 0 {
            FetchOutcome::Diverging(position(diverging.end_offset, diverging.epoch)?)
        } else if snapshot.epoch >= 0 || snapshot.end_offset >= 0 {
            FetchOutcome::Snapshot(position(snapshot.end_offset, snapshot.epoch)?)
        } else {
            FetchOutcome::Records(partition.records.unwrap_or_default())
        };
        let leader = &partition.current_leader;
        Ok(Response::Fetch(FetchResponse {
            standing: standing(partition.error_code, leader.leader_epoch, leader.leader_id),
            high_watermark: (partition.high_watermark >= 0)
                .then_some(Offset(partition.high_watermark)),
            log_start: Offset(partition.log_start_offset),
            outcome,
        }))
    }
}

fn position(offset: i64, epoch: i32) -> Result<OffsetAndEpoch, Unfit> {
    if offset < 0 || epoch < 0 {
        return Err(Unfit::OutOfRange("offset or epoch"));
    }
    Ok(OffsetAndEpoch::new(Offset(offset), LeaderEpoch(epoch)))
}

pub fn to_fetch_snapshot_response(response: &Response) -> messages::FetchSnapshotResponse {
    let answer = messages::FetchSnapshotResponse::default();
    match response {
        Response::Refused(error) => answer.with_error_code(error.code()),
        Response::FetchSnapshot(response) => {
            let standing = &response.standing;
            let leader = snapshot::LeaderIdAndEpoch::default()
                .with_leader_id(wire_leader(standing))
                .with_leader_epoch(standing.epoch.0);
            let mut partition = snapshot::PartitionSnapshot::default()
                .with_error_code(code(standing.error))
                .with_current_leader(leader);
            if let Some(part) = &response.part {
                let id = snapshot::SnapshotId::default()
                    .with_end_offset(part.snapshot.offset.0)
                    .with_epoch(part.snapshot.epoch.0);
                let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
                partition = partition
                    .with_snapshot_id(id)
                    .with_size(number(part.size))
                    .with_position(number(part.position))
                    .with_unaligned_records(part.bytes.clone());
            }
            let topic = snapshot::TopicSnapshot::default()
                .with_name(topic())
                .with_partitions(vec![partition]);
            answer.with_topics(vec![topic])
        }
        other => mixed_up(other, "FetchSnapshot"),
    }
}

impl TryFrom<messages::FetchSnapshotResponse> for Response {
    type Error = Unfit;

    fn try_from(answer: messages::FetchSnapshotResponse) -> Result<Self, Unfit> {
        if let Some(error) = ResponseError::try_from_code(answer.error_code) {
            return Ok(Response::Refused(error));
        }
        let topic = only(answer.topics)?;
        let partition = only(topic.partitions)?;
        check(&topic.name, partition.index)?;
        let leader = &partition.current_leader;
        let standing = standing(partition.error_code, leader.leader_epoch, leader.leader_id);
        let part = if standing.error.is_some() { None } else { Some(part(partition)?) };
        Ok(Response::FetchSnapshot(FetchSnapshotResponse { standing, part }))
    }
}

fn part(partition: snapshot::PartitionSnapshot) -> Result<SnapshotPart, Unfit> {
    let number = |number: i64, what| u64::try_from(number).map_err(|_| Unfit::OutOfRange(what));
    let bytes: Bytes = partition.unaligned_records;
    Ok(SnapshotPart {
        snapshot: position(partition.snapshot_id.end_offset, partition.snapshot_id.epoch)?,
        size: number(partition.size, "size")?,
        position: number(partition.position, "position")?,
        bytes,
    })
}
