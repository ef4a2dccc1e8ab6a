//! FetchSnapshot, 0 to 1: a part of a snapshot of the metadata.

use std::sync::Arc;

use kafka_protocol::{messages::FetchSnapshotRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call, Close},
        state::Broker,
    },
    raft::{self, Response, wire::to_fetch_snapshot_response},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: FetchSnapshotRequest = call.request()?;
    let response = match raft::FetchSnapshotRequest::try_from(request) {
        Ok(request) => {
            let answer = broker.quorum.ask(raft::Request::FetchSnapshot(request)).await;
            answer.ok_or(Close::Stopping)?
        }
        Err(unfit) => Response::Refused(unfit.code()),
    };
    call.answer(&to_fetch_snapshot_response(&response))
}
