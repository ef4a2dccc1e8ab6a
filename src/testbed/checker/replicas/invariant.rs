//! What must be so at every moment of a trial, and what it is when it is not.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::fork::Fork;
use crate::{
    kafka::types::TopicPartition,
    testbed::checker::{Evidence, Violation},
};

/// A rule of replication or of the quorum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// Two brokers never lead a partition, or the quorum, in the same epoch.
    OneLeaderPerEpoch,
    /// A leader has all that leaders of earlier epochs have shown as committed, and shows the same.
    CommittedStays,
    /// Below its high watermark every replica has what leaders have shown.
    ReplicasAgree,
    /// No leader's high watermark is above the log of a member of the ISR, or of a majority of the quorum.
    HighWatermarkWithinIsr,
    /// As long as a broker leads in one epoch its high watermark does not fall.
    HighWatermarkRises,
    /// Leaders go by ISRs that the controller has decided.
    IsrByController,
    /// Whoever takes records leads, in an epoch that the controller gave it.
    ServesInEpoch,
    /// After the heal every partition has a leader, its full ISR and equal logs, all of it committed.
    Heals,
}

impl Invariant {
    pub const ALL: [Invariant; 8] = [
        Invariant::OneLeaderPerEpoch,
        Invariant::CommittedStays,
        Invariant::ReplicasAgree,
        Invariant::HighWatermarkWithinIsr,
        Invariant::HighWatermarkRises,
        Invariant::IsrByController,
        Invariant::ServesInEpoch,
        Invariant::Heals,
    ];

    /// Jepsen's name, or Kafka's words, for what happens where it breaks.
    pub(super) fn anomaly(self) -> &'static str {
        match self {
            Invariant::OneLeaderPerEpoch => "two-leaders",
            Invariant::CommittedStays => "committed-lost",
            Invariant::ReplicasAgree => "divergent",
            Invariant::HighWatermarkWithinIsr => "high-watermark-too-high",
            Invariant::HighWatermarkRises => "high-watermark-fell",
            Invariant::IsrByController => "isr-of-its-own",
            Invariant::ServesInEpoch => "stale-leader",
            Invariant::Heals => "not-healed",
        }
    }
}

impl fmt::Display for Invariant {
    /// `one-leader-per-epoch`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Invariant::OneLeaderPerEpoch => "one-leader-per-epoch",
            Invariant::CommittedStays => "committed-stays",
            Invariant::ReplicasAgree => "replicas-agree",
            Invariant::HighWatermarkWithinIsr => "high-watermark-within-isr",
            Invariant::HighWatermarkRises => "high-watermark-rises",
            Invariant::IsrByController => "isr-by-controller",
            Invariant::ServesInEpoch => "serves-in-epoch",
            Invariant::Heals => "heals",
        })
    }
}

/// An invariant that broke.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Breach {
    pub invariant: Invariant,
    pub partition: TopicPartition,
    pub violation: Violation,
    /// A setting or faults that Kafka does not claim to stand explain it, so that nothing is wrong with the
    /// engine.
    pub excused: bool,
}

/// What a watcher saw; blame is found for it later.
pub(super) struct Seen {
    pub invariant: Invariant,
    pub what: Arc<str>,
    /// First and last offset concerned.
    pub offsets: Option<(crate::kafka::types::Offset, crate::kafka::types::Offset)>,
    pub why: Vec<Evidence>,
    /// The records that differ, where it is about such.
    pub fork: Option<Fork>,
}

impl Seen {
    pub fn new(invariant: Invariant, what: impl Into<Arc<str>>, why: Vec<Evidence>) -> Self {
        Seen { invariant, what: what.into(), offsets: None, why, fork: None }
    }
}
