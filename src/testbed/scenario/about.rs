//! What a scenario says of itself: for lists, lessons and sweeps. None of it changes a trial.

use std::ops::RangeInclusive;

use super::{
    decode::{Findings, Section, text},
    problem::Problem,
    tree::{Node, Value},
};

/// A question asked before the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prediction {
    pub ask: String,
    pub options: Vec<String>,
    /// Number of the right option, from 1.
    pub answer: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct About {
    pub title: String,
    pub summary: Option<String>,
    pub takeaway: Option<String>,
    pub teaches: Vec<String>,
    pub refutes: Vec<String>,
    pub predict: Option<Prediction>,
    pub seeds: RangeInclusive<u64>,
}

impl About {
    pub(super) fn decode(root: &mut Section<'_>, found: &mut Findings) -> Self {
        // Its value has been looked at before anything else was.
        root.entry("scenario");
        root.required("title", found);
        let words = |words: Option<Vec<&str>>| {
            words.unwrap_or_default().into_iter().map(str::to_owned).collect()
        };
        About {
            title: root.text("title", found).unwrap_or_default().to_owned(),
            summary: root.text("summary", found).map(str::to_owned),
            takeaway: root.text("takeaway", found).map(str::to_owned),
            teaches: words(root.texts("teaches", found)),
            refutes: words(root.texts("refutes", found)),
            predict: root.entry("predict").and_then(|entry| {
                let section = Section::of(&entry.node, entry.key_place, "[predict]", found);
                prediction(section, found)
            }),
            seeds: 0..=0,
        }
    }

    /// The sweep stands in `[run]`; without one it is the single seed.
    pub(super) fn with_seeds(self, run: &mut Section<'_>, seed: u64, found: &mut Findings) -> Self {
        let seeds = run.entry("seeds").and_then(|entry| seeds(&entry.node, found));
        About { seeds: seeds.unwrap_or(seed..=seed), ..self }
    }
}

fn prediction(mut section: Section<'_>, found: &mut Findings) -> Option<Prediction> {
    for key in ["ask", "options", "answer"] {
        section.required(key, found);
    }
    let ask = section.text("ask", found).map(str::to_owned);
    let options = section.nodes("options", "a list of texts", found).unwrap_or_default();
    let options: Vec<String> =
        options.iter().filter_map(|node| text(node, found)).map(str::to_owned).collect();
    let last = i64::try_from(options.len()).unwrap_or(i64::MAX).max(1);
    let answer = section.number("answer", 1..=last, found);
    section.close(found);
    Some(Prediction { ask: ask?, options, answer: usize::try_from(answer?).ok()? })
}

/// `"1..=200"`, `"0..200"` (without its end), or one number.
fn seeds(node: &Node, found: &mut Findings) -> Option<RangeInclusive<u64>> {
    let range = match &node.value {
        Value::Integer(seed) => u64::try_from(*seed).ok().map(|seed| seed..=seed),
        Value::Text(written) => range(written),
        _ => None,
    };
    if range.is_none() {
        let problem = Problem::new(node.place, "expected seeds from one number to another");
        found.add(problem.help("write it like \"1..=200\""));
    }
    range
}

fn range(written: &str) -> Option<RangeInclusive<u64>> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = if let Some((first, last)) = written.split_once("..=") {
        number(first)?..=number(last)?
    } else if let Some((first, end)) = written.split_once("..") {
        number(first)?..=number(end)?.checked_sub(1)?
    } else {
        number(written)?..=number(written)?
    };
    (!range.is_empty()).then_some(range)
}
