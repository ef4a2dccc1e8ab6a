//! UnregisterBroker, 0: a broker that will not come back is forgotten.

use std::sync::Arc;

use kafka_protocol::{messages::UnregisterBrokerRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: UnregisterBrokerRequest = call.request_to_keep()?;
    let answer = broker.quorum.ask_controller(request, Controller::handle_unregistration).await;
    call.answer(&answer?)
}
