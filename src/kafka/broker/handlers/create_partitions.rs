//! CreatePartitions, 0 to 3: more partitions for topics that are there.

use std::sync::Arc;

use kafka_protocol::{messages::CreatePartitionsRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::ControllerResponse,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 3 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: CreatePartitionsRequest = call.request_to_keep()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        let (now, choices) = (moment.now, moment.choices);
        controller.handle_create_partitions(now, moment.request(request), choices, effects);
    });
    match decided.await? {
        ControllerResponse::CreatePartitions(response) => call.answer(&response),
        other => unreachable!("{other:?} is no answer to CreatePartitions"),
    }
}
