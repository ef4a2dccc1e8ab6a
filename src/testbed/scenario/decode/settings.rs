//! Settings by Kafka's names: known, on the right side, modelled, in range and fitting together.

use std::collections::BTreeMap;

use super::section::{Findings, Section};
use crate::{
    kafka::config::{ConfigError, Row, Settings, Side, Support, find, rows},
    testbed::{
        plan::ConfigMap,
        scenario::{
            problem::{Place, Problem},
            tree::{Entry, Node, Value},
            words::nearest,
        },
    },
};

const SIDES: [Side; 4] = [Side::Broker, Side::Topic, Side::Producer, Side::Consumer];

/// Under which each kind of refusal is known to whoever runs Kafka.
const REFUSED: &str = "Kafka refuses this with ConfigException";

/// One `config` table, decoded.
pub(super) struct Given {
    pub map: ConfigMap,
    pub settings: Settings,
    /// Of each name that is set.
    places: BTreeMap<String, Place>,
    header: Place,
    sound: bool,
}

/// Reads a `config` table of one side. `ignored` are names that may be given without effect.
pub(super) fn given(
    section: Section<'_>,
    side: Side,
    ignored: &[String],
    found: &mut Findings,
) -> Given {
    let mut given = Given {
        map: ConfigMap::new(),
        settings: Settings::new(side),
        places: BTreeMap::new(),
        header: section.place,
        sound: true,
    };
    for entry in section.entries() {
        if let Err(problem) = given.take(entry, side, ignored) {
            given.sound = false;
            found.add(problem);
        }
    }
    given
}

impl Given {
    fn take(&mut self, entry: &Entry, side: Side, ignored: &[String]) -> Result<(), Problem> {
        let name = entry.key.as_str();
        if let Some(first) = self.places.insert(name.to_owned(), entry.place()) {
            let message = format!("`{name}` is set twice");
            return Err(Problem::new(entry.place(), message).also(first, "first here"));
        }
        let Some(row) = find(side, name) else {
            return Err(unknown(side, name, entry.key_place));
        };
        if row.support == Support::NotModelled && !ignored.iter().any(|ignored| ignored == name) {
            return Err(no_effect(row, entry));
        }
        let text = text_of(&entry.node).ok_or_else(|| {
            Problem::new(entry.node.place, format!("`{name}` needs a value"))
                .help("settings are texts, numbers, true or false, or lists of these")
        })?;
        self.settings
            .set(name, &text)
            .map_err(|error| Problem::new(entry.node.place, error.to_string()).label(REFUSED))?;
        self.map.insert(name.to_owned(), text);
        Ok(())
    }

    /// Sets what the testbed itself sets; a file that sets it too is told where it belongs.
    pub(super) fn reserve(
        &mut self,
        name: &'static str,
        value: &str,
        why: &str,
        found: &mut Findings,
    ) {
        if let Some(place) = self.places.get(name) {
            let message = format!("`{name}` is not set here: {why}");
            found.add(Problem::new(*place, message).help("remove this line"));
        }
        // Any text is allowed for the names that are reserved.
        let _ = self.settings.set(name, value);
    }

    pub(super) fn place_of(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    /// Where a problem with `name` is shown: where it is set, or at the table's header.
    pub(super) fn place_near(&self, name: &str) -> Place {
        self.place_of(name).unwrap_or(self.header)
    }

    /// Builds the typed view; what Kafka's constructor would refuse is a problem.
    pub(super) fn view<V>(
        &self,
        build: impl FnOnce(&Settings) -> Result<V, Vec<ConfigError>>,
        found: &mut Findings,
    ) -> Option<V> {
        // What does not stand alone is not asked how it fits together.
        if !self.sound {
            return None;
        }
        match build(&self.settings) {
            Ok(view) => Some(view),
            Err(errors) => {
                errors.into_iter().for_each(|error| found.add(self.refused(&error)));
                None
            }
        }
    }

    fn refused(&self, error: &ConfigError) -> Problem {
        let (names, label) = match error {
            ConfigError::Conflict { names, .. } => (names.as_slice(), REFUSED),
            ConfigError::NotModelled { names, .. } => (names.as_slice(), "not modelled here"),
            ConfigError::Unknown { .. } | ConfigError::Invalid { .. } => (&[][..], REFUSED),
        };
        let mut places = names.iter().filter_map(|name| self.place_of(name));
        let place = places.next().unwrap_or(self.header);
        let problem = Problem::new(place, error.to_string()).label(label);
        let problem = places.fold(problem, |problem, place| problem.also(place, "and this"));
        if names.contains(&"enable.idempotence") {
            problem.help("mend it, or set enable.idempotence = false")
        } else {
            problem
        }
    }
}

/// A value as a properties file has it.
fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::List(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(text_of).collect();
            Some(parts?.join(","))
        }
        Value::Table(_) | Value::Other(_) => None,
    }
}

/// A name this side of the table does not have.
pub(super) fn unknown(side: Side, name: &str, place: Place) -> Problem {
    // Dozens of names, none of which is in the table.
    if name.starts_with("ssl.") || name.starts_with("sasl.") {
        return Problem::new(place, format!("`{name}` has no effect here: nothing is secured"))
            .label("not modelled")
            .help("remove it");
    }
    let names = rows(side).iter().map(|row| row.name);
    let near = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
    let elsewhere = SIDES.into_iter().find(|other| find(*other, name).is_some());
    let elsewhere = elsewhere
        .map(|other| format!("`{name}` is a Kafka {other} setting; this is a {side} table"));
    let help = match (elsewhere, near) {
        (Some(elsewhere), Some(near)) => Some(format!("{elsewhere}; {near}")),
        (elsewhere, near) => elsewhere.or(near),
    };
    Problem::new(place, format!("Kafka has no {side} setting `{name}`"))
        .label("unknown setting")
        .maybe_help(help)
}

fn no_effect(row: &Row, entry: &Entry) -> Problem {
    let name = row.name;
    Problem::new(entry.key_place, format!("`{name}` is known to Kafka and has no effect here"))
        .label("not modelled")
        .help(format!("remove it, or write `ignored = [\"{name}\"]` at the top of the file"))
}

/// The names a file knowingly sets without effect.
pub(super) fn ignored(section: &mut Section<'_>, found: &mut Findings) -> Vec<String> {
    let nodes = section.nodes("ignored", "a list of names of settings", found).unwrap_or_default();
    let mut names = Vec::new();
    for node in nodes {
        let Some(name) = super::text(node, found) else { continue };
        let of_sides: Vec<_> = SIDES.into_iter().filter_map(|side| find(side, name)).collect();
        if of_sides.is_empty() {
            let all = SIDES.into_iter().flat_map(rows).map(|row| row.name);
            let help = nearest(name, all).map(|near| format!("did you mean `{near}`?"));
            let message = format!("Kafka has no setting `{name}`");
            found.add(Problem::new(node.place, message).maybe_help(help));
        } else if of_sides.iter().all(|row| row.support == Support::Modelled) {
            let message = format!("`{name}` has its effect here: it cannot be ignored");
            found.add(Problem::new(node.place, message));
        } else {
            names.push(name.to_owned());
        }
    }
    names
}
