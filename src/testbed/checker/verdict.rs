//! What a checker says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::testbed::{
    history::EventId,
    plan::{Cause, RecordAt},
};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing broke it; `examined` says how much was looked at, never 0.
    Holds {
        examined: u64,
    },
    Violated {
        violations: Vec<Violation>,
    },
    /// Nothing to judge, or not enough is known. Never green.
    Unknown {
        reason: Arc<str>,
    },
}

/// One breach.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// Jepsen's name for it: `lost-write`, `duplicate`, `poll-skip`, ...
    pub anomaly: Arc<str>,
    /// In a sentence: `shop#11 was acked at orders-0@11 and is not in the log`.
    pub what: Arc<str>,
    pub records: Vec<RecordAt>,
    pub cause: Cause,
    /// The shortest chain of events that shows it, oldest first.
    pub why: Vec<Evidence>,
}

/// A link of the chain: an event and what it means here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    pub event: EventId,
    pub says: Arc<str>,
}
