//! DescribeGroups, 0 to 6: state, protocol and members of groups that this broker coordinates.
//!
//! A group that is not known is dead, and from version 6 on also an error.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        DescribeGroupsRequest, DescribeGroupsResponse, GroupId as WireGroupId,
        describe_groups_response::DescribedGroup,
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        operations,
        state::Broker,
    },
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };
/// From here on an unknown group is an error.
const UNKNOWN_SINCE: i16 = 6;
/// What the coordinator says of a group it does not know.
const DEAD: &str = "Dead";

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeGroupsRequest = call.request()?;
    let describe = |group: &WireGroupId| {
        let mut described = describe(broker, call.version(), group);
        if request.include_authorized_operations && described.error_code == 0 {
            described.authorized_operations = operations::ON_GROUP;
        }
        described
    };
    let groups = request.groups.iter().map(describe).collect();
    call.answer(&DescribeGroupsResponse::default().with_groups(groups))
}

fn describe(broker: &Broker, version: i16, group: &WireGroupId) -> DescribedGroup {
    let Some(described) = broker.groups.describe(broker, group) else {
        return DescribedGroup::default()
            .with_group_id(group.clone())
            .with_error_code(ResponseError::NotCoordinator.code());
    };
    if described.group_state.as_str() == DEAD && version >= UNKNOWN_SINCE {
        let message = format!("Group {} not found.", group.as_str());
        return described
            .with_error_code(ResponseError::GroupIdNotFound.code())
            .with_error_message(Some(StrBytes::from_string(message)));
    }
    described
}
