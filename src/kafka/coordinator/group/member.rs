//! One member of a group (`ClassicGroupMember`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{messages::join_group_request::JoinGroupRequestProtocol, protocol::StrBytes};

use super::{Participant, RequestToken};
use crate::kafka::types::MemberId;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Member {
    pub id: MemberId,
    /// Set for a static member (KIP-345).
    pub instance_id: Option<StrBytes>,
    pub client_id: Arc<str>,
    pub client_host: StrBytes,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// In order of preference, each with the member's metadata for it.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    pub assignment: Bytes,
    /// The JoinGroup to answer when the rebalance is through.
    pub awaiting_join: Option<RequestToken>,
    /// The SyncGroup to answer when the assignment is known.
    pub awaiting_sync: Option<RequestToken>,
    /// It waits for its first generation: it cannot send heartbeats yet, so waiting does not keep it alive.
    pub is_new: bool,
}

impl Member {
    pub fn session_timeout(&self) -> Duration {
        millis(self.session_timeout_ms)
    }

    pub fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| &*known.name == protocol)
    }

    /// Empty if the member does not know the protocol, which the vote rules out.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let known = self.protocols.iter().find(|known| &*known.name == protocol);
        known.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    /// Whether the end of its session does not count at this moment: it waits for the coordinator.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub fn participant(&self) -> Participant {
        Participant { member: self.id.clone(), client: Arc::clone(&self.client_id) }
    }
}

/// Of a client's number of milliseconds; a negative one counts as none.
pub(super) fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
