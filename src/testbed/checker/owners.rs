//! One owner per partition and generation: in the coordinator's word, in the members' belief, and in what
//! they do.

use std::collections::BTreeMap;

use super::{
    index::Index,
    verdict::{Evidence, Verdict, Violation},
};
use crate::{
    kafka::types::TopicPartition,
    testbed::{
        history::{EventId, EventKind, NodeName},
        plan::Cause,
    },
};

pub(super) fn one_per_generation(index: &Index<'_>, group: &str) -> Verdict {
    let mut examined = 0;
    let mut violations = Vec::new();
    // Who joined with a partition, by generation.
    let mut owners: BTreeMap<(i32, &TopicPartition), (&NodeName, EventId)> = BTreeMap::new();
    for event in &index.history.events {
        match &event.kind {
            EventKind::Generation { group: named, generation, owners: assigned, .. }
                if &**named == group =>
            {
                let mut given: BTreeMap<&TopicPartition, &str> = BTreeMap::new();
                for (partition, owner) in assigned {
                    examined += 1;
                    if let Some(other) = given.insert(partition, owner) {
                        let what = format!("{other} and {owner} were both given {partition}");
                        let why = vec![Evidence::new(event.id, format!("generation {generation}"))];
                        violations.push(breach(what, why));
                    }
                }
            }
            EventKind::Joined { generation, partitions }
                if index.group_of(&event.node) == Some(group) =>
            {
                for partition in partitions {
                    examined += 1;
                    let here = (&event.node, event.id);
                    let (owner, since) = *owners.entry((*generation, partition)).or_insert(here);
                    if owner != &event.node {
                        let node = &event.node;
                        let what = format!("{owner} and {node} both own {partition}");
                        let says = |node: &str| format!("{node} owns {partition} in {generation}");
                        let why = vec![
                            Evidence::new(since, says(owner)),
                            Evidence::new(event.id, says(node)),
                        ];
                        violations.push(breach(what, why));
                    }
                }
            }
            _ => {}
        }
    }
    Verdict::of(index, examined, violations, "no partition was assigned")
}

fn breach(what: String, why: Vec<Evidence>) -> Violation {
    let (anomaly, cause) = ("two-owners".into(), Cause::Unexplained);
    Violation { anomaly, what: what.into(), records: Vec::new(), cause, why }
}
