//! IncrementalAlterConfigs, 0 to 1: single settings of topics are set, unset, lengthened or shortened.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        IncrementalAlterConfigsRequest,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{put_back, take_fixed};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::{Controller, adjustments},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut request: IncrementalAlterConfigsRequest = call.request_to_keep()?;
    let fixed = take_fixed(&mut request.resources, |asked| asked.resource_type, adjustments);
    let answer =
        broker.quorum.ask_controller(request, Controller::handle_incremental_alter_configs).await;
    let mut response = answer?;
    put_back(&mut response.responses, fixed, |asked, (code, message)| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name)
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(message)))
    });
    call.answer(&response)
}
