//! InitProducerId, 0 to 4: an id for an idempotent producer.
//!
//! While no block of ids is at hand the answer is COORDINATOR_LOAD_IN_PROGRESS, as in Kafka, and the client
//! asks again. Transactional ids are refused: transactions are not served.

use std::sync::Arc;

use kafka_protocol::{
    messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducerId},
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        producer_ids::NextId,
        state::Broker,
    },
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: InitProducerIdRequest = call.request()?;
    let failure = |code: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1)
    };
    if request.transactional_id.is_some() {
        return call.answer(&failure(ResponseError::TransactionalIdAuthorizationFailed));
    }
    let response = match broker.producer_ids.next() {
        NextId::Id(id) => InitProducerIdResponse::default()
            .with_producer_id(WireProducerId(id.0))
            .with_producer_epoch(0),
        NextId::OrderBlock => {
            broker.link.request_producer_ids();
            failure(ResponseError::CoordinatorLoadInProgress)
        }
        NextId::Wait => failure(ResponseError::CoordinatorLoadInProgress),
    };
    call.answer(&response)
}
