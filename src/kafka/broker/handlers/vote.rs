//! Vote, 0 to 2: whether this voter would have another one lead the quorum.

use std::sync::Arc;

use kafka_protocol::{messages::VoteRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    raft::{self, wire::to_vote_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: VoteRequest = call.request()?;
    let response = broker.quorum.ask_replica(request, raft::Request::Vote).await?;
    call.answer(&to_vote_response(&response))
}
