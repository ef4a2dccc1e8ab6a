//! AlterPartition, 3: a partition's leader wants another ISR, from the controller.

use std::sync::Arc;

use kafka_protocol::{messages::AlterPartitionRequest, protocol::VersionRange};

use crate::kafka::broker::{
    dispatch::{Answer, Call},
    state::Broker,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 3, max: 3 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AlterPartitionRequest = call.request()?;
    call.answer(&broker.alter_partitions(&request).await)
}
