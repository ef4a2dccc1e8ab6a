//! What administrators ask: which groups there are, what they are like, and to delete them.

use std::collections::BTreeSet;

use kafka_protocol::messages::{
    GroupId as WireGroupId, OffsetDeleteRequest, OffsetDeleteResponse,
    delete_groups_response::DeletableGroupResult,
    describe_groups_response::{DescribedGroup, DescribedGroupMember},
    list_groups_response::ListedGroup,
    offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
};

use super::{
    Effect, GroupCoordinator, GroupResponse, GroupState, Now, Request,
    effect::{text, wire_id},
    expiry::tombstones,
    group_state::Group,
    member::Member,
    writes::{Answer, Bond, Deferred, Write},
};
use crate::kafka::{
    protocol::ResponseError,
    types::{GroupId, TopicName, TopicPartition},
};

impl GroupCoordinator {
    /// All groups. Which of them were asked for, by state or type, is the shell's to pick.
    pub fn list(&self) -> Vec<ListedGroup> {
        let listed = |group: &Group| {
            ListedGroup::default()
                .with_group_id(text(group.id.as_str()).into())
                .with_protocol_type(group.protocol_type.clone().unwrap_or_default())
                .with_group_state(text(&group.state.to_string()))
                .with_group_type(text("classic"))
        };
        self.groups.values().map(listed).collect()
    }

    /// A group that is not known counts as dead.
    pub fn describe(&self, group: &str) -> DescribedGroup {
        let described = DescribedGroup::default().with_group_id(text(group).into());
        let Some(group) = self.groups.get(group) else {
            return described.with_group_state(text("Dead"));
        };
        // Only a stable group has a protocol that its members agreed on.
        let protocol = group.protocol.as_ref().filter(|_| group.state == GroupState::Stable);
        let member = |member: &Member| {
            DescribedGroupMember::default()
                .with_member_id(wire_id(Some(&member.id)))
                .with_group_instance_id(member.instance_id.clone())
                .with_client_id(text(&member.client_id))
                .with_client_host(member.client_host.clone())
                .with_member_metadata(
                    protocol.map(|name| member.metadata(name)).unwrap_or_default(),
                )
                .with_member_assignment(member.assignment.clone())
        };
        described
            .with_group_state(text(&group.state.to_string()))
            .with_protocol_type(group.protocol_type.clone().unwrap_or_default())
            .with_protocol_data(protocol.cloned().unwrap_or_default())
            .with_members(group.members.values().map(member).collect())
    }

    /// Deletes those of the groups that are empty, with their offsets.
    pub fn handle_delete_groups(
        &mut self,
        now: Now,
        request: Request<Vec<WireGroupId>>,
        effects: &mut Vec<Effect>,
    ) {
        let mut results = Vec::with_capacity(request.body.len());
        let (mut groups, mut offsets) = (Vec::new(), Vec::new());
        for name in request.body {
            let error = match self.groups.get(name.as_str()) {
                None => Some(ResponseError::GroupIdNotFound),
                Some(group) if group.state != GroupState::Empty => {
                    Some(ResponseError::NonEmptyGroup)
                }
                Some(group) => {
                    let id = group.id.clone();
                    // Offsets whose commits are under way are in the log before the tombstones.
                    let mut partitions: BTreeSet<TopicPartition> =
                        self.offsets.partitions(id.as_str()).into_iter().collect();
                    partitions.extend(self.writes.committing(id.as_str()).cloned());
                    offsets.extend(partitions.into_iter().map(|partition| (id.clone(), partition)));
                    groups.push(id);
                    None
                }
            };
            let code = error.map_or(0, |error| error.code());
            results.push(DeletableGroupResult::default().with_group_id(name).with_error_code(code));
        }
        let answer = Answer::Ready(GroupResponse::DeleteGroups(results));
        self.remove_and_answer(now, request.token, (groups, offsets), answer, effects);
    }

    /// Deletes offsets of topics that the group's members are not subscribed to.
    pub fn handle_offset_delete(
        &mut self,
        now: Now,
        request: Request<OffsetDeleteRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let name = request.body.group_id.as_str();
        let refused = match self.groups.get(name) {
            None => Some(ResponseError::GroupIdNotFound),
            Some(group) if group.state == GroupState::Empty || group.is_consumer_group() => None,
            Some(_) => Some(ResponseError::NonEmptyGroup),
        };
        if let Some(error) = refused {
            let response = OffsetDeleteResponse::default().with_error_code(error.code());
            let response = GroupResponse::OffsetDelete(response);
            return effects.push(Effect::Reply { request: request.token, response });
        }
        let group = &self.groups[name];
        let mut offsets = Vec::new();
        let mut topics = Vec::with_capacity(request.body.topics.len());
        for topic in &request.body.topics {
            let subscribed = group.is_subscribed_to(&topic.name);
            let code = if subscribed { ResponseError::GroupSubscribedToTopic.code() } else { 0 };
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let number = partition.partition_index;
                if !subscribed && self.offsets.get(name, &topic.name, number).is_some() {
                    let topic = TopicName::from(topic.name.as_str());
                    offsets.push((group.id.clone(), TopicPartition::new(topic, number)));
                }
                let answered = OffsetDeleteResponsePartition::default();
                partitions.push(answered.with_partition_index(number).with_error_code(code));
            }
            let answered = OffsetDeleteResponseTopic::default().with_name(topic.name.clone());
            topics.push(answered.with_partitions(partitions));
        }
        let response = OffsetDeleteResponse::default().with_topics(topics);
        let answer = Answer::Ready(GroupResponse::OffsetDelete(response));
        self.remove_and_answer(now, request.token, (Vec::new(), offsets), answer, effects);
    }

    fn remove_and_answer(
        &mut self,
        now: Now,
        request: super::RequestToken,
        (groups, offsets): (Vec<GroupId>, Vec<(GroupId, TopicPartition)>),
        answer: Answer,
        effects: &mut Vec<Effect>,
    ) {
        if groups.is_empty() && offsets.is_empty() {
            let deferred = Deferred { request, answer, bond: Bond::Order };
            return self.answer_in_order(deferred, effects);
        }
        let records = tombstones(&groups, &offsets);
        let promise = Deferred { request, answer, bond: Bond::Promise };
        self.append(now, Write::Tombstones { groups, offsets }, records, Some(promise), effects);
    }
}
