//! IncrementalAlterConfigs, 0 to 1: single settings of topics are set, unset, lengthened or shortened.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{Resource, alter, duplicates, is_repeated, repeated};
use crate::kafka::{
    broker::{
        controller::{Commitment, Refusal},
        controller_configs::{Adjustment, ConfigChange},
        dispatch::{Answer, Call},
        state::Broker,
    },
    protocol::ResponseError,
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
        let altered = match change(asked) {
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

fn change(asked: &AlterConfigsResource) -> Result<ConfigChange, Refusal> {
    duplicates(asked.configs.iter().map(|config| &config.name))?;
    let adjustments =
        asked.configs.iter().map(|config| Ok((config.name.to_string(), adjustment(config)?)));
    Ok(ConfigChange::Adjust(adjustments.collect::<Result<BTreeMap<_, _>, _>>()?))
}

/// Operations by the numbers of `AlterConfigOp.OpType`.
fn adjustment(config: &AlterableConfig) -> Result<Adjustment, Refusal> {
    let value = || match &config.value {
        Some(value) => Ok(value.to_string()),
        None => {
            let message = format!("Null value not supported for : {}", config.name);
            Err((ResponseError::InvalidRequest, message))
        }
    };
    match config.config_operation {
        0 => Ok(Adjustment::Set(value()?)),
        1 => Ok(Adjustment::Delete),
        2 => Ok(Adjustment::Append(value()?)),
        3 => Ok(Adjustment::Subtract(value()?)),
        other => Err((ResponseError::InvalidRequest, format!("Unknown operations type {other}"))),
    }
}
