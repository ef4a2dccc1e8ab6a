//! What an operator does to topics and brokers: the steps that ask the cluster for something.

use super::{
    cluster::{self, MAX_BROKERS, MAX_PARTITIONS},
    names::Subject,
    section::{Findings, Section},
    settings,
    steps::Steps,
};
use crate::{
    kafka::{config::Side, types::TopicPartition},
    testbed::{
        plan::{Action, ElectionType},
        scenario::{
            problem::Problem,
            words::{ELECTIONS, Verb},
        },
    },
};

/// The action of an operator's verb; `None` if something of it is wrong.
pub(super) fn action(
    verb: Verb,
    steps: &Steps<'_>,
    section: &mut Section<'_>,
    found: &mut Findings,
) -> Option<Action> {
    match verb {
        Verb::CreateTopic => {
            section.required("topic", found);
            let topic = section.text("topic", found).map(str::to_owned);
            let partitions = section.number("partitions", 1..=MAX_PARTITIONS, found).unwrap_or(1);
            let factor = section.number("replication-factor", 1..=MAX_BROKERS, found);
            let replication_factor = factor.map(|factor| factor as u32);
            Some(Action::CreateTopic {
                topic: topic?,
                partitions: partitions as u32,
                replication_factor,
            })
        }
        Verb::DeleteTopic => Some(Action::DeleteTopic { topic: topic(steps, section, found)? }),
        Verb::AddPartitions => add_partitions(steps, section, found),
        Verb::AlterConfig => {
            let topic = topic(steps, section, found);
            section.required("config", found);
            let config = section.inner("config", found);
            let given = settings::given(config, Side::Topic, steps.ignored, found);
            Some(Action::AlterConfig { topic: topic?, config: given.map })
        }
        Verb::Reassign => {
            let partition = partition(steps, section, found);
            let brokers: Vec<_> = steps.references.names.brokers().collect();
            let replicas = section.required("replicas", found)?;
            let replicas = cluster::placed(&replicas.node, &brokers, found);
            Some(Action::Reassign { partition: partition?, replicas })
        }
        Verb::CancelReassignment => {
            Some(Action::CancelReassignment { partition: partition(steps, section, found)? })
        }
        Verb::Elect => {
            let election = section.word("election", "election", ELECTIONS, found);
            let election = election.unwrap_or(ElectionType::Preferred);
            let partition = match section.has("partition") {
                true => Some(partition(steps, section, found)?),
                false => {
                    section.entry("partition");
                    None
                }
            };
            Some(Action::Elect { partition, election })
        }
        Verb::AddBroker => add_broker(steps, section, found),
        _ => None,
    }
}

fn topic(steps: &Steps<'_>, section: &mut Section<'_>, found: &mut Findings) -> Option<String> {
    let entry = section.required("topic", found)?;
    Some(steps.references.subject(&entry.node, &[Subject::Topic], found)?.0)
}

fn partition(
    steps: &Steps<'_>,
    section: &mut Section<'_>,
    found: &mut Findings,
) -> Option<TopicPartition> {
    let entry = section.required("partition", found)?;
    let (name, _) = steps.references.subject(&entry.node, &[Subject::Partition], found)?;
    super::names::partition(&name)
}

fn add_partitions(
    steps: &Steps<'_>,
    section: &mut Section<'_>,
    found: &mut Findings,
) -> Option<Action> {
    let topic = topic(steps, section, found);
    let entry = section.required("partitions", found);
    let partitions = section.number("partitions", 1..=MAX_PARTITIONS, found)?;
    let topic = topic?;
    if let Some(first) = steps.references.names.first_partitions(&topic)
        && partitions <= first
        && let Some(entry) = entry
    {
        let message =
            format!("`{topic}` has {first} partitions already: {partitions} are not more");
        found.add(
            Problem::new(entry.node.place, message)
                .label("Kafka refuses this with InvalidPartitionsException")
                .help("`partitions` is how many there are to be in all"),
        );
    }
    Some(Action::AddPartitions { topic, partitions: partitions as u32 })
}

/// The added broker's name says which number it has: the next one.
fn add_broker(
    steps: &Steps<'_>,
    section: &mut Section<'_>,
    found: &mut Findings,
) -> Option<Action> {
    let entry = section.required("node", found);
    let name = section.text("node", found)?;
    let rack = section.text("rack", found).map(str::to_owned);
    let names = steps.references.names;
    let next: Vec<_> = (1..).map(|more| names.brokers + more).take(names.added.len()).collect();
    let number = name.strip_prefix('b').and_then(|number| number.parse::<i64>().ok());
    if let Some(entry) = entry {
        let place = entry.node.place;
        if names.first_brokers().any(|broker| broker == name) {
            let message = format!("`{name}` is there from the beginning");
            let help = format!("the next broker is `b{}`", names.brokers + 1);
            found.add(Problem::new(place, message).help(help));
        } else if !number.is_some_and(|number| next.contains(&number)) {
            let message = format!("`{name}` is not the next broker");
            let help = format!("brokers are numbered: write `b{}`", names.brokers + 1);
            found.add(Problem::new(place, message).help(help));
        } else if number.is_some_and(|number| number > MAX_BROKERS) {
            let message = format!("this build takes at most {MAX_BROKERS} brokers");
            found.add(Problem::new(place, message));
        }
    }
    Some(Action::AddBroker { broker: name.to_owned(), rack })
}
