//! What a finished trial is.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::testbed::{
    checker::{Broken, Judgement},
    history::History,
    plan::Plan,
};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trial {
    pub plan: Arc<Plan>,
    /// The scenario's variant; `None` for its base, or a campaign's plan.
    pub variant: Option<String>,
    pub seed: u64,
    pub history: History,
    /// One per expectation of the plan, in order.
    pub judgements: Vec<Judgement>,
    /// Steps that never fired: a fault that did not happen is a test that did not run.
    pub unfired: Vec<UnfiredStep>,
    /// Of the ordered trace of events: equal for equal plan and seed, on any machine.
    pub digest: String,
    pub virtual_time: Duration,
    /// Messages written onto the simulated network: requests and their answers.
    pub messages: u64,
    pub end: TrialEnd,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TrialEnd {
    Finished,
    /// The plan's limit or the drain's bound was reached.
    NoProgress {
        what: String,
    },
    /// A node's code panicked: a bug.
    Crashed {
        node: String,
        message: String,
    },
    /// What must be so in every trial was not: a bug as well. No expectation counts beside it.
    Broken(Broken),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnfiredStep {
    /// Index in the plan.
    pub step: usize,
    /// How close it came: `acked reached 19 of 25`.
    pub progress: String,
}

impl Trial {
    /// Everything expected was seen, every step fired, and the trial came to its end.
    pub fn passed(&self) -> bool {
        self.end == TrialEnd::Finished
            && self.unfired.is_empty()
            && self.judgements.iter().all(|judgement| judgement.met)
    }
}
