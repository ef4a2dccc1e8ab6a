//! CreatePartitions, 0 to 3: more partitions for topics that are there.

use std::sync::Arc;

use kafka_protocol::{
    messages::{CreatePartitionsRequest, CreatePartitionsResponse},
    protocol::VersionRange,
};

use crate::kafka::broker::{
    dispatch::{Answer, Call},
    state::Broker,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 3 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: CreatePartitionsRequest = call.request_to_keep()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        let (now, choices) = (moment.now, moment.choices);
        controller.handle_create_partitions(now, moment.request(request), choices, effects);
    });
    let response: CreatePartitionsResponse = decided.await?;
    call.answer(&response)
}
