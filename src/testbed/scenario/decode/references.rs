//! Texts that refer to something else in the file: actors, machines, links, partitions, records, steps.

use super::{
    names::{Names, Subject, partition},
    section::{Findings, RECORD, parsed, text},
};
use crate::{
    kafka::types::TopicPartition,
    testbed::{
        plan::{Link, NodeRef, RecordAt},
        scenario::{
            problem::{Place, Problem},
            tree::Node,
            words::nearest,
        },
    },
};

/// What may stand before a partition, a group or a step: `leader:orders-0`.
const ROLES: [&str; 6] = ["leader", "follower", "followers", "isr", "coordinator", "step"];

/// Resolves references against the file's names.
pub(super) struct References<'n> {
    pub names: &'n Names,
}

impl References<'_> {
    /// A name that must stand for one of these kinds.
    pub(super) fn subject(
        &self,
        node: &Node,
        allowed: &[Subject],
        found: &mut Findings,
    ) -> Option<(String, Option<Subject>)> {
        let name = text(node, found)?;
        let subject = self.check(name, node.place, allowed, found);
        Some((name.to_owned(), subject))
    }

    /// Notes a problem unless the name stands for one of these kinds.
    pub(super) fn check(
        &self,
        name: &str,
        place: Place,
        allowed: &[Subject],
        found: &mut Findings,
    ) -> Option<Subject> {
        match self.names.subject(name) {
            Some(subject) if allowed.contains(&subject) => Some(subject),
            Some(subject) => {
                let message = format!("`{name}` is {}", subject.word());
                let members =
                    self.names.groups.get(name).filter(|_| allowed.contains(&Subject::Member));
                let help = match members {
                    Some(members) if !members.is_empty() => {
                        format!("name a member: {}", members.join(", "))
                    }
                    _ => format!("expected {}", words(allowed)),
                };
                found.add(Problem::new(place, message).help(help));
                None
            }
            None => {
                found.add(self.unknown(name, place, allowed));
                None
            }
        }
    }

    fn unknown(&self, name: &str, place: Place, allowed: &[Subject]) -> Problem {
        let Some(beyond) = partition(name).filter(|_| allowed.contains(&Subject::Partition)) else {
            return self.nobody(name, place, allowed);
        };
        let topic = beyond.topic.as_str();
        match self.names.topics.get(topic) {
            None => self.nobody(name, place, allowed),
            Some(count) => {
                let count = count.unwrap_or(1);
                let message = format!("`{topic}` has no partition {}", beyond.partition);
                let last = (count - 1).max(0);
                Problem::new(place, message).help(format!("its partitions are 0 to {last}"))
            }
        }
    }

    fn nobody(&self, name: &str, place: Place, allowed: &[Subject]) -> Problem {
        let all = self.names.all(allowed);
        let help = match nearest(name, all.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if all.is_empty() => {
                format!("the file has nothing of that kind: expected {}", words(allowed))
            }
            None if all.len() <= 12 => format!("there are: {}", all.join(", ")),
            None => format!("expected {}", words(allowed)),
        };
        Problem::new(place, format!("there is no `{name}`")).help(help)
    }

    /// A machine by its name or role.
    pub(super) fn node(&self, node: &Node, found: &mut Findings) -> Option<NodeRef> {
        let name = text(node, found)?;
        self.node_ref(name, node.place, found)
    }

    fn node_ref(&self, name: &str, place: Place, found: &mut Findings) -> Option<NodeRef> {
        const MACHINES: &[Subject] = &[
            Subject::Broker,
            Subject::Controller,
            Subject::Producer,
            Subject::Member,
            Subject::Reader,
        ];
        let role = match name {
            "controller" => Some(NodeRef::Controller),
            "standby" => Some(NodeRef::Standby),
            "voters" => Some(NodeRef::Voters),
            _ => None,
        };
        if role.is_some() && self.names.subject(name).is_none() {
            return role;
        }
        let Some((role, of)) = name.split_once(':') else {
            self.check(name, place, MACHINES, found);
            return Some(NodeRef::Name(name.to_owned()));
        };
        let of_partition: Option<fn(TopicPartition) -> NodeRef> = match role {
            "leader" => Some(NodeRef::Leader),
            "follower" => Some(NodeRef::Follower),
            "followers" => Some(NodeRef::Followers),
            "isr" => Some(NodeRef::Isr),
            _ => None,
        };
        match (role, of_partition) {
            (_, Some(role)) => {
                self.check(of, place, &[Subject::Partition], found);
                partition(of).map(role)
            }
            ("coordinator", _) => {
                self.check(of, place, &[Subject::Group], found);
                Some(NodeRef::Coordinator(of.to_owned()))
            }
            ("step", _) => {
                self.step_named(of, place, found);
                Some(NodeRef::Step(of.to_owned()))
            }
            _ => {
                let message = format!("unknown role `{role}`");
                let help = match nearest(role, ROLES) {
                    Some(near) => format!("did you mean `{near}:{of}`?"),
                    None => format!("known: {}", ROLES.join(", ")),
                };
                found.add(Problem::new(place, message).help(help));
                None
            }
        }
    }

    /// `b1 -> b2`, `b1 <-> b2`.
    pub(super) fn link(&self, node: &Node, found: &mut Findings) -> Option<Link> {
        let written = text(node, found)?;
        let two = |arrow| written.split_once(arrow);
        let (from, to, both_ways) = match (two("<->"), two("->")) {
            (Some((from, to)), _) => (from, to, true),
            (None, Some((from, to))) => (from, to, false),
            (None, None) => {
                let message = format!("`{written}` is not a link");
                found.add(
                    Problem::new(node.place, message)
                        .help("write it like \"b1 -> b2\" or \"shop <-> b1\""),
                );
                return None;
            }
        };
        let from = self.node_ref(from.trim(), node.place, found);
        let to = self.node_ref(to.trim(), node.place, found);
        let link = Link { from: from?, to: to?, both_ways };
        // A role of many has links among them; a machine has none to itself.
        if link.from == link.to && !link.from.may_be_many() {
            found.add(Problem::new(node.place, "a machine has no link to itself"));
        }
        Some(link)
    }

    /// A record of an existing partition.
    pub(super) fn record(&self, node: &Node, found: &mut Findings) -> Option<RecordAt> {
        let record: RecordAt = parsed(node, &RECORD, found)?;
        self.check(&record.partition.to_string(), node.place, &[Subject::Partition], found);
        if record.offset.0 < 0 {
            found.add(Problem::new(node.place, "offsets begin at 0"));
        }
        Some(record)
    }

    pub(super) fn step(&self, node: &Node, found: &mut Findings) -> Option<String> {
        let id = text(node, found)?;
        self.step_named(id, node.place, found);
        Some(id.to_owned())
    }

    fn step_named(&self, id: &str, place: Place, found: &mut Findings) {
        if !self.names.steps.contains(id) {
            let near = nearest(id, self.names.steps.iter().map(String::as_str));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            found.add(Problem::new(place, format!("no step has id `{id}`")).maybe_help(help));
        }
    }
}

/// `a topic or a partition`.
fn words(kinds: &[Subject]) -> String {
    let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
