//! FetchSnapshot, 0 to 1: a part of a snapshot of the metadata.

use std::sync::Arc;

use kafka_protocol::{messages::FetchSnapshotRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    raft::{self, wire::to_fetch_snapshot_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: FetchSnapshotRequest = call.request()?;
    let response = broker.quorum.ask_replica(request, raft::Request::FetchSnapshot).await?;
    call.answer(&to_fetch_snapshot_response(&response))
}
