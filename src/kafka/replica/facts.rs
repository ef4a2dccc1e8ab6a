//! What the core is told of the world around it: the log, the brokers, the partition's registration.

use std::collections::BTreeSet;

use crate::{
    env::Instant,
    kafka::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch},
};

/// Facts about the local log, which stays with the shell.
pub trait LogView {
    fn start_offset(&self) -> Offset;
    /// The offset the next record gets.
    fn end_offset(&self) -> Offset;
    fn high_watermark(&self) -> Offset;
    /// The last epoch in the log's epoch history.
    fn latest_epoch(&self) -> Option<LeaderEpoch>;
    /// The largest epoch up to `epoch` and where it ended, as `LeaderEpochFileCache.endOffsetFor`.
    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)>;
    /// The topic's `min.insync.replicas`.
    fn min_insync_replicas(&self) -> usize;
    /// How far a leader counts its own log as replicated: its end, or less where a record is to be synced
    /// before it is acknowledged.
    fn acknowledged_end(&self) -> Offset {
        self.end_offset()
    }
}

/// A broker as the metadata has it at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokerFacts {
    pub epoch: BrokerEpoch,
    pub standing: BrokerStanding,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokerStanding {
    Active,
    Fenced,
    InControlledShutdown,
}

/// The brokers as this broker's copy of the metadata has them.
pub trait Brokers {
    /// `None` if it is not registered.
    fn broker(&self, id: BrokerId) -> Option<BrokerFacts>;
    /// Whether its `broker.rack` is this.
    fn is_in_rack(&self, id: BrokerId, rack: &str) -> bool;
    /// The epoch this broker got with its registration.
    fn own_epoch(&self) -> BrokerEpoch;
}

/// All that an input is judged by. It must be true at the moment of the call: the shell has carried out
/// the effects of every call before.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub now: Instant,
    pub log: &'a dyn LogView,
    pub brokers: &'a dyn Brokers,
}

/// The partition's registration, as far as it concerns a replica. The eligible leader replicas (KIP-966) are
/// the controller's alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionMetadata {
    pub leader: Option<BrokerId>,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// In the order of assignment.
    pub replicas: Vec<BrokerId>,
    pub isr: BTreeSet<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
}
