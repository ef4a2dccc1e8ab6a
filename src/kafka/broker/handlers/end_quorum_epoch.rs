//! EndQuorumEpoch, 0 to 1: the quorum's leader steps down, and says who should stand for election.

use std::sync::Arc;

use kafka_protocol::{messages::EndQuorumEpochRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call, Close},
        state::Broker,
    },
    raft::{self, Response, wire::to_end_quorum_epoch_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: EndQuorumEpochRequest = call.request()?;
    let response = match raft::EndQuorumEpochRequest::try_from(request) {
        Ok(request) => {
            let answer = broker.quorum.ask(raft::Request::EndQuorumEpoch(request)).await;
            answer.ok_or(Close::Stopping)?
        }
        Err(unfit) => Response::Refused(unfit.code()),
    };
    call.answer(&to_end_quorum_epoch_response(&response))
}
