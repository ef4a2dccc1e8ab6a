//! What a coordinator does, in words. Member ids are shown as `client~n`, `n` being the random part.

use bytes::Bytes;
use kafka_protocol::messages::JoinGroupResponse;
use kafka_protocol::{messages::describe_groups_response::DescribedGroup, protocol::StrBytes};

use super::super::{GroupEvent, GroupResponse, Participant, subscription::assigned_partitions};
use crate::kafka::{
    coordinator::records::{GroupRecord, Record},
    protocol::ResponseError,
    types::TopicPartition,
};

pub struct Names;

impl Names {
    fn short(&self, id: &str) -> String {
        match id.len().checked_sub(36).and_then(|at| id.get(at..).zip(id.get(..at))) {
            Some((random, client)) if client.ends_with('-') => {
                let number = u128::from_str_radix(&random.replace('-', ""), 16).unwrap();
                format!("{}~{number}", client.trim_end_matches('-'))
            }
            _ => id.to_owned(),
        }
    }

    pub fn long(&self, id: &str) -> StrBytes {
        let id = match id.split_once('~') {
            Some((client, number)) => {
                format!("{client}-{}", uuid::Uuid::from_u128(number.parse().unwrap()))
            }
            None => id.to_owned(),
        };
        StrBytes::from_string(id)
    }

    fn join(&self, join: &JoinGroupResponse) -> String {
        let member = self.short(&join.member_id);
        if join.error_code != 0 {
            return format!("join {} {member}", error_name(join.error_code)).trim_end().to_owned();
        }
        let members: Vec<_> = join.members.iter().map(|m| self.short(&m.member_id)).collect();
        format!(
            "join {member} generation {} {} leader {} [{}]{}",
            join.generation_id,
            join.protocol_name.as_deref().unwrap_or("null"),
            self.short(&join.leader),
            members.join(" "),
            if join.skip_assignment { " skip" } else { "" },
        )
    }

    pub fn response(&self, response: &GroupResponse) -> String {
        match response {
            GroupResponse::Join(join) => self.join(join),
            GroupResponse::Sync(sync) if sync.error_code != 0 => {
                format!("sync {}", error_name(sync.error_code))
            }
            GroupResponse::Sync(sync) => format!("sync {}", partitions(&sync.assignment)),
            GroupResponse::Heartbeat(beat) => format!("beat {}", error_name(beat.error_code)),
            GroupResponse::Leave(leave) => {
                let member =
                    |m: &kafka_protocol::messages::leave_group_response::MemberResponse| {
                        format!(" [{} {}]", self.short(&m.member_id), error_name(m.error_code))
                    };
                let members: String = leave.members.iter().map(member).collect();
                format!("leave {}{members}", error_name(leave.error_code))
            }
            GroupResponse::OffsetCommit(commit) => {
                let mut shown = String::from("commit");
                for topic in &commit.topics {
                    for partition in &topic.partitions {
                        let (name, number) = (&topic.name.0, partition.partition_index);
                        shown += &format!(" {name}-{number} {}", error_name(partition.error_code));
                    }
                }
                shown
            }
            GroupResponse::OffsetFetch(group) => {
                let mut shown = String::from("offsets");
                if group.error_code != 0 {
                    shown += &format!(" {}", error_name(group.error_code));
                }
                for topic in &group.topics {
                    for partition in &topic.partitions {
                        let (name, number) = (&topic.name.0, partition.partition_index);
                        shown += &format!(" {name}-{number}@{}", partition.committed_offset);
                    }
                }
                shown
            }
            GroupResponse::DeleteGroups(results) => {
                let each = results.iter().map(|result| {
                    format!(" {} {}", result.group_id.0, error_name(result.error_code))
                });
                format!("deleted{}", each.collect::<String>())
            }
            GroupResponse::OffsetDelete(response) => {
                let mut shown = format!("offsets deleted {}", error_name(response.error_code));
                for topic in &response.topics {
                    for partition in &topic.partitions {
                        let (name, number) = (&topic.name.0, partition.partition_index);
                        shown += &format!(" {name}-{number} {}", error_name(partition.error_code));
                    }
                }
                shown
            }
        }
    }

    pub fn record(&self, record: &Record) -> String {
        match GroupRecord::decode(record.key.clone(), record.value.clone()).unwrap() {
            GroupRecord::Offset { group, partition, value: Some(value) } => {
                format!("{group} {partition}@{}", value.offset)
            }
            GroupRecord::Offset { group, partition, value: None } => {
                format!("{group} {partition} removed")
            }
            GroupRecord::Group { group, value: Some(value) } => {
                let members = value.members.iter().map(|member| {
                    let id = self.short(member.member.as_str());
                    format!(" {id}:{}", partitions(&member.assignment))
                });
                format!("{group} generation {}{}", value.generation, members.collect::<String>())
            }
            GroupRecord::Group { group, value: None } => format!("{group} removed"),
            GroupRecord::Other { key_version } => format!("record of kind {key_version}"),
        }
    }

    pub fn event(&self, event: &GroupEvent) -> String {
        let who = |who: &Participant| self.short(who.member.as_str());
        match event {
            GroupEvent::MemberJoined { who: member, .. } => format!("{} joined", who(member)),
            GroupEvent::MemberLeft { who: member, reason, .. } => {
                format!("{} left: {reason}", who(member))
            }
            GroupEvent::MemberReplaced { old, who: member, .. } => {
                format!("{} replaced {}", who(member), self.short(old.as_str()))
            }
            GroupEvent::RebalanceStarted { generation, reason, .. } => {
                let words = reason.split(' ').map(|word| {
                    let bare = word.trim_end_matches(',');
                    word.replace(bare, &self.short(bare))
                });
                format!("rebalance of {generation}: {}", words.collect::<Vec<_>>().join(" "))
            }
            GroupEvent::GenerationStarted { generation, members, .. } => {
                let members: Vec<String> = members.iter().map(who).collect();
                format!("generation {generation} [{}]", members.join(" "))
            }
            GroupEvent::AssignmentSet { generation, owners, .. } => {
                let owners =
                    owners.iter().map(|(partition, owner)| format!(" {partition}:{}", who(owner)));
                format!("assignment {generation}{}", owners.collect::<String>())
            }
            GroupEvent::Loaded { generation, members, .. } => {
                let members: Vec<String> = members.iter().map(who).collect();
                format!("loaded in generation {generation} [{}]", members.join(" "))
            }
            GroupEvent::OffsetsCommitted { who: member, offsets, .. } => {
                let offsets = offsets.iter().map(|(p, offset)| format!(" {p}@{offset}"));
                format!("committed by {}{}", member.client, offsets.collect::<String>())
            }
            GroupEvent::CommitRejected { who: member, error, .. } => {
                format!("commit by {} rejected: {}", member.client, error_name(error.code()))
            }
            GroupEvent::OffsetsRemoved { partitions, .. } => {
                format!("offsets removed {}", list(partitions))
            }
        }
    }

    pub fn described(&self, group: &DescribedGroup) -> String {
        let members: Vec<String> = group.members.iter().map(|m| self.short(&m.member_id)).collect();
        format!("{} {} [{}]", group.group_state, group.protocol_data, members.join(" "))
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn partitions(assignment: &Bytes) -> String {
    if assignment.is_empty() { "nothing".into() } else { list(&assigned_partitions(assignment)) }
}

/// Kafka's name, as in `UNKNOWN_MEMBER_ID`.
pub fn error_name(code: i16) -> String {
    let Some(error) = ResponseError::try_from_code(code) else { return "ok".into() };
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}
