//! OffsetForLeaderEpoch, 2 to 4: where a leader epoch ended in the log (KIP-320).
//!
//! A consumer asks it after a change of leader, to learn whether what it read is still there.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch_request::OffsetForLeaderPartition,
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
    protocol::VersionRange,
};

use super::produce::held;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        reading::known_epoch,
        state::Broker,
    },
    protocol::ResponseError,
    replica::ReadFrom,
    types::{LeaderEpoch, Offset},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 2, max: 4 };

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: OffsetForLeaderEpochRequest = call.request()?;
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in request.topics {
        let mut answered = OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone());
        for ask in &topic.partitions {
            // Both numbers are -1 where the log does not know the epoch, which is no error.
            let unknown = EpochEndOffset::default()
                .with_partition(ask.partition)
                .with_leader_epoch(-1)
                .with_end_offset(-1);
            answered.partitions.push(match end_of_epoch(broker, &topic.topic, ask) {
                Ok(Some((epoch, end))) => unknown.with_leader_epoch(epoch.0).with_end_offset(end.0),
                Ok(None) => unknown,
                Err(code) => unknown.with_error_code(code.code()),
            });
        }
        response.topics.push(answered);
    }
    call.answer(&response)
}

fn end_of_epoch(
    broker: &Broker,
    topic: &str,
    ask: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, ResponseError> {
    let partition = held(broker, topic, ask.partition)?;
    let held = partition.held();
    let replica = held.replica.as_ref().ok_or(ResponseError::UnknownTopicOrPartition)?;
    let (current, epoch) = (known_epoch(ask.current_leader_epoch), LeaderEpoch(ask.leader_epoch));
    replica.epoch_end(&held.log, ReadFrom::Leader, current, epoch)
}
