//! The same three, judged on the sink: what the application's effects add up to.
//!
//! A sink that appends shows every effect; one that upserts by topic, partition and offset shows one
//! however often the record was handled.

use super::{delivery::Ledger, index::Index, verdict::Verdict};
use crate::testbed::plan::EffectKind;

fn ledger<'a>(index: &'a Index<'a>, group: &'a str) -> Result<Ledger<'a>, Verdict> {
    match index.history.setup.groups.get(group).map(|group| group.effect) {
        Some(EffectKind::Append) => Ok(Ledger::effects(index, group, usize::MAX)),
        Some(EffectKind::Upsert) => Ok(Ledger::effects(index, group, 1)),
        _ => Err(Verdict::unknown("the application leaves no effect")),
    }
}

pub(super) fn at_most_once(index: &Index<'_>, group: &str) -> Verdict {
    ledger(index, group).map_or_else(|unknown| unknown, |ledger| ledger.at_most_once())
}

pub(super) fn at_least_once(index: &Index<'_>, group: &str) -> Verdict {
    ledger(index, group).map_or_else(|unknown| unknown, |ledger| ledger.at_least_once())
}
