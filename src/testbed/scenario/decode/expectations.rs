//! What a trial must show.

use std::str::FromStr;

use super::{
    names::Subject,
    references::References,
    section::{Findings, Form, Section, parsed, text, wrong_kind},
};
use crate::testbed::{
    plan::{Comparison, Expectation, ExpectedVerdict, FactKind, Guarantee, Tolerance},
    scenario::{
        problem::Problem,
        tree::{Entry, Node, Value},
        words::{CAUSES, ERRORS, FACTS, GUARANTEES, Named, VERDICTS, nearest},
    },
};

const COMPARISON: Form = Form { wanted: "a comparison in quotes", example: ">= 1" };

/// Of whom a guarantee can be expected. Application guarantees are judged per group, log guarantees per
/// topic or producer.
fn judged(guarantee: Guarantee) -> &'static [Subject] {
    use Subject::{Cluster, Group, Partition, Producer, Reader, Topic};
    match guarantee {
        Guarantee::ProcessedAtMostOnce
        | Guarantee::ProcessedAtLeastOnce
        | Guarantee::ProcessedExactlyOnce
        | Guarantee::EffectAtMostOnce
        | Guarantee::EffectAtLeastOnce
        | Guarantee::EffectExactlyOnce
        | Guarantee::NoCommitPassesUnprocessed
        | Guarantee::OneOwner
        | Guarantee::NoSkip
        | Guarantee::MonotonePolls
        | Guarantee::TopicOrder
        | Guarantee::LagDrains
        | Guarantee::GroupSettles => &[Group],
        Guarantee::PartitionOrder | Guarantee::KeyOrder => &[Topic, Partition, Producer],
        Guarantee::NoDuplicateAppend | Guarantee::AckedRecordsSurvive => {
            &[Topic, Partition, Producer]
        }
        Guarantee::OffsetsAgree => &[Topic, Partition],
        Guarantee::ReplicasAgree => &[Topic, Partition, Cluster],
        Guarantee::CommittedReadsStable => &[Group, Reader],
        Guarantee::WritesAccepted => &[Producer],
        Guarantee::QuorumAgrees => &[Cluster],
        Guarantee::ClusterHeals => &[Topic, Partition, Cluster],
    }
}

/// Of whom a fact is known.
enum Known {
    Of(&'static [Subject]),
    /// A group's, in one partition: `billing orders-0`.
    GroupInPartition,
}

fn known(fact: FactKind) -> Known {
    use Subject::{Broker, Group, Member, Partition, Producer, Reader, Topic};
    match fact {
        FactKind::Partitions => Known::Of(&[Topic]),
        FactKind::LogStart | FactKind::LogEnd => Known::Of(&[Partition]),
        FactKind::Committed | FactKind::Lag => Known::GroupInPartition,
        FactKind::Generation | FactKind::Rebalances | FactKind::IdleMembers => Known::Of(&[Group]),
        FactKind::Error => Known::Of(&[Producer, Group, Member, Reader]),
        FactKind::Records => Known::Of(&[Topic, Partition]),
        FactKind::Acked => Known::Of(&[Producer]),
        FactKind::Delivered | FactKind::Processed | FactKind::SentToFollower => {
            Known::Of(&[Group, Member, Reader])
        }
        FactKind::Batches | FactKind::Deduplicated => Known::Of(&[Topic, Partition]),
        FactKind::Retries => Known::Of(&[Producer]),
        FactKind::Leader | FactKind::Epoch | FactKind::Isr | FactKind::Hw => {
            Known::Of(&[Partition])
        }
        FactKind::Elections => Known::Of(&[Topic, Partition]),
        FactKind::Leads | FactKind::Replicas => Known::Of(&[Broker]),
    }
}

/// Read back when all is over.
fn at_end_only(fact: FactKind) -> bool {
    matches!(fact, FactKind::LogStart | FactKind::LogEnd | FactKind::Committed | FactKind::Lag)
}

pub(super) struct Expectations<'n> {
    pub references: References<'n>,
}

