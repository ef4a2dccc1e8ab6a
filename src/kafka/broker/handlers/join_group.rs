//! JoinGroup, 0 to 9: a member asks into a group and waits until the group is complete.

use std::sync::Arc;

use kafka_protocol::{
    messages::{JoinGroupRequest, JoinGroupResponse},
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 9 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let body: JoinGroupRequest = call.request_to_keep()?;
    let (group, caller) = (body.group_id.clone(), call.caller());
    let new_member = broker.groups.draw_member_id();
    let answer = broker.groups.ask(broker, &group, |coordinator, now, token, effects| {
        let request = Request { token, caller, body };
        coordinator.handle_join_group(now, request, new_member, effects);
    });
    let response = match answer.await {
        Some(GroupResponse::Join(response)) => response,
        _ => JoinGroupResponse::default().with_error_code(ResponseError::NotCoordinator.code()),
    };
    call.answer(&response)
}
