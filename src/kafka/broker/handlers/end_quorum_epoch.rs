//! EndQuorumEpoch, 0 to 1: the quorum's leader steps down, and says who should stand for election.

use std::sync::Arc;

use kafka_protocol::{messages::EndQuorumEpochRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    raft::{self, wire::to_end_quorum_epoch_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: EndQuorumEpochRequest = call.request()?;
    let response = broker.quorum.ask_replica(request, raft::Request::EndQuorumEpoch).await?;
    call.answer(&to_end_quorum_epoch_response(&response))
}
