//! The `[behaviour]` table: what Kafka once did otherwise, brought back by name.

use super::section::{Findings, Section, text};
use crate::{
    kafka::behaviour::{Behaviour, Switch, find, switches},
    testbed::scenario::{
        problem::Problem,
        tree::{Entry, Node, Value},
        words::nearest,
    },
};

pub(super) fn behaviour(section: &Section<'_>, found: &mut Findings) -> Behaviour {
    let mut behaviour = Behaviour::default();
    for entry in section.entries() {
        match find(&entry.key) {
            Some(switch) => set(&mut behaviour, switch, &entry.node, found),
            None => found.add(unknown(entry)),
        }
    }
    behaviour
}

fn set(behaviour: &mut Behaviour, switch: &Switch, node: &Node, found: &mut Findings) {
    let names = || switch.choices.iter().map(|choice| choice.name);
    let all = || format!("known: {}", names().collect::<Vec<_>>().join(", "));
    if let Value::Boolean(value) = node.value {
        // TOML has words of its own for what people would write here.
        let message = format!("`{}` is a name in quotes, not {value}", switch.key);
        found.add(Problem::new(node.place, message).help(all()));
        return;
    }
    let Some(value) = text(node, found) else { return };
    if let Err(error) = behaviour.set(switch.key, value) {
        let help = match nearest(value, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => all(),
        };
        let label = format!("retrial explain {}", switch.key);
        found.add(Problem::new(node.place, error.to_string()).label(label).help(help));
    }
}

fn unknown(entry: &Entry) -> Problem {
    let keys = || switches().iter().map(|switch| switch.key);
    let help = match nearest(&entry.key, keys()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", keys().collect::<Vec<_>>().join(", ")),
    };
    Problem::new(entry.key_place, format!("no behaviour is called `{}`", entry.key)).help(help)
}
