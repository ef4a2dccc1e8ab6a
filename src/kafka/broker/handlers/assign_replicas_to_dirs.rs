//! AssignReplicasToDirs, 0: a broker tells the controller which of its directories replicas are in.

use std::sync::Arc;

use kafka_protocol::{messages::AssignReplicasToDirsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AssignReplicasToDirsRequest = call.request()?;
    broker.quorum.answer_node(call, request, Controller::handle_assign_replicas_to_dirs).await
}
