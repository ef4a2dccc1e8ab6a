//! AlterPartitionReassignments, 0 to 1: partitions move to other brokers, or stop moving.

use std::sync::Arc;

use kafka_protocol::{messages::AlterPartitionReassignmentsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::ControllerResponse,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AlterPartitionReassignmentsRequest = call.request_to_keep()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_alter_reassignments(moment.now, moment.request(request), effects);
    });
    match decided.await? {
        ControllerResponse::Reassign(response) => call.answer(&response),
        other => unreachable!("{other:?} is no answer to AlterPartitionReassignments"),
    }
}
