//! One partition's replication, sans-io: who leads, who follows, what is committed.
//!
//! A [`Replica`] is this broker's part in one partition. The controller's metadata makes it a [`Leader`] or
//! a [`Follower`]; it judges fetches and answers by the facts it is given (the log and the metadata of the
//! brokers stay with the shell) and says what to do as [`Effect`]s. It follows Kafka's `Partition`, `Replica`,
//! `AbstractFetcherThread` and `ReplicaFetcherThread`. Left out: future replicas (moves between log
//! directories), tiered storage, replication quotas.
//!
//! **What is committed.** A leader's high watermark is the smallest end among itself, its maximal ISR (what
//! the controller may already have made of it), and followers about to join. Followers learn it one fetch
//! later. What lies below it is on every member of the ISR, so whoever is elected from there has it.
//!
//! **Who is cut.** A follower's log may differ from its leader's above the high watermark alone. Its fetch
//! names its last epoch; the leader tells it where they part, and it truncates there. So two logs are equal
//! up to any offset at which they hold the same epoch.
//!
//! To read in order: `facts`, `effect`, `role` (the roles and how they change), `leader/`, `follower/`,
//! `reading` (what either role answers), `policy` (what Kafka once did otherwise).

mod effect;
mod facts;
mod follower;
mod isr;
mod leader;
mod policy;
mod reading;
mod remote;
mod role;

#[cfg(test)]
mod tests;

pub use effect::{AlterPartition, AlteredPartition, Effect, ReplicaEvent};
pub use facts::{BrokerFacts, BrokerStanding, Brokers, Facts, LogView, PartitionMetadata};
pub use follower::{Answer, Follower, FollowerRequest, Question};
pub use leader::{AcksState, FetchAnswer, FetchOutcome, FollowerFetch, Leader, RequiredAcks};
pub use policy::{
    AlterResponseMatch, DivergingFetch, FetchBrokerEpoch, FetchEpochCheck, FollowerApplies,
    HighWatermarkOver, IsrJoinGate, MissedEpochs, ReplicaPolicy, Truncation, UnderMinIsr,
};
pub use reading::{OffsetBound, ReadFrom, ReadPosition, Visibility};
pub use role::{Replica, ReplicaConfig};
