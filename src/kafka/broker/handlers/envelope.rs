//! Envelope, 0: a client's request that another broker has sent on, for the controller (KIP-590).
//!
//! Departure: principal and address of the client are not looked at, as nobody here is refused anything.

use std::sync::Arc;

use kafka_protocol::{
    messages::{EnvelopeRequest, EnvelopeResponse},
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        dispatch::{self, Answer, Call, Close},
        state::Broker,
    },
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };
/// What a frame begins with, and an envelope's content does not.
const LENGTH_BYTES: usize = 4;

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: EnvelopeRequest = call.request()?;
    let response = match dispatch::handle_sent_on(broker, call.peer, request.request_data).await {
        Ok(Some(answer)) => {
            let answer = answer.into_bytes().map_err(|_| Close::NoController)?;
            EnvelopeResponse::default().with_response_data(Some(answer.slice(LENGTH_BYTES..)))
        }
        Ok(None) | Err(Close::Message(_) | Close::NotServed { .. }) => {
            refused(ResponseError::InvalidRequest)
        }
        Err(Close::NotController) => refused(ResponseError::NotController),
        Err(close) => return Err(close),
    };
    call.answer(&response)
}

fn refused(code: ResponseError) -> EnvelopeResponse {
    EnvelopeResponse::default().with_response_data(None).with_error_code(code.code())
}
