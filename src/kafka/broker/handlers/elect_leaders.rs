//! ElectLeaders, 0 to 2: preferred leaders, or leaders of last resort, by an operator's order.

use std::sync::Arc;

use kafka_protocol::{messages::ElectLeadersRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::ControllerResponse,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ElectLeadersRequest = call.request_to_keep()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_elect_leaders(moment.now, moment.request(request), effects);
    });
    match decided.await? {
        ControllerResponse::ElectLeaders(response) => call.answer(&response),
        other => unreachable!("{other:?} is no answer to ElectLeaders"),
    }
}
