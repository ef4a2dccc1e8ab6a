//! What comes out of the core.

use std::collections::BTreeSet;

use crate::kafka::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

/// For the shell to do, in order, before it calls again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Lead: stop fetching, take produce requests, let the epoch begin at the log's end in its epoch
    /// history (durably before anything is appended).
    BecomeLeader {
        epoch: LeaderEpoch,
    },
    /// Follow: answer what waits for the leader with NOT_LEADER_OR_FOLLOWER, and ask `leader` from now on;
    /// nobody if there is none.
    BecomeFollower {
        leader: Option<BrokerId>,
        epoch: LeaderEpoch,
    },
    /// Set the log's high watermark, kept within the log, and look again at what waits for it.
    SetHighWatermark(Offset),
    /// The smallest log start among the replicas rose: look again at DeleteRecords requests that wait.
    LowWatermarkMoved,
    /// Append the records that came with the answer at hand. If that fails, drop the effects behind it and
    /// call `handle_append_failed`.
    AppendFetched,
    /// The leader deleted records before this offset.
    RaiseLogStart(Offset),
    /// Cut the log so that it ends here or before, and its epoch history too.
    TruncateTo(Offset),
    /// Empty the log; it goes on at this offset.
    TruncateFullyAndStartAt(Offset),
    /// Ask the controller, and go on asking until it answers this partition: then call
    /// `handle_alter_partition_response`, once.
    AlterPartition(AlterPartition),
    Observe(ReplicaEvent),
}

/// A change of the ISR that a leader asks for. Its leader recovery state is always RECOVERED, as Kafka's
/// leaders have it from the moment they lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlterPartition {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// With the incarnations the leader means; -1 for any.
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// The controller's word on an [`AlterPartition`] it carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlteredPartition {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub isr: BTreeSet<BrokerId>,
}

/// What happened to a replica, for whoever watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplicaEvent {
    IsrExpansionProposed {
        joining: BrokerId,
    },
    IsrShrinkProposed {
        leaving: BTreeSet<BrokerId>,
    },
    /// What was pending is dropped: the controller did not do it.
    IsrProposalRejected,
    /// By the controller's word.
    IsrCommitted {
        isr: BTreeSet<BrokerId>,
        partition_epoch: PartitionEpoch,
    },
}
