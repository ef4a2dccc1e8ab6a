//! Reading one table of the tree, key by key.
//!
//! A section remembers which keys it was asked for: whatever else the table holds is unknown, and the
//! nearest of the asked ones is suggested.

use std::{collections::BTreeSet, ops::RangeInclusive, str::FromStr};

use super::super::{
    problem::{Place, Problem},
    tree::{Entry, Node, Table, Value},
    words::{Word, nearest},
};

/// Problems as they are found.
#[derive(Default)]
pub(in crate::testbed::scenario) struct Findings {
    pub problems: Vec<Problem>,
}

impl Findings {
    pub(in crate::testbed::scenario) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

static EMPTY: Table = Table { entries: Vec::new() };

pub(in crate::testbed::scenario) struct Section<'t> {
    table: &'t Table,
    /// For a missing key: the header of the table.
    pub place: Place,
    /// What messages call it: `[producers.shop]`.
    pub name: String,
    asked: BTreeSet<&'static str>,
}

impl<'t> Section<'t> {
    pub(in crate::testbed::scenario) fn new(
        table: &'t Table,
        place: Place,
        name: impl Into<String>,
    ) -> Self {
        Section { table, place, name: name.into(), asked: BTreeSet::new() }
    }

    /// The table in a node; a problem and an empty section if it is none.
    pub(in crate::testbed::scenario) fn of(
        node: &'t Node,
        place: Place,
        name: impl Into<String>,
        found: &mut Findings,
    ) -> Self {
        match &node.value {
            Value::Table(table) => Section::new(table, place, name),
            other => {
                found.add(wrong_kind(node.place, "a table", other));
                Section::new(&EMPTY, place, name)
            }
        }
    }

    pub(in crate::testbed::scenario) fn entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.asked.insert(key);
        self.table.get(key)
    }

    /// All of them, for tables whose keys are not ours to list.
    pub(in crate::testbed::scenario) fn entries(&self) -> &'t [Entry] {
        &self.table.entries
    }

    pub(in crate::testbed::scenario) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// An inner table, empty if it is not given.
    pub(in crate::testbed::scenario) fn inner(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Section<'t> {
        let name = if self.name.is_empty() {
            format!("[{key}]")
        } else {
            format!("{}.{key}]", self.name.trim_end_matches(']'))
        };
        match self.entry(key) {
            Some(entry) => Section::of(&entry.node, entry.key_place, name, found),
            None => Section::new(&EMPTY, self.place, name),
        }
    }

    /// The named tables of a kind: topics, producers, groups, readers.
    pub(in crate::testbed::scenario) fn each(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Vec<(&'t Entry, Section<'t>)> {
        let table = self.inner(key, found).table;
        let section = |entry: &'t Entry| {
            let name = format!("[{key}.{}]", entry.key);
            (entry, Section::of(&entry.node, entry.key_place, name, found))
        };
        table.entries.iter().map(section).collect()
    }

    /// The tables of a `[[list]]`.
    pub(in crate::testbed::scenario) fn list_of_tables(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Vec<Section<'t>> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Value::List(list) = &entry.node.value else {
            let wanted = format!("a list of tables, each under [[{key}]]");
            found.add(wrong_kind(entry.place(), &wanted, &entry.node.value));
            return Vec::new();
        };
        list.iter().map(|node| Section::of(node, node.place, format!("[[{key}]]"), found)).collect()
    }

    pub(in crate::testbed::scenario) fn required(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Option<&'t Entry> {
        let entry = self.entry(key);
        if entry.is_none() {
            let message = match self.name.as_str() {
                "" => format!("a scenario needs `{key}`"),
                name => format!("{name} needs `{key}`"),
            };
            found.add(Problem::new(self.place, message));
        }
        entry
    }

    pub(in crate::testbed::scenario) fn text(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Option<&'t str> {
        self.entry(key).and_then(|entry| text(&entry.node, found))
    }

    pub(in crate::testbed::scenario) fn flag(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Option<bool> {
        let entry = self.entry(key)?;
        match &entry.node.value {
            Value::Boolean(value) => Some(*value),
            other => {
                found.add(wrong_kind(entry.node.place, "true or false", other));
                None
            }
        }
    }

    /// A whole number of a range; the range is part of the message.
    pub(in crate::testbed::scenario) fn number(
        &mut self,
        key: &'static str,
        allowed: RangeInclusive<i64>,
        found: &mut Findings,
    ) -> Option<i64> {
        let entry = self.entry(key)?;
        number(&entry.node, key, allowed, found)
    }

    pub(in crate::testbed::scenario) fn fraction(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Option<f64> {
        let entry = self.entry(key)?;
        let value = match &entry.node.value {
            Value::Float(value) => *value,
            Value::Integer(value) => *value as f64,
            other => {
                found.add(wrong_kind(entry.node.place, "a number from 0 to 1", other));
                return None;
            }
        };
        if (0.0..=1.0).contains(&value) {
            return Some(value);
        }
        found.add(Problem::new(
            entry.node.place,
            format!("`{key}` is a share: a number from 0 to 1"),
        ));
        None
    }

    /// Text that is read as something else: a length of time, a record, a comparison.
    pub(in crate::testbed::scenario) fn parsed<T: FromStr<Err = String>>(
        &mut self,
        key: &'static str,
        form: &Form,
        found: &mut Findings,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        parsed(&entry.node, form, found)
    }

    /// One of a closed list of words.
    pub(in crate::testbed::scenario) fn word<T: Clone>(
        &mut self,
        key: &'static str,
        what: &str,
        words: &'static [Word<T>],
        found: &mut Findings,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        word(&entry.node, what, words, found)
    }

    pub(in crate::testbed::scenario) fn texts(
        &mut self,
        key: &'static str,
        found: &mut Findings,
    ) -> Option<Vec<&'t str>> {
        let nodes = self.nodes(key, "a list of texts", found)?;
        Some(nodes.iter().filter_map(|node| text(node, found)).collect())
    }

    pub(in crate::testbed::scenario) fn nodes(
        &mut self,
        key: &'static str,
        wanted: &str,
        found: &mut Findings,
    ) -> Option<&'t [Node]> {
        let entry = self.entry(key)?;
        match &entry.node.value {
            Value::List(nodes) => Some(nodes),
            other => {
                found.add(wrong_kind(entry.node.place, wanted, other));
                None
            }
        }
    }

    /// Everything that was not asked for is unknown.
    pub(in crate::testbed::scenario) fn close(self, found: &mut Findings) {
        for entry in &self.table.entries {
            if !self.asked.contains(entry.key.as_str()) {
                found.add(self.unknown(entry));
            }
        }
    }

    fn unknown(&self, entry: &Entry) -> Problem {
        let place =
            if self.name.is_empty() { "at the top".into() } else { format!("in {}", self.name) };
        let message = format!("unknown key `{}` {place}", entry.key);
        let asked = || self.asked.iter().copied();
        let help = match nearest(&entry.key, asked()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", asked().collect::<Vec<_>>().join(", ")),
        };
        Problem::new(entry.key_place, message).help(help)
    }
}

