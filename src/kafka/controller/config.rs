//! What a controller is told before it starts: settings, and behaviours that Kafka once had.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::kafka::{config::BrokerConfig, types::BrokerId};

/// Whether replicas that left the ISR below `min.insync.replicas` may still be elected (KIP-966).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EligibleLeaders {
    /// Before `eligible.leader.replicas.version` 1: the last replica stays in the ISR, also when it fails,
    /// and is elected again whatever it lost.
    Off,
    #[default]
    #[serde(rename = "kip-966")]
    Kip966,
}

/// Whether a broker must prove that the replica it brings into the ISR is of the broker's present
/// incarnation (KIP-903).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlterPartitionBrokerEpoch {
    /// Before 3.5: the broker's id is enough, also if it lost its disk meanwhile.
    Off,
    #[default]
    #[serde(rename = "kip-903")]
    Kip903,
}

/// Whether a broker's requests must carry the epoch of its present registration (KIP-631).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokerEpochCheck {
    /// As before KIP-380: a request of an earlier incarnation counts.
    Off,
    #[default]
    On,
}

/// What a broker does that is told its registration is not the present one any more. It shows in the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaleBrokerEpoch {
    /// Goes on with heartbeats under it for ever. Every release.
    AsksOn,
    #[default]
    RegistersAgain,
}

/// Whether a replica may lead only where its broker has the directory that holds it (KIP-858).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryCheck {
    /// Before 3.7: the controller knew no directories, and a broker with a new disk was as good as before.
    Off,
    #[default]
    #[serde(rename = "kip-858")]
    Kip858,
}

/// Behaviours that Kafka had, each read in one place; by default those it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policies {
    pub eligible_leaders: EligibleLeaders,
    pub alter_partition_broker_epoch: AlterPartitionBrokerEpoch,
    pub broker_epoch_check: BrokerEpochCheck,
    pub stale_broker_epoch: StaleBrokerEpoch,
    pub directory_check: DirectoryCheck,
}

#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// This controller's own id, for settings given to it alone.
    pub node: BrokerId,
    pub cluster_id: String,
    /// The controller's `server.properties`: defaults of topics.
    pub broker: Arc<BrokerConfig>,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `leader.imbalance.check.interval.seconds`; `None` without `auto.leader.rebalance.enable`.
    pub balance_interval: Option<Duration>,
    /// `unclean.leader.election.interval.ms`.
    pub unclean_election_interval: Duration,
    /// `metadata.max.idle.interval.ms`: how often a record that says nothing is written; `None` for never.
    pub no_op_interval: Option<Duration>,
    pub policies: Policies,
}

impl ControllerConfig {
    /// Kafka's defaults for what is not in `broker`.
    pub fn new(node: BrokerId, cluster_id: String, broker: Arc<BrokerConfig>) -> Self {
        ControllerConfig {
            node,
            cluster_id,
            session_timeout: broker.broker_session_timeout,
            balance_interval: broker.leader_balance_interval,
            // `unclean.leader.election.interval.ms`'s default.
            unclean_election_interval: Duration::from_secs(300),
            no_op_interval: broker.metadata_log.no_op_interval,
            policies: Policies::default(),
            broker,
        }
    }
}
