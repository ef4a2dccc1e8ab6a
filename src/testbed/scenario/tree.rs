//! A scenario's TOML as a tree in which every key and value knows its place.
//!
//! It is the parser's tree made ours, because variants and `--set` lay one tree over another and a value
//! must still point at the text it came from. Settings (`config` tables) are flat in it: TOML reads
//! `min.insync.replicas = 2` as three tables, which are joined again.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problem};

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
    /// A number or a date no scenario has a use for, as it is written.
    Other(String),
}

impl Value {
    /// What it is called in a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(_) => "a value of another kind",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    /// Of a dotted key, from its first part on.
    pub key_place: Place,
    pub node: Node,
}

impl Entry {
    /// Key and value.
    pub(super) fn place(&self) -> Place {
        self.key_place.to(self.node.place)
    }
}

/// Entries in the order of the text; a key stands once, but for settings written in two ways.
#[derive(Clone, Default, Debug)]
pub(super) struct Table {
    pub entries: Vec<Entry>,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn table(&self, key: &str) -> Option<&Table> {
        match &self.get(key)?.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Lays another over it: its values win, tables are merged.
    pub(super) fn lay(&mut self, over: &Table) {
        for entry in &over.entries {
            let Some(own) = self.entries.iter_mut().find(|own| own.key == entry.key) else {
                self.entries.push(entry.clone());
                continue;
            };
            match (&mut own.node.value, &entry.node.value) {
                (Value::Table(own), Value::Table(over)) => own.lay(over),
                _ => *own = entry.clone(),
            }
        }
    }
}

/// Reads TOML; all of its syntax errors if it has any.
pub(super) fn parse(source: usize, text: &str) -> Result<Table, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax_error(source, text, error)).collect());
    }
    let builder = Builder { source, text };
    let mut root = builder.table(table.get_ref());
    join_settings(&mut root);
    join_steps(&mut root);
    if let Some(set) = root.entries.iter_mut().find(|entry| entry.key == "variant")
        && let Value::List(variants) = &mut set.node.value
    {
        for variant in variants {
            let Value::Table(variant) = &mut variant.value else { continue };
            join_steps(variant);
            if let Some(set) = table_mut(variant, "set") {
                join_settings(set);
            }
        }
    }
    Ok(root)
}

fn syntax_error(source: usize, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let start = span.start.min(text.len());
    let place = Place { source, start, end: span.end.clamp(start, text.len()) };
    Problem::new(place, error.message()).label("TOML syntax")
}

struct Builder<'t> {
    source: usize,
    text: &'t str,
}

impl Builder<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place { source: self.source, start: span.start, end: span.end }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_place: self.whole_key(key.span()),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| (entry.key_place, entry.node.place));
        Table { entries }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let number = |text: &str| text.replace('_', "");
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(integer) => {
                match i64::from_str_radix(&number(integer.as_str()), integer.radix()) {
                    Ok(integer) => Value::Integer(integer),
                    Err(_) => Value::Other(integer.to_string()),
                }
            }
            DeValue::Float(float) => match number(float.as_str()).parse::<f64>() {
                Ok(float) if float.is_finite() => Value::Float(float),
                _ => Value::Other(float.as_str().to_owned()),
            },
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(list) => Value::List(list.iter().map(|node| self.node(node)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { value, place }
    }

    /// The parser gives the last part of a dotted key: widened to where the whole key begins.
    fn whole_key(&self, span: Range<usize>) -> Place {
        let before = &self.text[..span.start];
        let start = before.rfind(['\n', '[', '{', ',']).map_or(0, |index| index + 1);
        let key = &self.text[start..span.start];
        // A value of the same line may stand between; then the span is as good as it gets.
        if key.contains('=') {
            return self.place(span);
        }
        let start = start + (key.len() - key.trim_start().len());
        self.place(start..span.end)
    }
}

/// Joins the nested tables of dotted keys in each `config` table again.
fn join_settings(root: &mut Table) {
    if let Some(cluster) = table_mut(root, "cluster") {
        join(cluster);
    }
    for actors in ["topics", "producers", "groups", "readers"] {
        let Some(actors) = table_mut(root, actors) else { continue };
        for actor in &mut actors.entries {
            if let Value::Table(actor) = &mut actor.node.value {
                join(actor);
            }
        }
    }
}

/// The same in each of its steps.
fn join_steps(owner: &mut Table) {
    let steps = owner.entries.iter_mut().find(|entry| entry.key == "step");
    if let Some(Value::List(steps)) = steps.map(|entry| &mut entry.node.value) {
        for step in steps {
            if let Value::Table(step) = &mut step.value {
                join(step);
            }
        }
    }
}

fn table_mut<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Table> {
    let entry = table.entries.iter_mut().find(|entry| entry.key == key)?;
    match &mut entry.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

fn join(owner: &mut Table) {
    if let Some(config) = table_mut(owner, "config") {
        let mut joined = Vec::new();
        flatten("", std::mem::take(config), &mut joined);
        config.entries = joined;
    }
}

fn flatten(prefix: &str, table: Table, joined: &mut Vec<Entry>) {
    for entry in table.entries {
        let key = if prefix.is_empty() { entry.key } else { format!("{prefix}.{}", entry.key) };
        match entry.node.value {
            Value::Table(inner) if !inner.entries.is_empty() => flatten(&key, inner, joined),
            value => {
                let node = Node { value, place: entry.node.place };
                joined.push(Entry { key, key_place: entry.key_place, node });
            }
        }
    }
}