impl Expectations<'_> {
    pub(super) fn all(&self, root: &mut Section<'_>, found: &mut Findings) -> Vec<Expectation> {
        let sections = root.list_of_tables("expect", found);
        if sections.is_empty() {
            let problem = Problem::new(root.place, "this scenario expects nothing").help(
                "add an [[expect]] table with a guarantee and its verdict, or a fact and what it is",
            );
            found.add(problem);
        }
        sections.into_iter().filter_map(|section| self.one(section, found)).collect()
    }

    fn one(&self, mut section: Section<'_>, found: &mut Findings) -> Option<Expectation> {
        let (guarantee, fact) = (section.entry("guarantee"), section.entry("fact"));
        let expectation = match (guarantee, fact) {
            (Some(entry), None) => self.guarantee(entry, &mut section, found),
            (None, Some(_)) => self.fact(&mut section, found),
            (Some(_), Some(fact)) => {
                let message = "an expectation is a guarantee or a fact, not both";
                found.add(Problem::new(fact.place(), message).help("write two [[expect]] tables"));
                return None;
            }
            (None, None) => {
                let problem =
                    Problem::new(section.place, "this expectation names no guarantee and no fact")
                        .help(
                            "write guarantee = \"...\" with a verdict, or fact = \"...\" with `is`",
                        );
                found.add(problem);
                return None;
            }
        };
        section.close(found);
        expectation
    }

    fn guarantee(
        &self,
        entry: &Entry,
        section: &mut Section<'_>,
        found: &mut Findings,
    ) -> Option<Expectation> {
        let guarantee = section.word("guarantee", "guarantee", GUARANTEES, found);
        if !section.has("verdict") {
            let problem = Problem::new(entry.node.place, "a guarantee needs a verdict")
                .label("holds here, or violated here?")
                .help("add `verdict = \"holds\"` or `verdict = \"violated\"`");
            found.add(problem);
        }
        let verdict = section.word("verdict", "verdict", VERDICTS, found);
        if verdict == Some(ExpectedVerdict::Holds) {
            only_of_violations(section, found);
        }
        let of = self.of(section, guarantee.map_or(EVERYTHING, judged), found);
        let records = section.nodes("records", "a list of records", found);
        let records = records.map(|nodes| {
            nodes.iter().filter_map(|node| self.references.record(node, found)).collect()
        });
        let expectation = Expectation::Guarantee {
            guarantee: guarantee?,
            of: of?,
            verdict: verdict?,
            records,
            count: comparison(section, "count", found),
            cause: section.word("cause", "cause", CAUSES, found),
            over: tolerance(section, found),
            say: section.text("say", found).map(str::to_owned),
        };
        Some(expectation)
    }

    fn fact(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<Expectation> {
        let fact = section.word("fact", "fact", FACTS, found);
        let of = match fact.map(known) {
            Some(Known::Of(allowed)) => self.of(section, allowed, found),
            Some(Known::GroupInPartition) => self.pair(section, found),
            None => section.text("of", found).map(str::to_owned),
        };
        let named = match fact {
            Some(FactKind::Error) => true,
            Some(FactKind::Retries) => section.has("name"),
            _ => false,
        };
        let name = named.then(|| error_name(section, found)).flatten();
        section.required("is", found);
        let is = comparison(section, "is", found);
        let after = section.entry("after");
        if let (Some(fact), Some(after)) = (fact.filter(|fact| at_end_only(*fact)), after) {
            let message = format!("`{}` is known at the end only", fact.name());
            found.add(Problem::new(after.place(), message).help("remove `after`"));
        }
        let after = after.and_then(|entry| self.references.step(&entry.node, found));
        let over = tolerance(section, found);
        let say = section.text("say", found).map(str::to_owned);
        Some(Expectation::Fact { fact: fact?, of: of?, name, is: is?, after, over, say })
    }

    fn of(
        &self,
        section: &mut Section<'_>,
        allowed: &[Subject],
        found: &mut Findings,
    ) -> Option<String> {
        let entry = section.required("of", found)?;
        Some(self.references.subject(&entry.node, allowed, found)?.0)
    }

    /// A group and a partition: `billing orders-0`.
    fn pair(&self, section: &mut Section<'_>, found: &mut Findings) -> Option<String> {
        let entry = section.required("of", found)?;
        let of = text(&entry.node, found)?;
        let place = entry.node.place;
        match of.split_once(' ') {
            Some((group, partition)) => {
                self.references.check(group, place, &[Subject::Group], found);
                self.references.check(partition, place, &[Subject::Partition], found);
            }
            None => {
                let message = format!("`{of}` is not a group and a partition");
                let help = "write it like of = \"billing orders-0\"";
                found.add(Problem::new(place, message).help(help));
            }
        }
        Some(of.to_owned())
    }
}

