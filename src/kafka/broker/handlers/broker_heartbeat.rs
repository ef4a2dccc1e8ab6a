//! BrokerHeartbeat, 0 to 1: a broker lives, and tells the controller how far it has read and what it wants.

use std::sync::Arc;

use kafka_protocol::{messages::BrokerHeartbeatRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: BrokerHeartbeatRequest = call.request()?;
    broker.quorum.answer_node(call, request, Controller::handle_heartbeat).await
}
