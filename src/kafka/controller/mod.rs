//! The active controller of the quorum, sans-io: who is in the cluster, where replicas are, who leads.
//!
//! A [`Controller`] exists while its node leads the quorum. It holds the metadata as all records so far
//! make it, those that are not yet committed included, and decides from that: each request becomes records
//! ([`Effect::Append`]) and an answer, which goes out once the records are committed
//! ([`Controller::handle_committed`]). Leadership lost, the shell drops it ([`Controller::resign`]); leadership
//! won, it makes one of the committed image ([`Controller::activate`]): what is not in the log
//! (sessions, how far brokers have read) starts anew, as in Kafka.
//!
//! It follows Kafka's `org.apache.kafka.controller`, class by class: `ClusterControlManager` in
//! `registration`, `BrokerHeartbeatManager` in `heartbeats` and `heartbeat_request`, `PartitionChangeBuilder`
//! in `partition_change`, `ReplicationControlManager` in `topics`, `partitions`, `alter_partition`,
//! `elections`, `isr_updates`, `directories` and `reassignments`, `ConfigurationControlManager` in `configs`,
//! `ProducerIdControlManager` in `producer_ids`, `StripedReplicaPlacer` in `placement`, and what
//! `QuorumController` does at times in `periodic`. Left out: ACLs, quotas, SCRAM, delegation tokens,
//! changes of features and policies of the operator's own.
//!
//! To read in order: `state` (what it knows, appending, committing), `registration`, `heartbeats`,
//! `partition_change` (the heart: who leads and who is in sync after a change), then any other.

mod alter_partition;
mod config;
mod config_change;
mod configs;
mod directories;
mod effect;
mod elections;
mod heartbeat_request;
mod heartbeats;
mod isr_updates;
mod names;
mod partition_change;
mod partitions;
mod periodic;
mod placement;
mod producer_ids;
mod reassignments;
mod registration;
mod state;
mod topics;
mod wire;

#[cfg(test)]
mod tests;

pub use config::{
    AlterPartitionBrokerEpoch, BrokerEpochCheck, ControllerConfig, DirectoryCheck, EligibleLeaders,
    Policies, StaleBrokerEpoch,
};
pub use config_change::{Adjustment, ConfigChange, altered, changed_settings};
pub use configs::{adjustments, check_topic_settings, replacement};
pub use effect::{Choices, ControllerResponse, Effect, Refusal, Request, RequestToken};
pub use names::check_topic_name;
pub use producer_ids::PRODUCER_ID_BLOCK;
pub use state::Controller;
pub use topics::{MAX_PARTITIONS, topic_records};
