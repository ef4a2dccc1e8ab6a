//! AllocateProducerIds, 0: a block of producer ids for another broker, from the controller.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerId as WireProducerId,
    },
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        controller::PRODUCER_ID_BLOCK,
        dispatch::{Answer, Call},
        state::Broker,
    },
    types::BrokerId,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AllocateProducerIdsRequest = call.request()?;
    let response = match broker.allocate_producer_ids(BrokerId(request.broker_id.0)).await {
        Ok(first) => AllocateProducerIdsResponse::default()
            .with_producer_id_start(WireProducerId(first.0))
            .with_producer_id_len(PRODUCER_ID_BLOCK as i32),
        Err(code) => AllocateProducerIdsResponse::default().with_error_code(code.code()),
    };
    call.answer(&response)
}
