//! ElectLeaders, 0 to 2: preferred leaders, or leaders of last resort, by an operator's order.

use std::sync::Arc;

use kafka_protocol::{messages::ElectLeadersRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ElectLeadersRequest = call.request_to_keep()?;
    let answer = broker.quorum.ask_controller(request, Controller::handle_elect_leaders).await;
    call.answer(&answer?)
}
