//! An action on roles becomes actions on the machines that play them at this moment.
//!
//! What a fault began on a machine it must end on the same one: by the time of its cure the role may be
//! another's. A step on a role that nobody plays is missed, so that no file seems to show what never happened; so is one
//! that wipes the disk of a machine that is up.

use std::{collections::BTreeSet, fmt};

use super::Nemesis;
use crate::testbed::{
    history::NodeName,
    plan::{Action, Link, Links, NodeRef},
};

/// Why an action would hit nobody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Missed {
    Unplayed(NodeRef),
    /// All of them are from a machine to itself.
    NoLinks,
    /// A disk is wiped only while its machine is down.
    Up(NodeName),
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::Unplayed(role) => write!(f, "nobody was `{role}`"),
            Missed::NoLinks => f.write_str("its links joined no two machines"),
            Missed::Up(machine) => write!(f, "{machine}, whose disk it wipes, was up"),
        }
    }
}

/// The same action, once for each machine, or on links between named machines. Each role in it has to be played by
/// somebody.
pub(super) fn cast(nemesis: &Nemesis, action: &Action) -> Result<Vec<Action>, Missed> {
    let mut action = action.clone();
    if let Some(node) = node_mut(&mut action) {
        let role = node.clone();
        let machines = played(nemesis, &role)?;
        if matches!(action, Action::WipeDisk { .. })
            && let Some(up) = machines.iter().find(|machine| nemesis.stage.is_up(machine))
        {
            return Err(Missed::Up(up.clone()));
        }
        let mut on = |machine: NodeName| {
            let mut action = action.clone();
            if let Some(node) = node_mut(&mut action) {
                *node = name(&machine);
            }
            action
        };
        return Ok(machines.into_iter().map(&mut on).collect());
    }
    match links_mut(&mut action) {
        Some(Links::Some(links)) => {
            *links = named(nemesis, links)?;
            Ok(vec![action])
        }
        Some(Links::Of(role)) => {
            let role = role.clone();
            let of = |machine: NodeName| {
                let mut action = action.clone();
                if let Some(links) = links_mut(&mut action) {
                    *links = Links::Of(name(&machine));
                }
                action
            };
            Ok(played(nemesis, &role)?.into_iter().map(of).collect())
        }
        Some(Links::All) | None => Ok(vec![action]),
    }
}

fn played(nemesis: &Nemesis, role: &NodeRef) -> Result<Vec<NodeName>, Missed> {
    let machines = nemesis.resolve(role);
    if machines.is_empty() { Err(Missed::Unplayed(role.clone())) } else { Ok(machines) }
}

/// Machines that an action without roles acts on; of links, those they leave from.
pub(super) fn machines(action: &Action) -> Vec<NodeName> {
    let mut action = action.clone();
    let of = |node: &NodeRef| match node {
        NodeRef::Name(name) => Some(NodeName::from(name.as_str())),
        _ => None,
    };
    if let Some(node) = node_mut(&mut action) {
        return of(node).into_iter().collect();
    }
    match links_mut(&mut action) {
        Some(Links::Some(links)) => {
            let mut seen = BTreeSet::new();
            let from = links.iter().filter_map(|link| of(&link.from));
            from.filter(|name| seen.insert(name.clone())).collect()
        }
        Some(Links::Of(node)) => of(node).into_iter().collect(),
        Some(Links::All) | None => Vec::new(),
    }
}

/// Each direction of each pair once, in the order of the links.
fn named(nemesis: &Nemesis, links: &[Link]) -> Result<Vec<Link>, Missed> {
    let mut seen = BTreeSet::new();
    let mut named = Vec::new();
    for link in links {
        let (froms, tos) = (played(nemesis, &link.from)?, played(nemesis, &link.to)?);
        for from in &froms {
            for to in tos.iter().filter(|to| *to != from) {
                let back = link.both_ways.then_some((to, from));
                for (from, to) in [(from, to)].into_iter().chain(back) {
                    if seen.insert((from.clone(), to.clone())) {
                        named.push(Link { from: name(from), to: name(to), both_ways: false });
                    }
                }
            }
        }
    }
    if named.is_empty() { Err(Missed::NoLinks) } else { Ok(named) }
}

fn name(machine: &NodeName) -> NodeRef {
    NodeRef::Name(machine.to_string())
}

fn node_mut(action: &mut Action) -> Option<&mut NodeRef> {
    match action {
        Action::Crash { node }
        | Action::PowerLoss { node }
        | Action::Restart { node }
        | Action::Pause { node, .. }
        | Action::Resume { node }
        | Action::ShutDown { node }
        | Action::Stall { node, .. }
        | Action::Throw { node }
        | Action::SlowDisk { node, .. }
        | Action::FullDisk { node, .. }
        | Action::LyingDisk { node, .. }
        | Action::WipeDisk { node }
        | Action::HealDisk { node }
        | Action::Skew { node, .. } => Some(node),
        _ => None,
    }
}

fn links_mut(action: &mut Action) -> Option<&mut Links> {
    match action {
        Action::Sever { links, .. }
        | Action::Hold { links, .. }
        | Action::Delay { links, .. }
        | Action::Reset { links }
        | Action::Heal { links } => Some(links),
        _ => None,
    }
}
