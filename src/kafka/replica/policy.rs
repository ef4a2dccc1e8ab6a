//! What Kafka's replication once did otherwise, as named choices.
//!
//! The defaults are the present protocol, but for [`MissedEpochs`], where that loses data. Every other value
//! is one that shipped, or that the protocol was designed to rule out, and loses or forks data under some
//! schedule; `tests/historical.rs` shows each.
//! Each choice is read in one place.

use serde::{Deserialize, Serialize};

/// How the protocol's rules are set. Written as `truncation = "high-watermark"`; what is not written is
/// as it is at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicaPolicy {
    pub truncation: Truncation,
    pub fetch_epoch_check: FetchEpochCheck,
    pub isr_join_gate: IsrJoinGate,
    pub high_watermark_over: HighWatermarkOver,
    pub alter_response_match: AlterResponseMatch,
    pub diverging_fetch: DivergingFetch,
    pub fetch_broker_epoch: FetchBrokerEpoch,
    pub follower_applies: FollowerApplies,
    pub under_min_isr: UnderMinIsr,
    pub missed_epochs: MissedEpochs,
}

/// What a follower cuts off its log before it follows a new leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// All above its own high watermark. Before 0.11.
    HighWatermark,
    /// It asks where its last epoch ended and believes the offset alone. KIP-101, 0.11 to 1.1.
    LeaderEpochKip101,
    /// It asks for the largest epoch the leader knows up to its own, and asks again until both know it.
    /// KIP-279, 2.0 to 2.6.
    LeaderEpochKip279,
    /// It fetches at once, naming its last epoch; the leader answers where they part. KIP-595, since 2.7.
    #[default]
    OnFetch,
}

/// Whether a follower's requests name the leader epoch it knows, so that a leader of another one refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchEpochCheck {
    /// Before 2.1. Shows with a [`Truncation`] of its time: since 2.7 a diverging fetch tells as well.
    Off,
    #[default]
    #[serde(rename = "kip-320")]
    Kip320,
}

/// How far a follower must have come before the leader asks for it to join the ISR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IsrJoinGate {
    /// To the high watermark, which a new leader inherits too low. Before 2.1 (KAFKA-7128).
    HighWatermark,
    #[default]
    EpochStart,
}

/// Over whom the high watermark is taken while an AlterPartition is pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HighWatermarkOver {
    /// The ISR the controller last confirmed. Never shipped: what KIP-497 rules out.
    CommittedIsr,
    /// That and whoever was proposed to join.
    #[default]
    MaximalIsr,
}

/// Whether an answer to AlterPartition surely belongs to what is pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlterResponseMatch {
    /// A leader may ask again before the answer to a request that metadata has overtaken, and takes the one
    /// for the other. 2.7 and 2.8 (KAFKA-12686).
    Loose,
    /// It asks again after the answer.
    #[default]
    SentState,
}

/// Whether a fetch that diverges says how far its follower has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DivergingFetch {
    /// 2.7 and 2.8.0 (KAFKA-13141).
    CountsAsProgress,
    #[default]
    Ignored,
}

/// Whether a leader knows its followers by incarnations or by broker ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchBrokerEpoch {
    /// Before 3.5 and 3.7 (KAFKA-14139, KAFKA-15221).
    Off,
    #[default]
    #[serde(rename = "kip-903")]
    Kip903,
}

/// In which order a follower takes a diverging answer that also carries a high watermark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowerApplies {
    /// Its doomed records look committed until it truncates. 2.7 to 3.4 (KAFKA-14704).
    HighWatermarkThenTruncate,
    /// It truncates; the high watermark comes with the next answer.
    #[default]
    TruncateThenHighWatermark,
}

/// What the high watermark does while the ISR is smaller than `min.insync.replicas`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnderMinIsr {
    /// Before 3.7.
    Advances,
    /// KIP-966: what is committed is on `min.insync.replicas` brokers.
    #[default]
    Holds,
}

/// What a leader believes of its followers' ends when the metadata names it again in a later epoch, and it
/// has not heard of one in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissedEpochs {
    /// All that it knew, though another may have led in between, and a member of the ISR that still follows
    /// that one may yet truncate what counts as replicated. Kafka 4.0 (`Replica.resetReplicaState`).
    Trusted,
    /// Nothing, unless the epoch is the very next: then nobody else led.
    #[default]
    Forgotten,
}

#[cfg(test)]
mod tests {
    use super::{FetchEpochCheck, ReplicaPolicy, Truncation};

    #[test]
    fn a_policy_is_written_by_its_names() {
        let text = "truncation = \"leader-epoch-kip279\"\nfetch-epoch-check = \"off\"";
        let old = ReplicaPolicy {
            truncation: Truncation::LeaderEpochKip279,
            fetch_epoch_check: FetchEpochCheck::Off,
            ..Default::default()
        };
        assert_eq!(toml::from_str(text), Ok(old));
        assert_eq!(toml::from_str(&toml::to_string(&old).unwrap()), Ok(old));
        assert!(toml::from_str::<ReplicaPolicy>("truncate = \"off\"").is_err());
    }
}
