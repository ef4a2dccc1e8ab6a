//! What a checker says.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{faults::FaultModel, index::Index};
use crate::testbed::{
    history::EventId,
    plan::{Cause, RecordAt},
};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing broke it; `examined` says how much was looked at, never 0, and `under` what befell the
    /// run meanwhile.
    Holds {
        examined: u64,
        under: FaultModel,
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    pub event: EventId,
    pub says: Arc<str>,
}

impl Evidence {
    pub(super) fn new(event: EventId, says: impl Into<Arc<str>>) -> Self {
        Evidence { event, says: says.into() }
    }
}

impl Verdict {
    /// The verdict of a checker that looked at `examined` things and found these breaches.
    pub(super) fn of(
        index: &Index<'_>,
        examined: u64,
        violations: Vec<Violation>,
        nothing: &str,
    ) -> Self {
        if !violations.is_empty() {
            Verdict::Violated { violations }
        } else if examined == 0 {
            Verdict::Unknown { reason: nothing.into() }
        } else {
            Verdict::Holds { examined, under: index.fault_model.clone() }
        }
    }

    pub(super) fn unknown(reason: impl Into<Arc<str>>) -> Self {
        Verdict::Unknown { reason: reason.into() }
    }

    /// Both must hold.
    pub(super) fn and(self, other: Verdict) -> Self {
        match (self, other) {
            (Verdict::Violated { violations: mut a }, Verdict::Violated { violations: b }) => {
                a.extend(b);
                Verdict::Violated { violations: a }
            }
            (violated @ Verdict::Violated { .. }, _) | (_, violated @ Verdict::Violated { .. }) => {
                violated
            }
            (unknown @ Verdict::Unknown { .. }, _) | (_, unknown @ Verdict::Unknown { .. }) => {
                unknown
            }
            (Verdict::Holds { examined: a, under }, Verdict::Holds { examined: b, .. }) => {
                Verdict::Holds { examined: a.max(b), under }
            }
        }
    }
}

/// Breaches by what they have in common: the first of a kind tells its chain, the others add their
/// records to it.
pub(super) struct Breaches<K>(BTreeMap<K, (Violation, u64)>);

impl<K: Ord> Breaches<K> {
    pub fn new() -> Self {
        Breaches(BTreeMap::new())
    }

    pub fn add(&mut self, key: K, record: RecordAt, make: impl FnOnce() -> Violation) {
        match self.0.entry(key) {
            Entry::Vacant(new) => {
                new.insert((make(), 0));
            }
            Entry::Occupied(mut old) => {
                let (violation, more) = old.get_mut();
                violation.records.push(record);
                *more += 1;
            }
        }
    }

    pub fn into_violations(self) -> Vec<Violation> {
        let finish = |(mut violation, more): (Violation, u64)| {
            if more > 0 {
                violation.what = format!("{}, and {more} more like it", violation.what).into();
            }
            violation
        };
        self.0.into_values().map(finish).collect()
    }
}

/// `orders-0@2`, the way records are named in sentences.
pub(super) fn at(
    partition: &crate::kafka::types::TopicPartition,
    offset: crate::kafka::types::Offset,
) -> RecordAt {
    RecordAt { partition: partition.clone(), offset }
}

/// Offsets as people write them: `2..4`, `0, 2..3`.
pub(super) fn ranges(offsets: impl IntoIterator<Item = i64>) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for offset in offsets {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => ranges.push((offset, offset)),
        }
    }
    let text = |(first, last): &(i64, i64)| {
        if first == last { first.to_string() } else { format!("{first}..{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}
