//! AlterPartitionReassignments, 0 to 1: partitions move to other brokers, or stop moving.

use std::sync::Arc;

use kafka_protocol::{messages::AlterPartitionReassignmentsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AlterPartitionReassignmentsRequest = call.request_to_keep()?;
    let answer =
        broker.quorum.ask_controller(request, Controller::handle_alter_reassignments).await;
    call.answer(&answer?)
}
