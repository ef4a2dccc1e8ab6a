//! OffsetCommit: who may commit, and what is written.

use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse,
    offset_commit_request::OffsetCommitRequestPartition,
    offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
};

use super::{
    Effect, GroupCoordinator, GroupEvent, GroupResponse, GroupState, Now, Participant, Request,
    effect::text,
    join::fits_record,
    turn::Due,
    writes::{Answer, Bond, Commit, Deferred, Write},
};
use crate::kafka::{
    coordinator::records::{OffsetValue, Record},
    protocol::ResponseError,
    types::{
        GenerationId, GroupId, LeaderEpoch, MemberId, Offset, Timestamp, TopicName, TopicPartition,
    },
};

/// From this version on a commit of a member of no known group is told so.
const KNOWS_GROUP_ID_NOT_FOUND: i16 = 9;
/// `OffsetCommitRequest.DEFAULT_RETENTION_TIME`: the broker's own retention.
const DEFAULT_RETENTION: i64 = -1;

impl GroupCoordinator {
    /// That the topics and partitions exist is the shell's to check.
    pub fn handle_offset_commit(
        &mut self,
        now: Now,
        request: Request<OffsetCommitRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let token = request.token;
        if let Err(error) = self.validate_commit(&request) {
            effects.push(Effect::Observe(GroupEvent::CommitRejected {
                group: GroupId::from(request.body.group_id.as_str()),
                generation: generation(&request.body),
                who: self.committer(&request),
                error,
            }));
            let response = GroupResponse::OffsetCommit(all(&request.body)).failed(error);
            return effects.push(Effect::Reply { request: token, response });
        }
        if let Some(mut turn) = self.turn(&request.body.group_id, now, effects) {
            turn.renew_session(&request.body.member_id);
        }
        let (response, offsets) = self.plan_commit(now, &request.body);
        let answer = Answer::Ready(GroupResponse::OffsetCommit(response));
        if offsets.is_empty() {
            return self
                .answer_in_order(Deferred { request: token, answer, bond: Bond::Order }, effects);
        }
        let group = GroupId::from(request.body.group_id.as_str());
        let record = |(partition, value): &(_, _)| Record::offset(&group, partition, Some(value));
        let records = offsets.iter().map(record).collect();
        let (who, generation) = (self.committer(&request), generation(&request.body));
        let commit = Commit { group, generation, who, offsets };
        let promise = Deferred { request: token, answer, bond: Bond::Promise };
        self.append(now, Write::Commit(commit), records, Some(promise), effects);
    }

    /// `ClassicGroup.validateOffsetCommit`. A generation below zero is a commit from outside of the group's
    /// protocol, as of a consumer that assigns its partitions itself: it counts while the group is empty.
    fn validate_commit(&self, request: &Request<OffsetCommitRequest>) -> Result<(), ResponseError> {
        let body = &request.body;
        let generation = body.generation_id_or_member_epoch;
        if !fits_record(&body.group_id) || !body.topics.iter().all(|topic| fits_record(&topic.name))
        {
            return Err(ResponseError::InvalidRequest);
        }
        let Some(group) = self.groups.get(body.group_id.as_str()) else {
            return match generation {
                ..0 => Ok(()),
                _ if request.caller.api_version >= KNOWS_GROUP_ID_NOT_FOUND => {
                    Err(ResponseError::GroupIdNotFound)
                }
                _ => Err(ResponseError::IllegalGeneration),
            };
        };
        if generation < 0 && group.state == GroupState::Empty {
            return Ok(());
        }
        let outside =
            generation < 0 && body.member_id.is_empty() && body.group_instance_id.is_none();
        if outside {
            return Err(ResponseError::UnknownMemberId);
        }
        group.validate_member(&body.member_id, body.group_instance_id.as_ref())?;
        if generation != group.generation.0 {
            return Err(ResponseError::IllegalGeneration);
        }
        // The member knows the generation, but not yet its part of it: it is to sync first. While the next
        // generation is prepared, on the other hand, members commit what they are about to lose.
        if group.state == GroupState::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    fn plan_commit(
        &self,
        now: Now,
        request: &OffsetCommitRequest,
    ) -> (OffsetCommitResponse, Vec<(TopicPartition, OffsetValue)>) {
        let mut response = all(request);
        let mut offsets = Vec::new();
        let expires_at = match request.retention_time_ms {
            DEFAULT_RETENTION => None,
            own => Some(Timestamp(now.wall.0.saturating_add(own))),
        };
        for (topic, answered) in request.topics.iter().zip(&mut response.topics) {
            let name = TopicName::from(topic.name.as_str());
            for (partition, answered) in topic.partitions.iter().zip(&mut answered.partitions) {
                if self.is_too_large(partition) {
                    answered.error_code = ResponseError::OffsetMetadataTooLarge.code();
                    continue;
                }
                let id = TopicPartition::new(name.clone(), partition.partition_index);
                let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
                let epoch = partition.committed_leader_epoch;
                let value = OffsetValue {
                    offset: Offset(partition.committed_offset),
                    leader_epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)),
                    // A copy, or an offset would keep the whole request in memory.
                    metadata: text(metadata),
                    committed_at: now.timestamp(),
                    expires_at,
                };
                offsets.push((id, value));
            }
        }
        (response, offsets)
    }

    /// Java counts UTF-16 units, of which no text has more than bytes.
    fn is_too_large(&self, partition: &OffsetCommitRequestPartition) -> bool {
        let Some(metadata) = partition.committed_metadata.as_deref() else { return false };
        let max = self.config.offset_metadata_max_bytes;
        (metadata.len() > max && metadata.encode_utf16().count() > max) || !fits_record(metadata)
    }

    fn committer(&self, request: &Request<OffsetCommitRequest>) -> Participant {
        let group = self.groups.get(request.body.group_id.as_str());
        let member = group.and_then(|group| group.members.get(request.body.member_id.as_str()));
        member.map_or_else(
            || Participant {
                member: MemberId::from(request.body.member_id.as_str()),
                client: request.caller.client_id.as_str().into(),
            },
            |member| member.participant(),
        )
    }

    /// As `Turn::append`, for writes that concern no group or several.
    pub(super) fn append(
        &mut self,
        now: Now,
        write: Write,
        records: Vec<Record>,
        reply: Option<Deferred>,
        effects: &mut Vec<Effect>,
    ) {
        let append = self.writes.begin(write);
        self.deadlines.set(Due::Append(append), now.instant + self.config.commit_timeout);
        let pending = self.writes.get_mut(append).expect("an append just begun is under way");
        pending.replies.extend(reply);
        effects.push(Effect::Append { append, records });
    }

    /// After the appends under way.
    pub(super) fn answer_in_order(&mut self, deferred: Deferred, effects: &mut Vec<Effect>) {
        match self.writes.last_mut() {
            Some(pending) => pending.replies.push(deferred),
            None => {
                let response = self.read(deferred.answer);
                effects.push(Effect::Reply { request: deferred.request, response });
            }
        }
    }
}

fn generation(request: &OffsetCommitRequest) -> Option<GenerationId> {
    let generation = request.generation_id_or_member_epoch;
    (generation >= 0).then_some(GenerationId(generation))
}

/// The answer if all goes well.
fn all(request: &OffsetCommitRequest) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|partition| {
            OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index)
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
