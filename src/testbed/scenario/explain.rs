//! What a name means: a setting, a guarantee, a cause, an event, a verb, a fact or an error.

use std::fmt;

use super::words::{
    AWAITS, CAUSES, EFFECTS, ELECTIONS, ERRORS, EVENTS, EXITS, FACTS, FLAVOURS, GUARANTEES,
    LOOP_STEPS, ON_ERRORS, ON_SEND_ERRORS, VERBS, Word, nearest,
};
use crate::kafka::{
    behaviour::{Choice, Switch, switches},
    config::{Kind, Row, Side, Support, rows},
};

/// One meaning of a name; some names have several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    pub name: &'static str,
    /// `a producer setting`, `a guarantee`, `an event`, ...
    pub kind: String,
    pub meaning: &'static str,
    /// Type, default and support of a setting, what a behaviour may be; by label.
    pub details: Vec<(&'static str, String)>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.kind)?;
        writeln!(f, "    {}", self.meaning)?;
        let widths = self.details.iter().map(|(label, _)| label.len());
        let width = widths.max().unwrap_or_default().max(8);
        for (label, detail) in &self.details {
            writeln!(f, "    {label:<width$} {detail}")?;
        }
        Ok(())
    }
}

/// Everything a name means, as text.
///
/// # Errors
/// Known names that are near to it, best first, if nothing has that name.
pub fn explain(name: &str) -> Result<String, Vec<String>> {
    let all = explanations();
    let meant: Vec<String> =
        all.iter().filter(|one| one.name == name).map(ToString::to_string).collect();
    if !meant.is_empty() {
        return Ok(meant.join("\n"));
    }
    let mut names: Vec<&str> = all.iter().map(|one| one.name).collect();
    let mut near = Vec::new();
    while let Some(found) = nearest(name, names.iter().copied()).filter(|_| near.len() < 3) {
        near.push(found.to_owned());
        names.retain(|other| *other != found);
    }
    if near.is_empty() {
        // A part of a long name is what people remember.
        names.retain(|other| name.len() >= 3 && other.contains(name));
        names.dedup();
        near.extend(names.into_iter().take(5).map(str::to_owned));
    }
    Err(near)
}

/// Every name with a meaning, settings first.
pub fn explanations() -> Vec<Explanation> {
    let mut all: Vec<Explanation> = [Side::Broker, Side::Topic, Side::Producer, Side::Consumer]
        .into_iter()
        .flat_map(rows)
        .map(setting)
        .collect();
    all.extend(switches().iter().map(behaviour));
    words(&mut all, "a guarantee", GUARANTEES);
    words(&mut all, "a cause of a broken guarantee", CAUSES);
    words(&mut all, "a fact to expect", FACTS);
    words(&mut all, "an event to wait for", EVENTS);
    words(&mut all, "an action of a step", VERBS);
    words(&mut all, "a value of election", ELECTIONS);
    words(&mut all, "an error, as the Java client names it", ERRORS);
    words(&mut all, "a step of app.loop", LOOP_STEPS);
    words(&mut all, "a value of app.effect", EFFECTS);
    words(&mut all, "a value of a consumer's app.on-error", ON_ERRORS);
    words(&mut all, "a value of a producer's app.on-error", ON_SEND_ERRORS);
    words(&mut all, "a value of a producer's app.await", AWAITS);
    words(&mut all, "a value of a producer's app.exit", EXITS);
    words(&mut all, "a value of client", FLAVOURS);
    all
}

fn words<T>(all: &mut Vec<Explanation>, kind: &str, words: &[Word<T>]) {
    all.extend(words.iter().map(|word| Explanation {
        name: word.name,
        kind: kind.to_owned(),
        meaning: word.meaning,
        details: Vec::new(),
    }));
}

fn setting(row: &'static Row) -> Explanation {
    let default = if row.default.is_empty() { "none" } else { row.default };
    let mut details = vec![("type", kind(row.kind)), ("default", default.to_owned())];
    if row.support == Support::NotModelled {
        details.push(("here", "known to Kafka, not modelled: it has no effect".to_owned()));
    }
    Explanation {
        name: row.name,
        kind: format!("a {} setting of Kafka", row.side),
        meaning: row.meaning,
        details,
    }
}

fn behaviour(switch: &'static Switch) -> Explanation {
    let one = |choice: &'static Choice| {
        let present = if *choice == *switch.default() { ", the default" } else { "" };
        (choice.name, format!("{}{present}. {}", choice.versions, choice.effect))
    };
    Explanation {
        name: switch.key,
        kind: "a key of [behaviour], where Kafka has changed".to_owned(),
        meaning: switch.meaning,
        details: switch.choices.iter().map(one).collect(),
    }
}

fn kind(kind: Kind) -> String {
    // Java's own bounds say nothing.
    let bounds = |min: i64, max: i64| match (min, max) {
        (min, max) if max >= i64::from(i32::MAX) => format!("a whole number from {min} on"),
        (min, max) => format!("a whole number from {min} to {max}"),
    };
    match kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Int { min, max } | Kind::Long { min, max } => bounds(min, max),
        Kind::Double { min, max } => format!("a number from {min} to {max}"),
        Kind::Text => "text".to_owned(),
        Kind::OneOf(allowed) => format!("one of {}", allowed.join(", ")),
        Kind::List([]) => "a list".to_owned(),
        Kind::List(allowed) => format!("a list of {}", allowed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{explain, explanations};

    #[test]
    fn a_setting_is_explained_with_its_type_and_default() {
        let text = explain("acks").unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "acks: a producer setting of Kafka");
        assert_eq!(lines[2..], ["    type     one of all, -1, 0, 1", "    default  all"], "{text}");
    }

    #[test]
    fn a_name_with_several_meanings_tells_them_all() {
        let text = explain("lying-disk").unwrap();
        assert!(text.contains("a cause") && text.contains("an action"), "{text}");
    }

    #[test]
    fn a_behaviour_is_explained_with_all_it_may_be() {
        let text = explain("quorum-flush").unwrap();
        assert!(text.starts_with("quorum-flush: a key of [behaviour]"), "{text}");
        assert!(text.contains("since 2.8, the default. "), "{text}");
        assert!(text.contains("    never "), "{text}");
    }

    #[test]
    fn an_unknown_name_is_answered_with_near_ones() {
        assert_eq!(explain("enable.auto.comit").unwrap_err()[0], "enable.auto.commit");
        assert_eq!(explain("proccesed-at-most-once").unwrap_err()[0], "processed-at-most-once");
        assert_eq!(explain("qqqqqqqq").unwrap_err(), [""; 0]);
    }

    #[test]
    fn every_meaning_is_a_sentence() {
        for one in explanations() {
            assert!(one.meaning.ends_with('.'), "{}: {}", one.name, one.meaning);
        }
    }
}
