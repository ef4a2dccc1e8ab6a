//! AllocateProducerIds, 0: a block of producer ids for a broker, from the controller.

use std::sync::Arc;

use kafka_protocol::{messages::AllocateProducerIdsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AllocateProducerIdsRequest = call.request()?;
    broker.quorum.answer_node(call, request, Controller::handle_allocate_producer_ids).await
}
