//! Expectations held against a history.

use serde::{Deserialize, Serialize};

use super::Verdict;

/// One expectation and what the trial showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// Index in the plan's expectations.
    pub expectation: usize,
    /// Exactly as expected: the verdict, the records, the count and the cause. Unknown is never met.
    pub met: bool,
    /// For a guarantee.
    pub verdict: Option<Verdict>,
    /// What was seen, for one line of the report: `violated: orders-0@2, @3, @4`, `10`.
    pub actual: String,
}

pub fn judge(
    _: &crate::testbed::plan::Plan,
    _: &crate::testbed::history::History,
) -> Vec<Judgement> {
    Vec::new()
}
