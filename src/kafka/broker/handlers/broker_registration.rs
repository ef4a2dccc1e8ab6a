//! BrokerRegistration, 0 to 4: a broker has started, and gets its epoch from the controller.

use std::sync::Arc;

use kafka_protocol::{
    messages::{BrokerRegistrationRequest, BrokerRegistrationResponse},
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: BrokerRegistrationRequest = call.request_to_keep()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_registration(moment.now, moment.request(request), effects);
    });
    let response = match decided.await {
        Ok(ControllerResponse::Registration(response)) => response,
        Ok(other) => unreachable!("{other:?} is no answer to BrokerRegistration"),
        Err(NotController) => {
            let code = ResponseError::NotController.code();
            BrokerRegistrationResponse::default().with_error_code(code)
        }
    };
    call.answer(&response)
}
