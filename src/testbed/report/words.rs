//! Times, places and deeds in words, the same in every part of a report.

use std::collections::BTreeMap;

use crate::{
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::OffsetReach,
        plan::{
            Action, Comparison, ElectionType, Expectation, ExpectedVerdict, Link, Links, RecordAt,
            Step,
        },
    },
};

/// Virtual time in seconds: `3.074s`.
pub(super) fn time(nanos: u64) -> String {
    format!("{}.{:03}s", nanos / 1_000_000_000, nanos / 1_000_000 % 1000)
}

/// A length of time for people: `31 ms`, `27.4 s`, `3 min 20 s`.
pub(super) fn length(length: std::time::Duration) -> String {
    let millis = length.as_millis();
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..120_000 => format!("{:.1} s", length.as_secs_f64()),
        _ => format!("{} min {} s", millis / 60_000, millis / 1000 % 60),
    }
}

/// `1 record`, `2 records`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", thousands(number)) }
}

/// `11 400`: digits in groups of three.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Whether a partition's name must be said with every offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Naming {
    Full,
    /// The trial has one partition: offsets alone are clear.
    OffsetsOnly,
}

/// Offsets by partition, in the order they came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Places(BTreeMap<TopicPartition, Vec<i64>>);

/// More partitions than this are counted instead of named.
const NAMED_PARTITIONS: usize = 4;

impl Places {
    pub fn add(&mut self, partition: &TopicPartition, offset: Offset) {
        match self.0.get_mut(partition) {
            Some(offsets) => offsets.push(offset.0),
            None => {
                self.0.insert(partition.clone(), vec![offset.0]);
            }
        }
    }

    pub fn extend(&mut self, other: Places) {
        for (partition, offsets) in other.0 {
            self.0.entry(partition).or_default().extend(offsets);
        }
    }

    /// `orders-0@0..4, orders-1@7`.
    pub fn text(&self, naming: Naming) -> String {
        let mut parts: Vec<String> = self
            .0
            .iter()
            .take(NAMED_PARTITIONS)
            .map(|(partition, offsets)| match naming {
                Naming::Full => format!("{partition}@{}", ranges(offsets, ", @")),
                Naming::OffsetsOnly => ranges(offsets, ", "),
            })
            .collect();
        if self.0.len() > NAMED_PARTITIONS {
            let rest = self.0.values().skip(NAMED_PARTITIONS);
            let records: usize = rest.map(Vec::len).sum();
            parts.push(format!("and {} elsewhere", count(records, "record")));
        }
        parts.join(", ")
    }
}

/// `0..4, 7`: runs of rising offsets, at most four of them.
pub(super) fn ranges(offsets: &[i64], separator: &str) -> String {
    const RUNS: usize = 4;
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for &offset in offsets {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => runs.push((offset, offset)),
        }
    }
    let mut parts: Vec<String> = runs
        .iter()
        .take(RUNS)
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}{separator}{last}"),
            _ => format!("{first}..{last}"),
        })
        .collect();
    if runs.len() > RUNS {
        parts.push("…".to_owned());
    }
    parts.join(separator)
}

/// Where commits or positions stand: `orders-0 → 5`.
pub(super) fn reach(offsets: &[OffsetReach], naming: Naming) -> String {
    let mut parts: Vec<String> = offsets
        .iter()
        .take(NAMED_PARTITIONS)
        .map(|to| match naming {
            Naming::Full => format!("{} → {}", to.partition, to.offset),
            Naming::OffsetsOnly => format!("→ {}", to.offset),
        })
        .collect();
    if offsets.len() > NAMED_PARTITIONS {
        parts.push(format!("and {} more", offsets.len() - NAMED_PARTITIONS));
    }
    parts.join(", ")
}

pub(super) fn partitions(list: &[TopicPartition]) -> String {
    if list.is_empty() {
        return "nothing".to_owned();
    }
    let mut names: Vec<String> = list.iter().take(8).map(TopicPartition::to_string).collect();
    if list.len() > 8 {
        names.push(format!("and {} more", list.len() - 8));
    }
    names.join(", ")
}

/// `orders-0@2, @3, orders-1@7`.
pub(super) fn records(list: &[RecordAt]) -> String {
    let mut text = String::new();
    let mut last: Option<&TopicPartition> = None;
    for (index, record) in list.iter().enumerate() {
        if index == 12 {
            text.push_str(&format!(" and {} more", list.len() - index));
            break;
        }
        if index > 0 {
            text.push_str(", ");
        }
        if last == Some(&record.partition) {
            text.push_str(&format!("@{}", record.offset));
        } else {
            text.push_str(&record.to_string());
        }
        last = Some(&record.partition);
    }
    text
}

/// A value's name as scenario files write it (its serde name).
pub(super) fn name_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

