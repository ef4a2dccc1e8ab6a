//! BrokerRegistration, 0 to 4: a broker has started, and gets its epoch from the controller.

use std::sync::Arc;

use kafka_protocol::{messages::BrokerRegistrationRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: BrokerRegistrationRequest = call.request_to_keep()?;
    broker.quorum.answer_node(call, request, Controller::handle_registration).await
}
