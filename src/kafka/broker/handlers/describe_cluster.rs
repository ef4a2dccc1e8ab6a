//! DescribeCluster, 0 to 2: the brokers, and which of them is the controller.
//!
//! Departure: the controller told is the controller, where a KRaft broker tells any broker, as each of them
//! passes on what is the controller's to decide.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, DescribeClusterRequest, DescribeClusterResponse,
        describe_cluster_response::DescribeClusterBroker,
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        operations,
        state::Broker,
    },
    metadata::BrokerRegistration,
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

/// `EndpointType`: what kind of listener the client believes that it asks.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
/// From here on a wrong kind has error codes of its own.
const ENDPOINT_TYPE_SINCE: i16 = 1;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeClusterRequest = call.request()?;
    let wanted = request.endpoint_type;
    if wanted != BROKERS {
        let (code, message) = if wanted == CONTROLLERS {
            let message = "The request was sent to a broker, but a controller was wanted.";
            (ResponseError::MismatchedEndpointType, message.to_owned())
        } else {
            let message = format!("Unsupported endpoint type {wanted}");
            (ResponseError::UnsupportedEndpointType, message)
        };
        let old = call.version() < ENDPOINT_TYPE_SINCE;
        let code = if old { ResponseError::InvalidRequest } else { code };
        return call.answer(
            &DescribeClusterResponse::default()
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(message)))
                .with_controller_id(WireBrokerId(-1)),
        );
    }
    let image = broker.metadata.image();
    let brokers = image.brokers().filter(|it| request.include_fenced_brokers || !it.fenced);
    let asked = request.include_cluster_authorized_operations;
    let allowed = if asked { operations::ON_CLUSTER } else { operations::NOT_ASKED };
    call.answer(
        &DescribeClusterResponse::default()
            .with_endpoint_type(BROKERS)
            .with_cluster_id(StrBytes::from_string(broker.config.cluster_id.clone()))
            .with_controller_id(WireBrokerId(broker.quorum.leader().map_or(-1, |leader| leader.0)))
            .with_brokers(brokers.map(|it| describe(it)).collect())
            .with_cluster_authorized_operations(allowed),
    )
}

fn describe(broker: &BrokerRegistration) -> DescribeClusterBroker {
    // Brokers have one listener.
    let (host, port) = broker.endpoints.first().map_or(("", 0), |it| (it.host.as_str(), it.port));
    DescribeClusterBroker::default()
        .with_broker_id(WireBrokerId(broker.id.0))
        .with_host(StrBytes::from_string(host.to_owned()))
        .with_port(i32::from(port))
        .with_rack(broker.rack.clone().map(StrBytes::from_string))
        .with_is_fenced(broker.fenced)
}
