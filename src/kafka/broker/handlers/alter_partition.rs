//! AlterPartition, 2 to 3: a leader tells the controller who is in sync.

use std::sync::Arc;

use kafka_protocol::{messages::AlterPartitionRequest, protocol::VersionRange};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 2, max: 3 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AlterPartitionRequest = call.request()?;
    broker.quorum.answer_node(call, request, Controller::handle_alter_partition).await
}
