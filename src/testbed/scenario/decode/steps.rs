//! Steps: when, what, to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    names::Subject,
    operator,
    references::References,
    section::{Findings, Form, SPAN, Section, parsed, text},
    waiting::{Awaited, awaited},
};
use crate::testbed::{
    plan::{Action, End, Links, NodeRef, RunPlan, Span, Step, Trigger},
    scenario::{
        problem::{Place, Problem},
        tree::Value,
        words::{VERBS, Verb},
    },
};

/// What a step may be about, whatever its action is.
const OBJECTS: [&str; 13] = [
    "node",
    "links",
    "actor",
    "topic",
    "partition",
    "partitions",
    "replication-factor",
    "replicas",
    "election",
    "config",
    "rack",
    "for",
    "by",
];

const SHIFT: Form = Form { wanted: "a number and a unit in quotes", example: "-2s" };

/// Decodes the steps of a file.
pub(super) struct Steps<'n> {
    pub references: References<'n>,
    pub ignored: &'n [String],
    pub run: RunPlan,
}

impl Steps<'_> {
    pub(super) fn all(&self, sections: Vec<Section<'_>>, found: &mut Findings) -> Vec<Step> {
        let mut ids: BTreeMap<String, Place> = BTreeMap::new();
        let mut steps = Vec::new();
        for mut section in sections {
            let id = section.entry("id");
            if let Some(entry) = id
                && let Some(id) = text(&entry.node, found)
                && let Some(first) = ids.insert(id.to_owned(), entry.node.place)
            {
                let message = format!("two steps have the id `{id}`");
                found.add(Problem::new(entry.node.place, message).also(first, "first here"));
            }
            steps.extend(self.one(section, found));
        }
        waits_for_itself(&steps, &ids, found);
        steps
    }

    fn one(&self, mut section: Section<'_>, found: &mut Findings) -> Option<Step> {
        let id = section.entry("id").and_then(|entry| match &entry.node.value {
            Value::Text(id) => Some(id.clone()),
            _ => None,
        });
        let trigger = self.trigger(&mut section, found);
        let say = section.text("say", found).map(str::to_owned);
        section.required("do", found);
        let verb = section.word("do", "action", VERBS, found);
        let action = match verb {
            Some(verb) => self.action(verb, &mut section, found),
            None => {
                // Whatever it was meant to be, these may belong to it.
                OBJECTS.iter().for_each(|object| {
                    section.entry(object);
                });
                None
            }
        };
        section.close(found);
        Some(Step { id, trigger: trigger?, action: action?, say })
    }

    /// One of `at`, `when`, and `after` with `wait`.
    fn trigger(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<Trigger> {
        let at = section.entry("at");
        let when = section.entry("when");
        let awaited = awaited(section, &self.references, found);
        let after_entry = section.entry("after");
        let after = after_entry.and_then(|entry| self.references.step(&entry.node, found));
        let wait: Option<Span> = section.parsed("wait", &SPAN, found);
        if let Some(at) = at {
            strays(section, &["when", "of", "record", "count", "after", "wait"], found);
            let time = parsed(&at.node, &SPAN, found)?;
            self.in_time(time, at.node.place, found);
            return Some(Trigger::At(time));
        }
        if when.is_some() {
            strays(section, &["wait"], found);
            let Awaited { event, of, record, count } = awaited?;
            return Some(Trigger::When { event, of, record, count, after });
        }
        if after_entry.is_some() {
            strays(section, &["of", "record", "count"], found);
            return Some(Trigger::After { step: after?, wait: wait.unwrap_or_default() });
        }
        found.add(Problem::new(section.place, "this step has no moment").help(MOMENTS));
        None
    }

    fn in_time(&self, time: Span, place: Place, found: &mut Findings) {
        let end = match self.run.end {
            End::At(end) => end,
            End::Quiet => self.run.limit,
        };
        if time > end {
            let message = format!("this step can never fire: the run is over at {end}");
            found.add(Problem::new(place, message));
        }
    }

    fn action(
        &self,
        verb: Verb,
        section: &mut Section<'_>,
        found: &mut Findings,
    ) -> Option<Action> {
        let lasts = |section: &mut Section<'_>, found: &mut Findings| {
            section.parsed::<Span>("for", &SPAN, found)
        };
        Some(match verb {
            Verb::Crash => Action::Crash { node: self.node(section, found)? },
            Verb::PowerLoss => Action::PowerLoss { node: self.node(section, found)? },
            Verb::Restart => Action::Restart { node: self.node(section, found)? },
            Verb::Pause => {
                let lasts = lasts(section, found);
                Action::Pause { node: self.node(section, found)?, lasts }
            }
            Verb::Resume => Action::Resume { node: self.node(section, found)? },
            Verb::Stall => {
                section.required("for", found);
                let lasts = lasts(section, found);
                Action::Stall { node: self.handler(section, found)?, lasts: lasts? }
            }
            Verb::Throw => Action::Throw { node: self.handler(section, found)? },
            Verb::Start => Action::Start { actor: self.actor(section, found)? },
            Verb::Stop => self.stop(section, found)?,
            Verb::Sever => {
                let lasts = lasts(section, found);
                Action::Sever { links: self.links(section, found)?, lasts }
            }
            Verb::Hold => {
                let lasts = lasts(section, found);
                Action::Hold { links: self.links(section, found)?, lasts }
            }
            Verb::Delay => {
                let (by, lasts) = (by(section, found), lasts(section, found));
                Action::Delay { links: self.links(section, found)?, by: by?, lasts }
            }
            Verb::Reset => Action::Reset { links: self.links(section, found)? },
            Verb::Heal => Action::Heal { links: self.links(section, found)? },
            Verb::SlowDisk => {
                let (by, lasts) = (by(section, found), lasts(section, found));
                Action::SlowDisk { node: self.broker(section, found)?, by: by?, lasts }
            }
            Verb::FullDisk => {
                let lasts = lasts(section, found);
                Action::FullDisk { node: self.broker(section, found)?, lasts }
            }
            Verb::LyingDisk => {
                let lasts = lasts(section, found);
                Action::LyingDisk { node: self.broker(section, found)?, lasts }
            }
            Verb::WipeDisk => Action::WipeDisk { node: self.broker(section, found)? },
            Verb::HealDisk => Action::HealDisk { node: self.broker(section, found)? },
            Verb::Skew => {
                section.required("by", found);
                let by: Option<Shift> = section.parsed("by", &SHIFT, found);
                Action::Skew { node: self.node(section, found)?, by_ms: by?.0 }
            }
            Verb::Note => Action::Note,
            Verb::CreateTopic
            | Verb::DeleteTopic
            | Verb::AddPartitions
            | Verb::AlterConfig
            | Verb::Reassign
            | Verb::CancelReassignment
            | Verb::Elect
            | Verb::AddBroker => return operator::action(verb, self, section, found),
        })
    }

    fn node(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<NodeRef> {
        let entry = section.required("node", found)?;
        self.references.node(&entry.node, found)
    }

    /// A machine with a disk that matters.
    fn broker(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<NodeRef> {
        let node = self.node(section, found)?;
        let entry = section.entry("node")?;
        if let NodeRef::Name(name) = &node
            && !matches!(
                self.references.names.subject(name),
                None | Some(Subject::Broker | Subject::Controller)
            )
        {
            let message = format!("`{name}` keeps nothing on its disk");
            found.add(
                Problem::new(entry.node.place, message).help("name a broker, or leader:orders-0"),
            );
        }
        Some(node)
    }

    /// `node` is a broker or controller, `actor` a client.
    fn stop(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<Action> {
        if section.has("node") {
            return Some(Action::ShutDown { node: self.server(section, found)? });
        }
        section.entry("node");
        Some(Action::Stop { actor: self.actor(section, found)? })
    }

    /// A machine that may be asked to stop as one of the cluster.
    fn server(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<NodeRef> {
        let node = self.node(section, found)?;
        let entry = section.entry("node")?;
        let subject = |name: &str| self.references.names.subject(name);
        if let NodeRef::Name(name) = &node
            && !matches!(subject(name), None | Some(Subject::Broker | Subject::Controller))
        {
            let message = format!("`{name}` is no broker");
            let help = format!("write actor = \"{name}\" to close it");
            found.add(Problem::new(entry.node.place, message).help(help));
        }
        Some(node)
    }

    /// A machine whose program handles records.
    fn handler(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<NodeRef> {
        let entry = section.required("node", found)?;
        let allowed = [Subject::Member, Subject::Reader];
        let (name, _) = self.references.subject(&entry.node, &allowed, found)?;
        Some(NodeRef::Name(name))
    }

    fn actor(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<String> {
        let entry = section.required("actor", found)?;
        let allowed = [Subject::Producer, Subject::Group, Subject::Member, Subject::Reader];
        Some(self.references.subject(&entry.node, &allowed, found)?.0)
    }

    /// `links = ["b1 <-> b2"]`, `links = "all"`, or all links of a `node`.
    fn links(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<Links> {
        let (links, node) = (section.entry("links"), section.entry("node"));
        match (links, node) {
            (Some(links), None) => match &links.node.value {
                Value::Text(all) if all == "all" => Some(Links::All),
                Value::Text(_) => {
                    Some(Links::Some(vec![self.references.link(&links.node, found)?]))
                }
                Value::List(list) if list.is_empty() => {
                    found.add(Problem::new(links.node.place, "no link is named"));
                    None
                }
                _ => {
                    let list = section.nodes("links", "a list of links", found)?;
                    let links = list.iter().filter_map(|node| self.references.link(node, found));
                    Some(Links::Some(links.collect()))
                }
            },
            (None, Some(node)) => Some(Links::Of(self.references.node(&node.node, found)?)),
            (Some(links), Some(_)) => {
                found.add(Problem::new(links.place(), "`links` and `node` both say which links"));
                None
            }
            (None, None) => {
                let help = "write links = [\"b1 <-> b2\"], links = \"all\", or node = \"b1\" for all of b1's";
                found.add(Problem::new(section.place, "this step names no links").help(help));
                None
            }
        }
    }
}

const MOMENTS: &str =
    "a step has one moment: `at`; or `when` with of, record, count, after; or `after` with wait";

/// Keys that belong to another kind of moment than the step's.
fn strays(section: &mut Section<'_>, keys: &[&'static str], found: &mut Findings) {
    let strays = keys.iter().filter_map(|key| Some((*key, section.entry(key)?.place())));
    let strays: Vec<_> = strays.collect();
    if let Some((_, place)) = strays.first() {
        let names: Vec<_> = strays.iter().map(|(key, _)| format!("`{key}`")).collect();
        let message = format!("this step has another moment besides {}", names.join(", "));
        found.add(Problem::new(*place, message).help(MOMENTS));
    }
}

fn by(section: &mut Section<'_>, found: &mut Findings) -> Option<Span> {
    section.required("by", found);
    section.parsed("by", &SPAN, found)
}

/// Milliseconds to move a clock by, `-2s` back.
struct Shift(i64);

impl std::str::FromStr for Shift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sign, length) = match text.strip_prefix('-') {
            Some(length) => (-1, length),
            None => (1, text),
        };
        let length: Span = length.parse()?;
        let millis = i64::try_from(length.0.as_millis()).map_err(|_| "too long".to_owned())?;
        Ok(Shift(sign * millis))
    }
}

/// Steps that wait for each other in a circle never fire.
fn waits_for_itself(steps: &[Step], ids: &BTreeMap<String, Place>, found: &mut Findings) {
    let waits: BTreeMap<&str, &str> = steps
        .iter()
        .filter_map(|step| match (&step.id, &step.trigger) {
            (Some(id), Trigger::After { step: after, .. })
            | (Some(id), Trigger::When { after: Some(after), .. }) => {
                Some((id.as_str(), after.as_str()))
            }
            _ => None,
        })
        .collect();
    for (id, place) in ids {
        let mut seen = BTreeSet::new();
        let mut at = id.as_str();
        while let Some(next) = waits.get(at).filter(|_| seen.insert(at)) {
            if *next == id {
                let message = format!("step `{id}` waits for itself: it can never fire");
                found.add(Problem::new(*place, message));
                break;
            }
            at = next;
        }
    }
}
