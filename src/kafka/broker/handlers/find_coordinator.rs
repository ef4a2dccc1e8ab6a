//! FindCoordinator, 0 to 6: which broker coordinates a group.
//!
//! The leader of the group's partition of `__consumer_offsets`. The first question makes that topic; until
//! it is there the answer is COORDINATOR_NOT_AVAILABLE. Coordinators of transactions are not served.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        BrokerId as WireBrokerId, FindCoordinatorRequest, FindCoordinatorResponse,
        find_coordinator_response::Coordinator,
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };
/// From here on a request asks for many at once.
const BATCHED_SINCE: i16 = 4;
/// The only kind of key that is served.
const GROUP: i8 = 0;

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: FindCoordinatorRequest = call.request()?;
    let find = |key: StrBytes| find(broker, request.key_type, key);
    let mut response = FindCoordinatorResponse::default();
    if call.version() >= BATCHED_SINCE {
        response.coordinators = request.coordinator_keys.iter().cloned().map(find).collect();
    } else {
        let found = find(request.key.clone());
        response.error_code = found.error_code;
        response.error_message = found.error_message;
        response.node_id = found.node_id;
        response.host = found.host;
        response.port = found.port;
    }
    call.answer(&response)
}

fn find(broker: &Broker, key_type: i8, key: StrBytes) -> Coordinator {
    let failure = |code: ResponseError, message: &'static str| {
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id(WireBrokerId(-1))
            .with_port(-1)
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
    };
    if key_type != GROUP {
        return failure(ResponseError::InvalidRequest, "only coordinators of groups are served");
    }
    let Some(leader) = broker.groups.coordinator_of(broker, &key) else {
        broker.groups.order_offsets_topic(broker);
        return failure(
            ResponseError::CoordinatorNotAvailable,
            "the offsets topic is not there yet",
        );
    };
    let Some(endpoint) = broker.endpoint(leader) else {
        return failure(ResponseError::CoordinatorNotAvailable, "the coordinator is not known");
    };
    Coordinator::default()
        .with_key(key)
        .with_node_id(WireBrokerId(leader.0))
        .with_host(StrBytes::from_string(endpoint.advertised.host.clone()))
        .with_port(i32::from(endpoint.advertised.port))
        .with_error_message(None)
}
