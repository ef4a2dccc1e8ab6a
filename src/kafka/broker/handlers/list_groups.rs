//! ListGroups, 0 to 5: the groups that this broker coordinates, all or those in given states and of given types.

use std::sync::Arc;

use kafka_protocol::{
    messages::{ListGroupsRequest, ListGroupsResponse, list_groups_response::ListedGroup},
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::broker::{
    dispatch::{Answer, Call},
    state::Broker,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: ListGroupsRequest = call.request()?;
    let groups = broker.groups.list().into_iter().filter(|group| is_wanted(&request, group));
    call.answer(&ListGroupsResponse::default().with_groups(groups.collect()))
}

/// Names of states and types are compared as Kafka does, in any case.
fn is_wanted(request: &ListGroupsRequest, group: &ListedGroup) -> bool {
    let among = |wanted: &[StrBytes], is: &str| {
        wanted.is_empty() || wanted.iter().any(|name| name.eq_ignore_ascii_case(is))
    };
    among(&request.states_filter, &group.group_state)
        && among(&request.types_filter, &group.group_type)
}
