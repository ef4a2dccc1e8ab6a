//! IncrementalAlterConfigs, 0 to 1: single settings of topics are set, unset, lengthened or shortened.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        IncrementalAlterConfigsRequest,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{is_fixed, put_back};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::{ControllerResponse, adjustments},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let mut request: IncrementalAlterConfigsRequest = call.request_to_keep()?;
    let mut fixed = Vec::new();
    let mut left = Vec::new();
    for (index, asked) in request.resources.drain(..).enumerate() {
        match is_fixed(asked.resource_type, || adjustments(&asked)) {
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
        controller.handle_incremental_alter_configs(moment.now, moment.request(request), effects);
    });
    match decided.await? {
        ControllerResponse::IncrementalAlterConfigs(mut response) => {
            put_back(&mut response.responses, fixed);
            call.answer(&response)
        }
        other => unreachable!("{other:?} is no answer to IncrementalAlterConfigs"),
    }
}
