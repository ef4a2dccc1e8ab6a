//! What goes into the coordinator and what comes out of it.

use kafka_protocol::{
    messages::{
        HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, OffsetCommitResponse,
        OffsetDeleteResponse, SyncGroupResponse, delete_groups_response::DeletableGroupResult,
        offset_fetch_response::OffsetFetchResponseGroup,
    },
    protocol::StrBytes,
};

use super::GroupEvent;
use crate::{
    env::{Instant, WallTime},
    kafka::{
        coordinator::records::Record,
        protocol::ResponseError,
        types::{MemberId, Timestamp},
    },
};

/// Names a request until its [`Effect::Reply`]. Drawn by the shell, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestToken(pub u64);

/// Names an append until `handle_append_done`. Drawn by the coordinator, rising.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AppendToken(pub u64);

/// The time of an input: deadlines go by `instant`, timestamps in records by `wall`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    pub instant: Instant,
    pub wall: WallTime,
}

impl Now {
    pub(super) fn timestamp(self) -> Timestamp {
        self.wall.into()
    }
}

/// Who asks, and in which version of the API.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub client_id: StrBytes,
    pub client_host: StrBytes,
    pub api_version: i16,
}

/// One request: exactly one [`Effect::Reply`] with its token follows, at once or later.
#[derive(Clone, Debug)]
pub struct Request<R> {
    pub token: RequestToken,
    pub caller: Caller,
    pub body: R,
}

/// Which offsets a fetch sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetsVisible {
    /// Those committed by now.
    Committed,
    /// `require_stable`: waits for the commits under way and sees them too.
    Stable,
}

/// For the shell to do, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    Reply {
        request: RequestToken,
        response: GroupResponse,
    },
    /// Append as one batch to this coordinator's partition of `__consumer_offsets`, then call
    /// `handle_append_done`, in the order of the appends.
    Append {
        append: AppendToken,
        records: Vec<Record>,
    },
    Observe(GroupEvent),
}

/// Answers as the wire has them, valid in the version that was asked in.
#[derive(Clone, PartialEq, Debug)]
pub enum GroupResponse {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    /// One group of an OffsetFetch; the shell puts those of one request together.
    OffsetFetch(OffsetFetchResponseGroup),
    /// The groups of a DeleteGroups that belong to this partition.
    DeleteGroups(Vec<DeletableGroupResult>),
    OffsetDelete(OffsetDeleteResponse),
}

impl GroupResponse {
    pub(super) fn join_error(member: &str, error: ResponseError) -> Self {
        GroupResponse::Join(
            JoinGroupResponse::default().with_member_id(text(member)).with_error_code(error.code()),
        )
    }

    pub(super) fn sync_error(error: ResponseError) -> Self {
        GroupResponse::Sync(SyncGroupResponse::default().with_error_code(error.code()))
    }

    pub(super) fn heartbeat(error: Option<ResponseError>) -> Self {
        let code = error.map_or(0, |error| error.code());
        GroupResponse::Heartbeat(HeartbeatResponse::default().with_error_code(code))
    }

    /// The same answer after what it promised failed.
    pub(super) fn failed(self, error: ResponseError) -> Self {
        let code = error.code();
        match self {
            GroupResponse::Join(join) => GroupResponse::join_error(&join.member_id, error),
            GroupResponse::Sync(_) => GroupResponse::sync_error(error),
            GroupResponse::Heartbeat(_) => GroupResponse::heartbeat(Some(error)),
            GroupResponse::Leave(_) => {
                GroupResponse::Leave(LeaveGroupResponse::default().with_error_code(code))
            }
            GroupResponse::OffsetCommit(mut response) => {
                for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions)
                {
                    partition.error_code = code;
                }
                GroupResponse::OffsetCommit(response)
            }
            GroupResponse::OffsetFetch(mut group) => {
                group.topics.clear();
                GroupResponse::OffsetFetch(group.with_error_code(code))
            }
            GroupResponse::DeleteGroups(mut results) => {
                for result in &mut results {
                    result.error_code = code;
                }
                GroupResponse::DeleteGroups(results)
            }
            GroupResponse::OffsetDelete(_) => {
                GroupResponse::OffsetDelete(OffsetDeleteResponse::default().with_error_code(code))
            }
        }
    }
}

/// A failed append as the members of a group are told of it
/// (`appendGroupMetadataErrorToResponseError`).
pub(super) fn told(error: ResponseError) -> ResponseError {
    match error {
        ResponseError::UnknownTopicOrPartition
        | ResponseError::NotEnoughReplicas
        | ResponseError::RequestTimedOut => ResponseError::CoordinatorNotAvailable,
        ResponseError::NotLeaderOrFollower | ResponseError::KafkaStorageError => {
            ResponseError::NotCoordinator
        }
        ResponseError::MessageTooLarge
        | ResponseError::RecordListTooLarge
        | ResponseError::InvalidFetchSize => ResponseError::UnknownServerError,
        other => other,
    }
}

pub(super) fn text(text: &str) -> StrBytes {
    if text.is_empty() { StrBytes::default() } else { StrBytes::from_string(text.to_owned()) }
}

pub(super) fn wire_id(member: Option<&MemberId>) -> StrBytes {
    member.map_or_else(StrBytes::default, |member| text(member.as_str()))
}
