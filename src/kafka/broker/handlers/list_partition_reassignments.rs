//! ListPartitionReassignments, 0: which partitions are moving.

use std::sync::Arc;

use kafka_protocol::{messages::ListPartitionReassignmentsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ListPartitionReassignmentsRequest = call.request_to_keep()?;
    let answer = broker.quorum.ask_controller(request, Controller::handle_list_reassignments).await;
    call.answer(&answer?)
}
