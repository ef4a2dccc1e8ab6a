//! Processed at most once, at least once, exactly once: judged on what the handler finished.

use super::{delivery::Ledger, index::Index, verdict::Verdict};

/// No record was processed twice.
pub(super) fn at_most_once(index: &Index<'_>, group: &str) -> Verdict {
    Ledger::processed(index, group).at_most_once()
}

/// Every acked record was processed.
pub(super) fn at_least_once(index: &Index<'_>, group: &str) -> Verdict {
    Ledger::processed(index, group).at_least_once()
}
