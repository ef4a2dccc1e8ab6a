//! A group coordinator's events as history events, with members under their clients' names.

use std::sync::Arc;

use crate::{
    kafka::{
        coordinator::group::{GroupEvent, Participant},
        types::{GroupId, TopicPartition},
    },
    testbed::history::{EventKind, OffsetReach},
};

/// `None` for what the history does not tell.
pub(super) fn kind_of(event: GroupEvent) -> Option<EventKind> {
    Some(match event {
        GroupEvent::MemberJoined { group, who } => {
            EventKind::MemberJoined { group: group.0, member: who.member.0, client: who.client }
        }
        GroupEvent::MemberLeft { group, who, reason } => EventKind::MemberLeft {
            group: group.0,
            member: who.member.0,
            client: who.client,
            reason: reason.to_string().into(),
        },
        GroupEvent::MemberReplaced { group, who, .. } => {
            EventKind::MemberJoined { group: group.0, member: who.member.0, client: who.client }
        }
        GroupEvent::RebalanceStarted { group, reason, .. } => {
            EventKind::RebalanceStarted { group: group.0, reason: reason.into() }
        }
        // A generation with members is told of when its assignment is decided.
        GroupEvent::GenerationStarted { group, generation, members, .. } if members.is_empty() => {
            generation_of(group, generation.0, Vec::new(), Vec::new())
        }
        GroupEvent::GenerationStarted { .. } | GroupEvent::OffsetsRemoved { .. } => return None,
        GroupEvent::AssignmentSet { group, generation, members, owners } => {
            generation_of(group, generation.0, members, owners)
        }
        GroupEvent::Loaded { group, generation, members } => EventKind::GroupLoaded {
            group: group.0,
            generation: generation.0,
            members: members.into_iter().map(|member| member.client).collect(),
        },
        GroupEvent::OffsetsCommitted { group, who, offsets, .. } => {
            let reach = |(partition, offset)| OffsetReach { partition, offset };
            EventKind::OffsetsCommitted {
                group: group.0,
                client: who.client,
                offsets: offsets.into_iter().map(reach).collect(),
            }
        }
        GroupEvent::CommitRejected { group, who, error, .. } => EventKind::CommitRejected {
            group: group.0,
            client: who.client,
            error: error.to_string().into(),
        },
    })
}

fn generation_of(
    group: GroupId,
    generation: i32,
    members: Vec<Participant>,
    owners: Vec<(TopicPartition, Participant)>,
) -> EventKind {
    let clients: Vec<Arc<str>> = members.into_iter().map(|member| member.client).collect();
    let owners = owners.into_iter().map(|(partition, owner)| (partition, owner.client)).collect();
    EventKind::Generation { group: group.0, generation, members: clients, owners }
}