pub(super) fn comparison(is: &Comparison) -> String {
    match is {
        Comparison::Equal(value) => format!("= {value}"),
        Comparison::AtLeast(value) => format!(">= {value}"),
        Comparison::AtMost(value) => format!("<= {value}"),
    }
}

/// What an expectation is about, and of whom.
pub(super) fn subject(expectation: &Expectation) -> (String, String) {
    match expectation {
        Expectation::Guarantee { guarantee, of, .. } => (name_of(guarantee), of.clone()),
        Expectation::Fact { fact, of, name, .. } => {
            let of = match name {
                Some(name) => format!("{of} {name}"),
                None => of.clone(),
            };
            (name_of(fact), of)
        }
    }
}

/// What was expected: `holds`, `violated: orders-0@2 because retry-duplicate`, `= 10`.
pub(super) fn expected(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Guarantee { verdict: ExpectedVerdict::Holds, .. } => "holds".to_owned(),
        Expectation::Guarantee { records: wanted, count, cause, .. } => {
            let mut text = "violated".to_owned();
            if let Some(wanted) = wanted {
                text.push_str(&format!(": {}", records(wanted)));
            }
            if let Some(count) = count {
                text.push_str(&format!(", records {}", comparison(count)));
            }
            if let Some(cause) = cause {
                text.push_str(&format!(", because {}", name_of(cause)));
            }
            text
        }
        Expectation::Fact { is, .. } => comparison(is),
    }
}

fn links(links: &Links) -> String {
    let one = |link: &Link| {
        let arrow = if link.both_ways { "<->" } else { "->" };
        format!("{} {arrow} {}", link.from, link.to)
    };
    match links {
        Links::Some(list) => list.iter().map(one).collect::<Vec<_>>().join(", "),
        Links::Of(machine) => format!("all links of {machine}"),
        Links::All => "all links".to_owned(),
    }
}

/// What a step does: `crash billing/1`.
pub(super) fn action(action: &Action) -> String {
    match action {
        Action::Crash { node: n } => format!("crash {n}"),
        Action::PowerLoss { node: n } => format!("power loss of {n}"),
        Action::Restart { node: n } => format!("restart {n}"),
        Action::Pause { node: n, .. } => format!("pause {n}"),
        Action::Resume { node: n } => format!("resume {n}"),
        Action::Stall { node: n, lasts } => format!("stall the handler of {n} for {lasts}"),
        Action::Throw { node: n } => format!("the handler of {n} throws"),
        Action::Start { actor } => format!("start {actor}"),
        Action::Stop { actor } => format!("stop {actor}"),
        Action::ShutDown { node: n } => format!("stop {n}"),
        Action::Sever { links: l, .. } => format!("sever {}", links(l)),
        Action::Hold { links: l, .. } => format!("hold {}", links(l)),
        Action::Delay { links: l, by, .. } => format!("delay {} by {by}", links(l)),
        Action::Reset { links: l } => format!("reset {}", links(l)),
        Action::Heal { links: l } => format!("heal {}", links(l)),
        Action::SlowDisk { node: n, by, .. } => format!("slow disk at {n}, by {by}"),
        Action::FullDisk { node: n, .. } => format!("full disk at {n}"),
        Action::LyingDisk { node: n, .. } => format!("lying disk at {n}"),
        Action::WipeDisk { node: n } => format!("wipe the disk of {n}"),
        Action::HealDisk { node: n } => format!("heal the disk of {n}"),
        Action::Skew { node: n, by_ms } => format!("skew the clock of {n} by {by_ms}ms"),
        Action::CreateTopic { topic, partitions, .. } => {
            format!("create topic {topic} with {}", count(*partitions as usize, "partition"))
        }
        Action::DeleteTopic { topic } => format!("delete topic {topic}"),
        Action::AddPartitions { topic, partitions } => {
            format!("give topic {topic} {partitions} partitions")
        }
        Action::AlterConfig { topic, config } => {
            let set = config.iter().map(|(name, value)| format!("{name} = {value}"));
            format!("set {} of topic {topic}", set.collect::<Vec<_>>().join(", "))
        }
        Action::Reassign { partition, replicas } => {
            format!("move {partition} to {}", replicas.join(", "))
        }
        Action::CancelReassignment { partition } => format!("do not move {partition} after all"),
        Action::Elect { partition, election } => {
            let election = match election {
                ElectionType::Preferred => "preferred",
                ElectionType::Unclean => "unclean",
            };
            match partition {
                Some(partition) => format!("ask for {partition}'s {election} election"),
                None => format!("ask for {election} elections of all partitions"),
            }
        }
        Action::AddBroker { broker, .. } => format!("add broker {broker}"),
        Action::Note => "note".to_owned(),
    }
}

/// A step by its id, or by its place in the file.
pub(super) fn step_name(step: &Step, index: usize) -> String {
    step.id.clone().unwrap_or_else(|| format!("#{}", index + 1))
}
