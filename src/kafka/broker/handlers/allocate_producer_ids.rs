//! AllocateProducerIds, 0: a block of producer ids for a broker, from the controller.

use std::sync::Arc;

use kafka_protocol::{messages::AllocateProducerIdsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        quorum::NotController,
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AllocateProducerIdsRequest = call.request()?;
    let answer =
        broker.quorum.ask_controller(request, Controller::handle_allocate_producer_ids).await;
    let response = answer.unwrap_or_else(NotController::answer);
    call.answer(&response)
}
