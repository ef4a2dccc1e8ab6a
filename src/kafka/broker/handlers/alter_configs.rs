//! AlterConfigs, 0 to 2: all settings of a topic at once. Which setting is not named goes back to its default.

use std::sync::Arc;

use kafka_protocol::{
    messages::{AlterConfigsRequest, alter_configs_response::AlterConfigsResourceResponse},
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{is_fixed, put_back};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::{ControllerResponse, replacement},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut request: AlterConfigsRequest = call.request_to_keep()?;
    let mut fixed = Vec::new();
    let mut left = Vec::new();
    for (index, asked) in request.resources.drain(..).enumerate() {
        match is_fixed(asked.resource_type, || replacement(&asked)) {
            Some((code, message)) => {
                let answer = AlterConfigsResourceResponse::default()
                    .with_resource_type(asked.resource_type)
                    .with_resource_name(asked.resource_name)
                    .with_error_code(code.code())
                    .with_error_message(Some(StrBytes::from_string(message)));
                fixed.push((index, answer));
            }
            None => left.push(asked),
        }
    }
    request.resources = left;
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        controller.handle_alter_configs(moment.now, moment.request(request), effects);
    });
    match decided.await? {
        ControllerResponse::AlterConfigs(mut response) => {
            put_back(&mut response.responses, fixed);
            call.answer(&response)
        }
        other => unreachable!("{other:?} is no answer to AlterConfigs"),
    }
}