pub(in crate::testbed::scenario) fn wrong_kind(place: Place, wanted: &str, got: &Value) -> Problem {
    Problem::new(place, format!("expected {wanted}, found {}", got.kind()))
}

pub(in crate::testbed::scenario) fn text<'t>(
    node: &'t Node,
    found: &mut Findings,
) -> Option<&'t str> {
    match &node.value {
        Value::Text(text) => Some(text),
        other => {
            found.add(wrong_kind(node.place, "text in quotes", other));
            None
        }
    }
}

pub(in crate::testbed::scenario) fn number(
    node: &Node,
    key: &str,
    allowed: RangeInclusive<i64>,
    found: &mut Findings,
) -> Option<i64> {
    let (min, max) = (*allowed.start(), *allowed.end());
    let range =
        if max == i64::MAX { format!("from {min} on") } else { format!("from {min} to {max}") };
    match &node.value {
        Value::Integer(value) if allowed.contains(value) => Some(*value),
        Value::Integer(value) => {
            let message = format!("`{key}` cannot be {value}: this build takes numbers {range}");
            found.add(Problem::new(node.place, message));
            None
        }
        Value::Other(value) => {
            let message = format!("`{key}` cannot be {value}: expected a whole number {range}");
            found.add(Problem::new(node.place, message));
            None
        }
        other => {
            found.add(wrong_kind(node.place, &format!("a whole number {range}"), other));
            None
        }
    }
}

/// How a value that is written as text looks.
#[derive(Debug)]
pub(in crate::testbed::scenario) struct Form {
    pub wanted: &'static str,
    pub example: &'static str,
}

pub(in crate::testbed::scenario) const SPAN: Form =
    Form { wanted: "a number and a unit in quotes", example: "20ms" };
pub(in crate::testbed::scenario) const SPAN_RANGE: Form =
    Form { wanted: "a number and a unit in quotes", example: "20ms\" or \"1ms..4ms" };
pub(in crate::testbed::scenario) const RECORD: Form =
    Form { wanted: "a record in quotes", example: "orders-0@2" };

pub(in crate::testbed::scenario) fn parsed<T: FromStr<Err = String>>(
    node: &Node,
    form: &Form,
    found: &mut Findings,
) -> Option<T> {
    let problem = match &node.value {
        Value::Text(text) => match text.parse() {
            Ok(value) => return Some(value),
            Err(reason) => Problem::new(node.place, reason),
        },
        other => wrong_kind(node.place, form.wanted, other),
    };
    found.add(problem.help(format!("write it like \"{}\"", form.example)));
    None
}

pub(in crate::testbed::scenario) fn word<T: Clone>(
    node: &Node,
    what: &str,
    words: &'static [Word<T>],
    found: &mut Findings,
) -> Option<T> {
    let name = text(node, found)?;
    if let Some(word) = words.iter().find(|word| word.name == name) {
        return Some(word.value.clone());
    }
    let help = match nearest(name, words.iter().map(|word| word.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<_> = words.iter().map(|word| word.name).collect();
            format!("known: {}", names.join(", "))
        }
    };
    found.add(Problem::new(node.place, format!("unknown {what} `{name}`")).help(help));
    None
}
