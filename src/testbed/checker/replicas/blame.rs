//! What explains a breach: settings that permit losses, faults beyond those that Kafka stands.
//!
//! Kafka acknowledges from the page cache and relies on replicas that do not fail together. So with
//! `min.insync.replicas` replicas intact nothing committed may be lost; where fewer are, because power was lost,
//! a disk lied or was wiped, the loss has that cause and is no fault of the engine. An unclean election is a
//! choice. The metadata quorum syncs before it acknowledges: no power loss excuses it, only a disk that lied or
//! was wiped.

use std::collections::BTreeMap;

use super::{
    invariant::{Breach, Invariant, Seen},
    partition::Partition,
};
use crate::testbed::{
    checker::{Evidence, Violation},
    history::{ElectionKind, EventId, Loss as Stop},
    plan::{Cause, RecordAt},
};

/// What took records from a replica, and by which event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::testbed::checker) struct Loss {
    pub cause: Cause,
    pub event: EventId,
}

/// What became of a machine, as far as it matters to its disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    pub lies: Option<EventId>,
    pub stop: Option<(EventId, Stop)>,
    /// It has been started since.
    pub is_up: bool,
}

impl Fate {
    /// What made a recovery come back with less than there was.
    pub fn loss(&self) -> Option<Loss> {
        let (event, stop) = self.stop?;
        match (self.lies, stop) {
            (Some(event), Stop::Power) => Some(Loss { cause: Cause::LyingDisk, event }),
            (None, Stop::Power) => Some(Loss { cause: Cause::UnflushedPowerLoss, event }),
            (_, Stop::Process | Stop::Nothing) => None,
        }
    }
}

pub(super) type Fates<'a> = BTreeMap<&'a str, Fate>;

impl Partition<'_> {
    /// Replicas that lack records by a fault, or may: those that are back without them, and those without
    /// power that are not back.
    fn impaired(&self, fates: &Fates<'_>) -> Vec<Loss> {
        let loss = |(node, replica): (&&str, &super::partition::Replica<'_>)| {
            let down = || fates.get(*node).filter(|fate| !fate.is_up)?.loss();
            replica.loss.or_else(down)
        };
        self.replicas.iter().filter_map(loss).collect()
    }

    /// What explains that committed records are gone: of the leader that lacks them, where it is one.
    fn loss(&self, fates: &Fates<'_>) -> Option<(Loss, bool)> {
        if let Some(excuse) = self.excuse {
            return Some((excuse, true));
        }
        let impaired = self.impaired(fates);
        let takeover = self.takeovers.last();
        let unclean = self.elections.values().rev().find(|(how, _)| *how == ElectionKind::Unclean);
        if let Some((_, event)) = unclean
            && !self.is_metadata()
        {
            return Some((Loss { cause: Cause::UncleanElection, event: *event }, true));
        }
        let own = takeover.and_then(|takeover| takeover.loss);
        let loss = own.or_else(|| impaired.first().copied())?;
        Some((loss, self.excuses(&impaired)))
    }

    fn excuses(&self, impaired: &[Loss]) -> bool {
        if self.is_metadata() {
            return impaired.iter().any(|loss| loss.cause != Cause::UnflushedPowerLoss);
        }
        impaired.len() as u32 >= self.min_insync_replicas
    }

    /// The breach, with its cause.
    pub(super) fn blame(&mut self, seen: Seen, fates: &Fates<'_>) -> Breach {
        let Seen { invariant, what, offsets, mut why, fork: _ } = seen;
        let loss = match invariant {
            // Nothing permits these.
            Invariant::OneLeaderPerEpoch
            | Invariant::IsrByController
            | Invariant::ServesInEpoch
            | Invariant::HighWatermarkRises => None,
            Invariant::CommittedStays
            | Invariant::ReplicasAgree
            | Invariant::HighWatermarkWithinIsr
            | Invariant::Heals => self.loss(fates),
        };
        let (cause, excused) = match loss {
            Some((loss, excused)) => {
                if excused {
                    self.excuse = Some(loss);
                }
                let says = match loss.cause {
                    Cause::UncleanElection => "a replica that may lack records was elected",
                    Cause::LyingDisk => "a disk began to say it had synced when it had not",
                    Cause::WipedDisk => "a disk was wiped",
                    _ => "power was lost",
                };
                why.push(Evidence::new(loss.event, says));
                (loss.cause, excused)
            }
            None if invariant == Invariant::CommittedStays => {
                (Cause::TruncatedAfterElection, false)
            }
            None => (Cause::Unexplained, false),
        };
        why.sort_by_key(|evidence| evidence.event);
        let place = |offset| RecordAt { partition: self.id.clone(), offset };
        let records = offsets.map_or(Vec::new(), |(first, last)| {
            (first.0..=last.0).map(|offset| place(crate::kafka::types::Offset(offset))).collect()
        });
        let anomaly = invariant.anomaly().into();
        let violation = Violation { anomaly, what, records, cause, why };
        Breach { invariant, partition: self.id.clone(), violation, excused }
    }
}
