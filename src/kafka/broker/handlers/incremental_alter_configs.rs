//! IncrementalAlterConfigs, 0 to 1: single settings of topics are set, unset, lengthened or shortened.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::AlterConfigsResource,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{Resource, alter, is_repeated, repeated};
use crate::kafka::{
    broker::{
        controller::Commitment,
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::adjustments,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: IncrementalAlterConfigsRequest = call.request()?;
    let commitment =
        if request.validate_only { Commitment::ValidateOnly } else { Commitment::Commit };
    let named =
        |asked: &AlterConfigsResource| Resource::new(asked.resource_type, &asked.resource_name);
    let resources: Vec<_> = request.resources.iter().map(named).collect();
    let mut response = IncrementalAlterConfigsResponse::default();
    for (asked, resource) in request.resources.iter().zip(&resources) {
        let altered = match adjustments(asked) {
            _ if is_repeated(resource, &resources) => Err(repeated()),
            Err(refusal) => Err(refusal),
            Ok(change) => alter(broker, resource, &change, commitment).await,
        };
        let answered = AlterConfigsResourceResponse::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        response.responses.push(match altered {
            Ok(()) => answered.with_error_message(None),
            Err((code, message)) => answered
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(message))),
        });
    }
    call.answer(&response)
}
