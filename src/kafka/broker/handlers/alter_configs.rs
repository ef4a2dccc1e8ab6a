//! AlterConfigs, 0 to 2: all settings of a topic at once. Which setting is not named goes back to its default.

use std::sync::Arc;

use kafka_protocol::{
    messages::{AlterConfigsRequest, alter_configs_response::AlterConfigsResourceResponse},
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{put_back, take_fixed};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::{Controller, replacement},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut request: AlterConfigsRequest = call.request_to_keep()?;
    let fixed = take_fixed(&mut request.resources, |asked| asked.resource_type, replacement);
    let answer = broker.quorum.ask_controller(request, Controller::handle_alter_configs).await;
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
