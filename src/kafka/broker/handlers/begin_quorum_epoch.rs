//! BeginQuorumEpoch, 0 to 1: a voter has been elected, and tells the others.

use std::sync::Arc;

use kafka_protocol::{messages::BeginQuorumEpochRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    raft::{self, wire::to_begin_quorum_epoch_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: BeginQuorumEpochRequest = call.request()?;
    let response = broker.quorum.ask_replica(request, raft::Request::BeginQuorumEpoch).await?;
    call.answer(&to_begin_quorum_epoch_response(&response))
}
