//! ListPartitionReassignments, 0: which partitions are moving.

use std::sync::Arc;

use kafka_protocol::{messages::ListPartitionReassignmentsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::ControllerResponse,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ListPartitionReassignmentsRequest = call.request_to_keep()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_list_reassignments(moment.now, moment.request(request), effects);
    });
    match decided.await? {
        ControllerResponse::Reassignments(response) => call.answer(&response),
        other => unreachable!("{other:?} is no answer to ListPartitionReassignments"),
    }
}
