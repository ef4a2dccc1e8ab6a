//! Under which faults a guarantee held: a verdict without its fault model says less than it seems to.
//!
//! The model is read from what happened, not from what was planned: a step that found its machine down
//! already proves nothing.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::testbed::history::{Event, EventKind, FaultKind, History, Loss, Setup};

/// The kinds of fault that befell a run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultModel(BTreeSet<Befell>);

/// A kind of fault, as a verdict names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Befell {
    BrokerCrashes,
    BrokerPowerLosses,
    ClientCrashes,
    ClientPowerLosses,
    Pauses,
    SeveredLinks,
    HeldLinks,
    SlowLinks,
    ResetConnections,
    LostPackets,
    SlowDisks,
    FullDisks,
    LyingDisks,
    WipedDisks,
    MovedClocks,
    StalledHandlers,
    FailingHandlers,
}

impl FaultModel {
    pub fn of(history: &History) -> Self {
        let setup = &history.setup;
        let mut kinds: BTreeSet<Befell> =
            history.events.iter().filter_map(|event| befell(event, setup)).collect();
        if setup.loses_packets {
            kinds.insert(Befell::LostPackets);
        }
        FaultModel(kinds)
    }

    pub fn kinds(&self) -> impl Iterator<Item = Befell> + '_ {
        self.0.iter().copied()
    }
}

fn befell(event: &Event, setup: &Setup) -> Option<Befell> {
    let is_client = || {
        let mut members = setup.groups.values().flat_map(|group| &group.members);
        setup.producers.contains_key(&event.node) || members.any(|member| *member == event.node)
    };
    Some(match &event.kind {
        EventKind::MachineStopped { loss: Loss::Nothing } => return None,
        EventKind::MachineStopped { loss } => match (loss, is_client()) {
            (Loss::Power, true) => Befell::ClientPowerLosses,
            (Loss::Power, false) => Befell::BrokerPowerLosses,
            (_, true) => Befell::ClientCrashes,
            (_, false) => Befell::BrokerCrashes,
        },
        EventKind::MachinePaused => Befell::Pauses,
        EventKind::ProcessingFailed { .. } => Befell::FailingHandlers,
        EventKind::Fault { fault, .. } => match fault {
            FaultKind::Sever => Befell::SeveredLinks,
            FaultKind::Hold => Befell::HeldLinks,
            FaultKind::Delay => Befell::SlowLinks,
            FaultKind::Reset => Befell::ResetConnections,
            FaultKind::SlowDisk => Befell::SlowDisks,
            FaultKind::FullDisk => Befell::FullDisks,
            FaultKind::LyingDisk => Befell::LyingDisks,
            FaultKind::WipedDisk => Befell::WipedDisks,
            FaultKind::MovedClock => Befell::MovedClocks,
            FaultKind::Stall => Befell::StalledHandlers,
        },
        _ => return None,
    })
}

impl fmt::Display for Befell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Befell::BrokerCrashes => "broker crashes",
            Befell::BrokerPowerLosses => "broker power losses",
            Befell::ClientCrashes => "client crashes",
            Befell::ClientPowerLosses => "client power losses",
            Befell::Pauses => "pauses",
            Befell::SeveredLinks => "severed links",
            Befell::HeldLinks => "held links",
            Befell::SlowLinks => "slow links",
            Befell::ResetConnections => "reset connections",
            Befell::LostPackets => "lost packets",
            Befell::SlowDisks => "slow disks",
            Befell::FullDisks => "full disks",
            Befell::LyingDisks => "lying disks",
            Befell::WipedDisks => "wiped disks",
            Befell::MovedClocks => "moved clocks",
            Befell::StalledHandlers => "stalled handlers",
            Befell::FailingHandlers => "failing handlers",
        })
    }
}

impl fmt::Display for FaultModel {
    /// `without faults`, `under broker crashes, severed links`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("without faults");
        }
        let kinds: Vec<String> = self.kinds().map(|kind| kind.to_string()).collect();
        write!(f, "under {}", kinds.join(", "))
    }
}