const EVERYTHING: &[Subject] = &[
    Subject::Cluster,
    Subject::Broker,
    Subject::Producer,
    Subject::Group,
    Subject::Member,
    Subject::Reader,
    Subject::Topic,
    Subject::Partition,
];

/// What holds has no records that break it.
fn only_of_violations(section: &mut Section<'_>, found: &mut Findings) {
    for key in ["records", "count", "cause"] {
        if let Some(entry) = section.entry(key) {
            let message = format!("`{key}` belongs to a violation, and this is expected to hold");
            found.add(Problem::new(entry.place(), message));
        }
    }
}

fn error_name(section: &mut Section<'_>, found: &mut Findings) -> Option<String> {
    let entry = section.required("name", found)?;
    let name = text(&entry.node, found)?;
    if !ERRORS.iter().any(|error| error.name == name) {
        let near = nearest(name, ERRORS.iter().map(|error| error.name));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let message = format!("no client reports `{name}`");
        found.add(Problem::new(entry.node.place, message).maybe_help(help));
    } else if name == "ConfigException" {
        let message = "a configuration that Kafka refuses is found before anything runs";
        found.add(Problem::new(entry.node.place, message).label("no run can show it"));
    }
    Some(name.to_owned())
}

/// `"= 10"`, `">= 1"`, `"<= 1"`, `"10"`, `10`.
fn comparison(
    section: &mut Section<'_>,
    key: &'static str,
    found: &mut Findings,
) -> Option<Comparison> {
    let entry = section.entry(key)?;
    match &entry.node {
        Node { value: Value::Integer(number), .. } => Some(Comparison::Equal(*number)),
        node => Some(parsed::<Compared>(node, &COMPARISON, found)?.0),
    }
}

struct Compared(Comparison);

impl FromStr for Compared {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let text = written.trim();
        let (make, number): (fn(i64) -> Comparison, &str) =
            if let Some(rest) = text.strip_prefix(">=") {
                (Comparison::AtLeast, rest)
            } else if let Some(rest) = text.strip_prefix("<=") {
                (Comparison::AtMost, rest)
            } else {
                (Comparison::Equal, text.strip_prefix('=').unwrap_or(text))
            };
        let number = number.trim().parse();
        let number = number.map_err(|_| {
            format!("`{written}` is no comparison: expected =, >= or <= and a whole number")
        })?;
        Ok(Compared(make(number)))
    }
}

fn tolerance(section: &mut Section<'_>, found: &mut Findings) -> Tolerance {
    let Some(entry) = section.entry("over") else { return Tolerance::EverySeed };
    let written = match &entry.node.value {
        Value::Text(written) => written.as_str(),
        other => {
            found.add(wrong_kind(entry.node.place, "text in quotes", other));
            return Tolerance::EverySeed;
        }
    };
    let rate = || {
        let share = written.strip_prefix("rate")?.trim().strip_prefix(">=")?.trim();
        share.parse().ok().filter(|share| (0.0..=1.0).contains(share))
    };
    match (written, rate()) {
        ("every-seed", _) => Tolerance::EverySeed,
        ("some-seed", _) => Tolerance::SomeSeed,
        (_, Some(share)) => Tolerance::Rate(share),
        (_, None) => {
            let message = format!("`{written}` does not say on how many seeds");
            let help = "write \"every-seed\", \"some-seed\" or \"rate >= 0.2\"";
            found.add(Problem::new(entry.node.place, message).help(help));
            Tolerance::EverySeed
        }
    }
}
