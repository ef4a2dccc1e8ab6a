//! AllocateProducerIds, 0: a block of producer ids for a broker, from the controller.

use std::sync::Arc;

use kafka_protocol::{
    messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse},
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        quorum::NotController,
        state::Broker,
    },
    controller::ControllerResponse,
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AllocateProducerIdsRequest = call.request()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_allocate_producer_ids(moment.now, moment.request(request), effects);
    });
    let response = match decided.await {
        Ok(ControllerResponse::ProducerIds(response)) => response,
        Ok(other) => unreachable!("{other:?} is no answer to AllocateProducerIds"),
        Err(NotController) => {
            let code = ResponseError::NotController.code();
            AllocateProducerIdsResponse::default().with_error_code(code)
        }
    };
    call.answer(&response)
}
