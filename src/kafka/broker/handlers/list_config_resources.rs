//! ListConfigResources, 0 to 1: the names of what has settings.
//!
//! Version 0 was ListClientMetricsResources, and asks for nothing else. There are no settings of client
//! metrics and of groups here, so none are listed. Departure: neither are the brokers' loggers, whose
//! levels cannot be asked for or changed.

use std::{collections::BTreeSet, sync::Arc};

use kafka_protocol::{
    messages::{
        ListConfigResourcesRequest, ListConfigResourcesResponse,
        list_config_resources_response::ConfigResource,
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };
/// From here on a request says which kinds it wants.
const KINDS_SINCE: i16 = 1;

/// `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const KINDS: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ListConfigResourcesRequest = call.request()?;
    let mut response = ListConfigResourcesResponse::default();
    let wanted: BTreeSet<i8> = match &request.resource_types[..] {
        _ if call.version() < KINDS_SINCE => [CLIENT_METRICS].into(),
        [] => KINDS.into(),
        kinds => kinds.iter().copied().collect(),
    };
    if !wanted.iter().all(|kind| KINDS.contains(kind)) {
        response.error_code = ResponseError::UnsupportedVersion.code();
        return call.answer(&response);
    }
    let image = broker.metadata.image();
    let topics = image.topics().map(|topic| (TOPIC, topic.name.to_string()));
    let brokers = image.brokers().map(|broker| (BROKER, broker.id.to_string()));
    let listed = topics.chain(brokers).filter(|(kind, _)| wanted.contains(kind));
    response.config_resources = listed.map(|(kind, name)| describe(kind, name)).collect();
    call.answer(&response)
}

fn describe(kind: i8, name: String) -> ConfigResource {
    ConfigResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_string(name))
}
