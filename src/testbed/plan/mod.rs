//! One trial, written out: cluster, settings, workload and every fault, explicit and serialisable.
//!
//! A scenario file is a plan in TOML; a campaign draws one from a seed; shrinking edits one. The plan and
//! the seed decide everything that happens: the seed picks latencies, interleavings and torn pages, the
//! plan all that a person would want to read or change.

mod action;
mod actor;
mod cluster;
mod duration;
mod expect;
mod trigger;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::kafka::behaviour::Behaviour;

pub use action::{Action, ElectionType, Link, Links, NodeRef};
pub use actor::{
    App, AwaitSend, ClientFlavour, EffectKind, GroupPlan, LoopStep, OnError, OnSendError,
    ProducerApp, ProducerExit, ProducerPlan, ReaderPlan, SeekTo, Start, TextTemplate,
};
pub use cluster::{ClusterPlan, Controllers, TopicPlan};
pub use duration::{Span, SpanRange, SpanShape};
pub use expect::{
    Cause, Comparison, Expectation, ExpectedVerdict, FactKind, Guarantee, RecordAt, Tolerance,
};
pub use trigger::{EventName, Trigger};

/// Settings by Kafka's names, values as text.
pub type ConfigMap = IndexMap<String, String>;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What the report calls it: the scenario's file stem, or the campaign's name.
    pub name: String,
    pub title: String,
    /// The behaviour profile every unset default comes from: `4.1`.
    pub kafka: String,
    pub run: RunPlan,
    pub network: NetworkPlan,
    pub cluster: ClusterPlan,
    /// What Kafka once did otherwise, brought back; by default nothing.
    pub behaviour: Behaviour,
    pub topics: IndexMap<String, TopicPlan>,
    pub producers: IndexMap<String, ProducerPlan>,
    pub groups: IndexMap<String, GroupPlan>,
    pub readers: IndexMap<String, ReaderPlan>,
    pub steps: Vec<Step>,
    pub expectations: Vec<Expectation>,
    /// Settings Kafka has and the testbed does not model, named so that they are knowingly without effect.
    pub ignored: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunPlan {
    /// What `run` uses unless told otherwise.
    pub seed: u64,
    pub end: End,
    /// Virtual time; reaching it means the trial made no progress and fails.
    pub limit: Span,
}

/// When the phase of load and faults is over.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum End {
    /// Nothing left to send, deliver, process or commit, and every step fired.
    Quiet,
    At(Span),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// One way, per message.
    pub latency: SpanRange,
    /// Chance that a message needs a retransmission (it arrives later, in order: TCP loses nothing).
    pub loss: f64,
}

/// Something done to the cluster or its clients, or only said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub id: Option<String>,
    pub trigger: Trigger,
    pub action: Action,
    pub say: Option<String>,
}
