//! DeleteGroups, 0 to 2: empty groups go, with the offsets they committed.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, GroupId as WireGroupId,
        delete_groups_response::DeletableGroupResult,
    },
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

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DeleteGroupsRequest = call.request()?;
    // One coordinator answers for all of its groups at once; who names a group twice is answered once.
    let mut by_coordinator: BTreeMap<Option<i32>, Vec<WireGroupId>> = BTreeMap::new();
    for group in request.groups_names {
        let groups = by_coordinator.entry(broker.groups.index_of(broker, &group)).or_default();
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let mut response = DeleteGroupsResponse::default();
    for groups in by_coordinator.into_values() {
        response.results.extend(delete(broker, call, groups).await);
    }
    call.answer(&response)
}

/// Groups of one coordinator.
async fn delete(
    broker: &Arc<Broker>,
    call: &Call<'_>,
    groups: Vec<WireGroupId>,
) -> Vec<DeletableGroupResult> {
    let (caller, body) = (call.caller(), groups.clone());
    let answer = broker.groups.ask(broker, &groups[0], |coordinator, now, token, effects| {
        let request = Request { token, caller, body };
        coordinator.handle_delete_groups(now, request, effects);
    });
    let Some(GroupResponse::DeleteGroups(results)) = answer.await else {
        let refuse = |group| {
            DeletableGroupResult::default()
                .with_group_id(group)
                .with_error_code(ResponseError::NotCoordinator.code())
        };
        return groups.into_iter().map(refuse).collect();
    };
    results
}
