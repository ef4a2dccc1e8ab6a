//! DescribeCluster, 0 to 2: the brokers, and which of them is the controller; of a node that is a controller alone, the
//! controllers (KIP-919).
//!
//! Departures: a controller tells of all voters, where Kafka's knows those that have registered. The controller that a
//! broker tells is the controller, if that is a broker too, where a KRaft broker tells any broker, as each of them passes
//! on what is the controller's to decide.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, DescribeClusterRequest, DescribeClusterResponse,
        describe_cluster_response::DescribeClusterBroker,
    },
    protocol::{StrBytes, VersionRange},
};

use super::metadata::controller_for_clients;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        node::BrokerEndpoint,
        operations,
        state::Broker,
    },
    metadata::BrokerRegistration,
    protocol::ResponseError,
    types::BrokerId,
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
    let own = if broker.config.is_broker() { BROKERS } else { CONTROLLERS };
    if wanted != own {
        let (code, message) = if [BROKERS, CONTROLLERS].contains(&wanted) {
            let (own, wanted) =
                if own == BROKERS { ("broker", "controller") } else { ("controller", "broker") };
            let message = format!("The request was sent to a {own}, but a {wanted} was wanted.");
            (ResponseError::MismatchedEndpointType, message)
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
    let (controller, nodes) = if own == BROKERS {
        (controller_for_clients(broker), brokers.map(|it| describe(it)).collect())
    } else {
        let voters = broker.config.voters.iter();
        let endpoints = voters.filter_map(|id| broker.config.endpoint(*id));
        let leader = broker.quorum.leader().unwrap_or(BrokerId::NONE);
        (leader, endpoints.map(describe_controller).collect())
    };
    let asked = request.include_cluster_authorized_operations;
    let allowed = if asked { operations::ON_CLUSTER } else { operations::NOT_ASKED };
    call.answer(
        &DescribeClusterResponse::default()
            .with_endpoint_type(own)
            .with_cluster_id(StrBytes::from_string(broker.config.cluster_id.clone()))
            .with_controller_id(WireBrokerId(controller.0))
            .with_brokers(nodes)
            .with_cluster_authorized_operations(allowed),
    )
}

fn describe_controller(endpoint: &BrokerEndpoint) -> DescribeClusterBroker {
    let advertised = &endpoint.advertised;
    DescribeClusterBroker::default()
        .with_broker_id(WireBrokerId(endpoint.id.0))
        .with_host(StrBytes::from_string(advertised.host.clone()))
        .with_port(i32::from(advertised.port))
        .with_rack(None)
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
