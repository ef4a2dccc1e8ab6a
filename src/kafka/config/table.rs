//! The table: every configuration name of Kafka 4.1 that the testbed knows, by side.

use std::{fmt, sync::LazyLock};

mod broker;
mod client;
mod consumer;
mod producer;
mod topic;

/// Whose configuration a name belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    Broker,
    Topic,
    Producer,
    Consumer,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Broker => "broker",
            Side::Topic => "topic",
            Side::Producer => "producer",
            Side::Consumer => "consumer",
        })
    }
}

/// Type and range, as in Kafka's `ConfigDef`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Boolean,
    Int {
        min: i64,
        max: i64,
    },
    Long {
        min: i64,
        max: i64,
    },
    Double {
        min: f64,
        max: f64,
    },
    Text,
    OneOf(&'static [&'static str]),
    /// Comma-separated; each part one of these, or anything if empty.
    List(&'static [&'static str]),
}

/// Whether setting it changes anything here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Modelled,
    /// Kafka has it; it has no effect here, so giving it is an error unless the scenario lists it in
    /// `ignored`.
    NotModelled,
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    pub name: &'static str,
    pub side: Side,
    pub kind: Kind,
    /// As text; empty where Kafka has none (null).
    pub default: &'static str,
    pub support: Support,
    /// One or two sentences.
    pub meaning: &'static str,
}

/// `Integer.MAX_VALUE`.
const INT_MAX: i64 = i32::MAX as i64;

const fn modelled(
    side: Side,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Row {
    Row { name, side, kind, default, support: Support::Modelled, meaning }
}

/// A setting that Kafka has and the testbed does not model.
const fn other(
    side: Side,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Row {
    Row { name, side, kind, default, support: Support::NotModelled, meaning }
}

/// Parts of a table as one.
const fn join<const N: usize>(parts: &[&[Row]]) -> [Row; N] {
    let mut rows = [parts[0][0]; N];
    let (mut part, mut at, mut count) = (0, 0, 0);
    while part < parts.len() {
        if at == parts[part].len() {
            (part, at) = (part + 1, 0);
            continue;
        }
        rows[count] = parts[part][at];
        (at, count) = (at + 1, count + 1);
    }
    assert!(count == N, "the parts are as long as the whole");
    rows
}

impl Row {
    /// Says what is wrong with `text` as a value and what is allowed.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let text = text.trim();
        match self.kind {
            Kind::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "false" => Ok(()),
                _ => Err("expected true or false".into()),
            },
            Kind::Int { min, max } | Kind::Long { min, max } => match text.parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                Ok(_) => Err(format!("expected a number from {min} to {max}")),
                Err(_) => Err("expected a whole number".into()),
            },
            Kind::Double { min, max } => match text.parse::<f64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("expected a number from {min} to {max}")),
            },
            Kind::Text => Ok(()),
            Kind::OneOf(allowed) => one_of(text, allowed),
            Kind::List([]) => Ok(()),
            Kind::List(allowed) => text
                .split(',')
                .map(|part| {
                    part.trim().rsplit("kafka.clients.consumer.").next().unwrap_or_default()
                })
                .try_for_each(|part| one_of(part, allowed)),
        }
    }
}

fn one_of(text: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&text) {
        Ok(())
    } else {
        Err(format!("expected one of {}", allowed.join(", ")))
    }
}

/// All rows of one side.
pub fn rows(side: Side) -> &'static [Row] {
    match side {
        Side::Broker => broker::ROWS,
        Side::Topic => topic::ROWS,
        Side::Producer => &PRODUCER,
        Side::Consumer => &CONSUMER,
    }
}

static PRODUCER: LazyLock<Vec<Row>> = LazyLock::new(|| client_rows(Side::Producer, producer::ROWS));
static CONSUMER: LazyLock<Vec<Row>> = LazyLock::new(|| client_rows(Side::Consumer, consumer::ROWS));

/// A client's own settings and those that all clients have, by name.
fn client_rows(side: Side, own: &[Row]) -> Vec<Row> {
    let shared = client::ROWS.iter().map(|row| Row { side, ..*row });
    let mut rows: Vec<Row> = shared.chain(own.iter().copied()).collect();
    rows.sort_by_key(|row| row.name);
    rows
}

pub fn find(side: Side, name: &str) -> Option<&'static Row> {
    let rows = rows(side);
    rows.binary_search_by_key(&name, |row| row.name).ok().map(|index| &rows[index])
}

#[cfg(test)]
mod tests {
    use super::{Side, find, rows};

    const SIDES: [Side; 4] = [Side::Broker, Side::Topic, Side::Producer, Side::Consumer];

    #[test]
    fn rows_are_sorted_and_every_default_is_allowed() {
        for side in SIDES {
            assert!(rows(side).is_sorted_by(|a, b| a.name < b.name), "{side}");
            for row in rows(side).iter().filter(|row| !row.default.is_empty()) {
                assert_eq!(row.check(row.default), Ok(()), "{}", row.name);
                assert_eq!(row.side, side);
            }
        }
    }

    #[test]
    fn a_wrong_value_is_told_what_is_allowed() {
        let check = |name, text| find(Side::Producer, name).unwrap().check(text).unwrap_err();
        assert_eq!(check("acks", "2"), "expected one of all, -1, 0, 1");
        assert_eq!(check("linger.ms", "5ms"), "expected a whole number");
        assert_eq!(check("retries", "-1"), "expected a number from 0 to 2147483647");
        assert_eq!(check("enable.idempotence", "yes"), "expected true or false");
    }
}
