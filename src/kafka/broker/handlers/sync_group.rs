//! SyncGroup, 0 to 5: the leader brings the assignment, everybody waits for their share.

use std::sync::Arc;

use kafka_protocol::{
    messages::{SyncGroupRequest, SyncGroupResponse},
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let body: SyncGroupRequest = call.request_to_keep()?;
    let (group, caller) = (body.group_id.clone(), call.caller());
    let answer = broker.groups.ask(broker, &group, |coordinator, now, token, effects| {
        let request = Request { token, caller, body };
        coordinator.handle_sync_group(now, request, effects);
    });
    let response = match answer.await {
        Some(GroupResponse::Sync(response)) => response,
        _ => SyncGroupResponse::default().with_error_code(ResponseError::NotCoordinator.code()),
    };
    call.answer(&response)
}
