//! Vote, 0 to 2: whether this voter would have another one lead the quorum.

use std::sync::Arc;

use kafka_protocol::{messages::VoteRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call, Close},
        state::Broker,
    },
    raft::{self, Response, wire::to_vote_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: VoteRequest = call.request()?;
    let response = match raft::VoteRequest::try_from(request) {
        Ok(request) => {
            let answer = broker.quorum.ask(raft::Request::Vote(request)).await;
            answer.ok_or(Close::Stopping)?
        }
        Err(unfit) => Response::Refused(unfit.code()),
    };
    call.answer(&to_vote_response(&response))
}
