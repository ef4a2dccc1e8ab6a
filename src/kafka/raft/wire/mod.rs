//! The quorum's messages as the wire has them, and back: Vote 0 to 2, BeginQuorumEpoch and EndQuorumEpoch 0 to 1,
//! Fetch up to 18, FetchSnapshot 0 to 1.
//!
//! What is written is meant for the latest of these versions; what is read may be of any. The addresses of
//! nodes that some messages carry (KIP-853) are left out and not read: voters and their addresses are configured.

mod requests;
mod responses;

pub use requests::Unfit;
pub use responses::{
    to_begin_quorum_epoch_response, to_end_quorum_epoch_response, to_fetch_response,
    to_fetch_snapshot_response, to_vote_response,
};

use uuid::Uuid;

/// `Topic.CLUSTER_METADATA_TOPIC_NAME`; its one partition is 0.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// `Uuid.METADATA_TOPIC_ID`
pub const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);
