//! What must be so in the end: a leader everywhere, the full ISR, equal logs, and all of them committed.

use super::{
    fork::Fork,
    invariant::{Invariant, Seen},
    log::Placed,
    partition::{Partition, Replica},
};
use crate::{
    kafka::types::Offset,
    testbed::{
        checker::Evidence,
        history::{EventId, NodeName},
    },
};

/// At `event`, when everything has healed and settled.
pub(super) fn judge(partition: &mut Partition<'_>, event: EventId) -> Vec<Seen> {
    let Some(word) = &partition.word else { return Vec::new() };
    if word.replicas.len() < 2 {
        return Vec::new();
    }
    let (id, since) = (partition.id, word.event);
    let seen = |what: String, since: EventId| {
        let why =
            vec![Evidence::new(since, what.clone()), Evidence::new(event, "everything has healed")];
        Seen::new(Invariant::Heals, what, why)
    };
    let mut found = Vec::new();
    match word.leader {
        None => found.push(seen(format!("{id} has no leader"), since)),
        Some(leader) => {
            if word.isr != word.replicas {
                let missing: Vec<_> = word.replicas.difference(&word.isr).copied().collect();
                let what = format!("{} not in the ISR of {id}", missing.join(", "));
                found.push(seen(what, since));
            }
            found.extend(unequal(partition, leader).map(|Unequal { what, since, fork }| {
                let fork = fork.map(|(node, own)| Fork { node, own, event });
                Seen { fork, ..seen(what, since) }
            }));
        }
    }
    partition.examine(Invariant::Heals);
    found
}

struct Unequal {
    what: String,
    since: EventId,
    /// Who holds other records, and the first of them.
    fork: Option<(NodeName, Placed)>,
}

/// The first way in which a replica's log is not the leader's.
fn unequal(partition: &Partition<'_>, leader: &str) -> Option<Unequal> {
    let word = partition.word.as_ref()?;
    let empty = Replica::default();
    let of = |node: &str| partition.replicas.get(node).unwrap_or(&empty);
    let leads = of(leader);
    let (id, end) = (partition.id, leads.log.end());
    let last = |replica: &Replica<'_>| replica.log.last().map_or(word.event, |placed| placed.event);
    let committed = partition.committed.end().max(partition.cleaned);
    if committed < end && end > leads.log.start() {
        let what = format!("{id} ends at {end} on {leader}, committed up to {committed}");
        return Some(Unequal { what, since: last(leads), fork: None });
    }
    word.replicas.iter().filter(|node| **node != leader).find_map(|node| {
        let replica = of(node);
        if replica.log.end() != end {
            let theirs = replica.log.end();
            let what = format!("{id} ends at {theirs} on {node}, at {end} on {leader}");
            return Some(Unequal { what, since: last(replica), fork: None });
        }
        let from = leads.log.start().max(replica.log.start()).max(partition.cleaned);
        let ours = leads.log.between(from, end).iter();
        let other = ours.zip(replica.log.between(from, end)).find(|(a, b)| a.batch != b.batch);
        other.map(|(ours, theirs)| {
            let offset: Offset = ours.batch.base.min(theirs.batch.base);
            Unequal {
                what: format!("{node} holds other records at {id}@{offset} than {leader}"),
                since: theirs.event,
                fork: Some((NodeName::from(*node), *theirs)),
            }
        })
    })
}
