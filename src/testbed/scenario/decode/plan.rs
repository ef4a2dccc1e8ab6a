//! A whole file: its sections in an order in which each knows what it needs of the others.

use super::{
    actors::Surroundings,
    behaviour, cluster,
    expectations::Expectations,
    names::Names,
    references::References,
    section::{Findings, Section},
    settings,
    steps::Steps,
};
use crate::testbed::{
    plan::Plan,
    scenario::{about::About, problem::Problem, tree::Table, words::nearest},
};

/// The profile every default comes from, and the only one this build has.
const PROFILE: &str = "4.1";

/// Decodes a tree. What it returns means something only if nothing was found.
pub(in crate::testbed::scenario) fn plan(
    root: &Table,
    name: &str,
    found: &mut Findings,
) -> (Plan, About) {
    let top = crate::testbed::scenario::problem::Place { source: 0, start: 0, end: 0 };
    let mut root_section = Section::new(root, top, "");
    let section = &mut root_section;
    let names = Names::of(root);
    let references = || References { names: &names };

    let about = About::decode(section, found);
    let kafka = profile(section, found);
    let ignored = settings::ignored(section, found);
    let mut run_section = section.inner("run", found);
    let run = cluster::run(&mut run_section, found);
    let about = about.with_seeds(&mut run_section, run.seed, found);
    run_section.close(found);
    let network = cluster::network(section.inner("network", found), found);
    let (cluster, given, broker) =
        cluster::cluster(section.inner("cluster", found), &ignored, found);
    let behaviour = behaviour::behaviour(&section.inner("behaviour", found), found);
    let topics = cluster::topics(section, &ignored, broker.as_ref(), &names, found);
    let actors =
        Surroundings { references: references(), ignored: &ignored, broker: broker.as_ref() };
    let producers = actors.producers(section, found);
    let groups = actors.groups(section, found);
    let readers = actors.readers(section, found);
    if let Some(broker) = &broker {
        let committing =
            groups.len() + readers.values().filter(|one| one.group_id.is_some()).count();
        cluster::offsets_topic(&given, broker, cluster.brokers, committing, found);
    }
    let steps = Steps { references: references(), ignored: &ignored, run: run.clone() };
    let steps = steps.all(section.list_of_tables("step", found), found);
    let expectations = Expectations { references: references() }.all(section, found);
    // Variants are laid over this tree one by one, by whoever called.
    section.entry("variant");
    root_section.close(found);
    let title = about.title.clone();
    let plan = Plan {
        name: name.to_owned(),
        title,
        kafka,
        run,
        network,
        cluster,
        behaviour,
        topics,
        producers,
        groups,
        readers,
        steps,
        expectations,
        ignored,
    };
    (plan, about)
}

fn profile(section: &mut Section<'_>, found: &mut Findings) -> String {
    let given = section.text("kafka", found).unwrap_or(PROFILE);
    if given != PROFILE
        && let Some(entry) = section.entry("kafka")
    {
        let message = format!("this build has no profile of Kafka {given}");
        let help = match nearest(given, [PROFILE]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {PROFILE}"),
        };
        found.add(Problem::new(entry.node.place, message).help(help));
    }
    given.to_owned()
}
