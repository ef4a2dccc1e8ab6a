//! Heartbeat, 0 to 4: a member's sign of life.

use std::sync::Arc;

use kafka_protocol::{
    messages::{HeartbeatRequest, HeartbeatResponse},
    protocol::VersionRange,
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    coordinator::group::{GroupResponse, Request},
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let body: HeartbeatRequest = call.request()?;
    let (group, caller) = (body.group_id.clone(), call.caller());
    let answer = broker.groups.ask(broker, &group, |coordinator, now, token, effects| {
        let request = Request { token, caller, body };
        coordinator.handle_heartbeat(now, request, effects);
    });
    let response = match answer.await {
        Some(GroupResponse::Heartbeat(response)) => response,
        _ => HeartbeatResponse::default().with_error_code(ResponseError::NotCoordinator.code()),
    };
    call.answer(&response)
}
