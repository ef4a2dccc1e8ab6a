//! Faults on links, disks and clocks, and what cures them.

use std::time::Duration;

use super::Nemesis;
use crate::{
    sim::{DiskFault, Effect, Latency, LinkControl, Operation, Repeat},
    testbed::{
        history::{EventId, EventKind, FaultKind, NodeName},
        plan::{Action, Link, Links, NodeRef, Span},
    },
};

/// How long a fault lasts and the action that ends it; `None` for one that stays.
pub(super) fn cure(action: &Action) -> Option<(Duration, Action)> {
    match action {
        Action::Pause { node, lasts: Some(lasts) } => {
            Some((lasts.0, Action::Resume { node: node.clone() }))
        }
        Action::Sever { links, lasts: Some(lasts) }
        | Action::Hold { links, lasts: Some(lasts) }
        | Action::Delay { links, lasts: Some(lasts), .. } => {
            Some((lasts.0, Action::Heal { links: links.clone() }))
        }
        Action::SlowDisk { node, lasts: Some(lasts), .. }
        | Action::FullDisk { node, lasts: Some(lasts) }
        | Action::LyingDisk { node, lasts: Some(lasts) } => {
            Some((lasts.0, Action::HealDisk { node: node.clone() }))
        }
        _ => None,
    }
}

/// Lays a fault, or cures one.
pub(super) fn lay(nemesis: &Nemesis, action: &Action, cause: Option<EventId>) {
    match action {
        Action::Sever { links, .. } => {
            on_links(nemesis, links, (FaultKind::Sever, "sever"), cause, LinkControl::sever);
        }
        Action::Hold { links, .. } => {
            on_links(nemesis, links, (FaultKind::Hold, "hold"), cause, LinkControl::hold);
        }
        Action::Delay { links, by, .. } => {
            let fault = (FaultKind::Delay, &*format!("delay by {by}"));
            on_links(nemesis, links, fault, cause, |link| {
                link.set_latency(longer(link.options().latency, *by));
            });
        }
        Action::Reset { links } => {
            on_links(nemesis, links, (FaultKind::Reset, "reset"), cause, LinkControl::reset);
        }
        Action::Heal { links } => {
            let latency = nemesis.latency;
            for (from, to) in directed(nemesis, links) {
                heal_link(&nemesis.stage.world.link(&from, &to), latency);
                healed(nemesis, &from, format!("{from} -> {to}"), cause);
            }
        }
        Action::SlowDisk { node, by, .. } => {
            on_disk(nemesis, node, (FaultKind::SlowDisk, "slow disk"), cause, |disk| {
                disk.set_sync_latency(longer(disk.options().sync_latency, *by));
            })
        }
        Action::FullDisk { node, .. } => {
            on_disk(nemesis, node, (FaultKind::FullDisk, "full disk"), cause, |disk| {
                disk.set_capacity(Some(disk.used()));
            })
        }
        Action::LyingDisk { node, .. } => {
            on_disk(nemesis, node, (FaultKind::LyingDisk, "lying disk"), cause, |disk| {
                disk.add_fault(DiskFault {
                    operation: Operation::Sync,
                    path_prefix: String::new(),
                    effect: Effect::Lie,
                    repeat: Repeat::Always,
                });
            })
        }
        Action::WipeDisk { node } => {
            on_disk(nemesis, node, (FaultKind::WipedDisk, "wiped disk"), cause, |disk| disk.wipe());
        }
        Action::HealDisk { node } => {
            for node in nemesis.resolve(node) {
                nemesis.stage.world.disk(&node).heal();
                healed(nemesis, &node, "disk".into(), cause);
            }
        }
        Action::Skew { node, by_ms } => {
            for node in nemesis.resolve(node) {
                nemesis.stage.world.wall_clock(&node).jump(*by_ms);
                let what = format!("clock moved by {by_ms}ms");
                record(nemesis, &node, FaultKind::MovedClock, what, cause);
            }
        }
        _ => {}
    }
}

fn heal_link(link: &LinkControl, latency: Latency) {
    link.set_latency(latency);
    link.release();
    link.heal();
}

pub(super) fn heal_links_of(nemesis: &Nemesis, node: &NodeName) {
    for (from, to) in directed(nemesis, &Links::Of(NodeRef::Name(node.to_string()))) {
        heal_link(&nemesis.stage.world.link(&from, &to), nemesis.latency);
    }
}

/// The same latency, that much later.
fn longer(latency: Latency, by: Span) -> Latency {
    match latency {
        Latency::Constant(delay) => Latency::Constant(delay + by.0),
        Latency::Uniform { min, max } => Latency::Uniform { min: min + by.0, max: max + by.0 },
        Latency::Exponential { min, mean, max } => {
            Latency::Exponential { min: min + by.0, mean, max: max + by.0 }
        }
    }
}

pub(super) fn record(
    nemesis: &Nemesis,
    node: &NodeName,
    fault: FaultKind,
    what: String,
    cause: Option<EventId>,
) {
    nemesis.stage.record(node, cause, EventKind::Fault { fault, what: what.into() });
}

fn healed(nemesis: &Nemesis, node: &NodeName, what: String, cause: Option<EventId>) {
    nemesis.stage.record(node, cause, EventKind::Healed { what: what.into() });
}

/// Applies to each directed link and records it once per machine it leaves from.
fn on_links(
    nemesis: &Nemesis,
    links: &Links,
    (fault, what): (FaultKind, &str),
    cause: Option<EventId>,
    act: impl Fn(&LinkControl),
) {
    for (from, to) in directed(nemesis, links) {
        act(&nemesis.stage.world.link(&from, &to));
        record(nemesis, &from, fault, format!("{what} {from} -> {to}"), cause);
    }
}

/// The directed pairs of links. Roles have been cast: named links go one way.
fn directed(nemesis: &Nemesis, links: &Links) -> Vec<(NodeName, NodeName)> {
    let names = nemesis.stage.names();
    let with_all = |node: &NodeName| {
        let others = names.iter().filter(|other| *other != node);
        others
            .flat_map(|other| [(node.clone(), other.clone()), (other.clone(), node.clone())])
            .collect::<Vec<_>>()
    };
    match links {
        Links::Some(links) => links
            .iter()
            .filter_map(|Link { from, to, .. }| match (from, to) {
                (NodeRef::Name(from), NodeRef::Name(to)) => {
                    Some((from.as_str().into(), to.as_str().into()))
                }
                _ => None,
            })
            .collect(),
        Links::Of(node) => nemesis.resolve(node).iter().flat_map(with_all).collect(),
        Links::All => {
            let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
            pairs.filter(|(a, b)| a != b).map(|(a, b)| (a.clone(), b.clone())).collect()
        }
    }
}

fn on_disk(
    nemesis: &Nemesis,
    node: &NodeRef,
    (fault, what): (FaultKind, &str),
    cause: Option<EventId>,
    act: impl Fn(&crate::sim::DiskControl),
) {
    for node in nemesis.resolve(node) {
        act(&nemesis.stage.world.disk(&node));
        record(nemesis, &node, fault, what.to_owned(), cause);
    }
}
