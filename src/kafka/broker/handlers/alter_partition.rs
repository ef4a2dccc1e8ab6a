//! AlterPartition, 2 to 3: a leader tells the controller who is in sync.

use std::sync::Arc;

use kafka_protocol::{
    messages::{AlterPartitionRequest, AlterPartitionResponse},
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 2, max: 3 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: AlterPartitionRequest = call.request()?;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_alter_partition(moment.now, moment.request(request), effects);
    });
    let response = match decided.await {
        Ok(ControllerResponse::AlterPartition(response)) => response,
        Ok(other) => unreachable!("{other:?} is no answer to AlterPartition"),
        Err(NotController) => {
            let code = ResponseError::NotController.code();
            AlterPartitionResponse::default().with_error_code(code)
        }
    };
    call.answer(&response)
}
