//! Who a replica is, and how far a log reaches.

use std::fmt;

use uuid::Uuid;

use crate::kafka::types::{BrokerId, LeaderEpoch, Offset};

/// A replica of the metadata log: a node and the directory it keeps the log in (KIP-853).
///
/// A node whose disk was wiped is another replica: it must not be taken for the one that voted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplicaKey {
    pub id: BrokerId,
    /// Nil where it is not known, as `controller.quorum.voters` leaves it.
    pub directory: Uuid,
}

impl ReplicaKey {
    pub const fn new(id: BrokerId, directory: Uuid) -> Self {
        ReplicaKey { id, directory }
    }

    /// Whether `other` can be this replica: a key without a directory stands for any.
    pub fn admits(self, other: ReplicaKey) -> bool {
        self.id == other.id && (self.directory.is_nil() || self.directory == other.directory)
    }
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.directory.is_nil() {
            write!(f, "{}", self.id)
        } else {
            write!(f, "{}@{}", self.id, self.directory)
        }
    }
}

/// How far a log or a snapshot reaches. The later epoch reaches further, whatever the offsets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct OffsetAndEpoch {
    pub epoch: LeaderEpoch,
    /// Of the next record.
    pub offset: Offset,
}

impl OffsetAndEpoch {
    pub const fn new(offset: Offset, epoch: LeaderEpoch) -> Self {
        OffsetAndEpoch { epoch, offset }
    }
}

impl fmt::Display for OffsetAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@e{}", self.offset, self.epoch)
    }
}
