//! BrokerHeartbeat, 0 to 1: a broker lives, and tells the controller how far it has read and what it wants.

use std::sync::Arc;

use kafka_protocol::{
    messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse},
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: BrokerHeartbeatRequest = call.request()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_heartbeat(moment.now, moment.request(request), effects);
    });
    let response = match decided.await {
        Ok(ControllerResponse::Heartbeat(response)) => response,
        Ok(other) => unreachable!("{other:?} is no answer to BrokerHeartbeat"),
        Err(NotController) => {
            let code = ResponseError::NotController.code();
            BrokerHeartbeatResponse::default().with_error_code(code)
        }
    };
    call.answer(&response)
}
