//! A file's text, and what the command line changes in it, into a scenario.

use std::{ops::RangeInclusive, sync::Arc};

use super::{
    about::Prediction,
    decode::{self, Findings},
    problem::{Place, Problem, Problems, Source},
    tree::{self, Table, Value},
    variants,
};
use crate::testbed::plan::Plan;

/// The version of the format this build reads.
const VERSION: i64 = 1;

/// One file: a plan, what it says of itself, and its variants.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// As it was given to [`Scenario::load`].
    pub file: String,
    pub title: String,
    pub summary: Option<String>,
    /// What to remember, said after the run.
    pub takeaway: Option<String>,
    /// Index words.
    pub teaches: Vec<String>,
    /// Wrong beliefs that it refutes.
    pub refutes: Vec<String>,
    pub predict: Option<Prediction>,
    /// What a sweep runs; one run has the plan's own seed.
    pub seeds: RangeInclusive<u64>,
    pub plan: Arc<Plan>,
    pub variants: Vec<Variant>,
}

/// The same plan with something changed.
#[derive(Clone, PartialEq, Debug)]
pub struct Variant {
    pub id: String,
    pub say: Option<String>,
    pub plan: Arc<Plan>,
}

impl Scenario {
    /// Larger files are not scenarios.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads a scenario called `name`. `file` is what messages call the text's origin; `overrides` are
    /// `--set` arguments, `producers.shop.config.acks=all`: a dotted key and a TOML value, or a bare word.
    ///
    /// # Errors
    /// Every mistake of the text and of the arguments, with its place.
    pub fn load(
        name: &str,
        file: &str,
        text: &str,
        overrides: &[String],
    ) -> Result<Scenario, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sources = vec![Source { shown: file.to_owned(), text: text.to_owned() }];
        sources.extend(
            overrides.iter().map(|set| Source { shown: "--set".to_owned(), text: set.clone() }),
        );
        read(name, &mut sources).map_err(|problems| Problems::new(sources, problems))
    }

    /// The same from a file's bytes, which must be UTF-8.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_bytes(
        name: &str,
        file: &str,
        bytes: &[u8],
        overrides: &[String],
    ) -> Result<Scenario, Problems> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Scenario::load(name, file, text, overrides),
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(Scenario::MAX_BYTES)])
                    .into_owned();
                // Up to there the lossy text is the file's own.
                let start = error.valid_up_to().min(text.len());
                let place = Place { source: 0, start, end: start };
                let problem = Problem::new(place, "the file is not UTF-8 from here on")
                    .help("save it as UTF-8; a byte-order mark and either line end are fine");
                Err(Problems::new(vec![Source { shown: file.to_owned(), text }], vec![problem]))
            }
        }
    }
}

fn read(name: &str, sources: &mut [Source]) -> Result<Scenario, Vec<Problem>> {
    let text = &sources[0].text;
    let start = Place { source: 0, start: 0, end: 0 };
    if text.len() > Scenario::MAX_BYTES {
        let message = format!(
            "the file is too large for a scenario: {} bytes are allowed",
            Scenario::MAX_BYTES
        );
        sources[0].text.clear();
        return Err(vec![Problem::new(start, message)]);
    }
    let mut root = tree::parse(0, text)?;
    version(&root, start)?;
    let mut found = Findings::default();
    let sets = overrides(sources, &mut found);
    variants::lay_checked(&mut root, &sets, &mut found);
    let (plan, about) = decode::plan(&root, name, &mut found);
    let variants = variants::all(&root, &sets, name, &mut found);
    if !found.problems.is_empty() {
        return Err(found.problems);
    }
    Ok(Scenario {
        file: sources[0].shown.clone(),
        title: about.title,
        summary: about.summary,
        takeaway: about.takeaway,
        teaches: about.teaches,
        refutes: about.refutes,
        predict: about.predict,
        seeds: about.seeds,
        plan: Arc::new(plan),
        variants,
    })
}

/// A file of another version is not read any further: nothing in it needs to mean what it seems to.
fn version(root: &Table, start: Place) -> Result<(), Vec<Problem>> {
    let problem = match root.get("scenario") {
        Some(entry) => match &entry.node.value {
            Value::Integer(version) if *version == VERSION => return Ok(()),
            Value::Integer(version) => {
                let message =
                    format!("this build reads version {VERSION} of the format, not {version}");
                Problem::new(entry.node.place, message)
            }
            other => decode::wrong_kind(entry.node.place, "the format's version, 1", other),
        },
        None => {
            Problem::new(start, "this is not a scenario: it does not begin with `scenario = 1`")
                .help("write `scenario = 1` in the first line")
        }
    };
    Err(vec![problem])
}

/// The trees of the `--set` arguments. A value that is no TOML is taken as text.
fn overrides(sources: &mut [Source], found: &mut Findings) -> Vec<Table> {
    let mut trees = Vec::new();
    for (index, source) in sources.iter_mut().enumerate().skip(1) {
        if let Ok(tree) = tree::parse(index, &source.text) {
            trees.push(tree);
            continue;
        }
        let quoted = source.text.split_once('=').map(|(key, value)| {
            let value = toml::Value::String(value.trim().to_owned());
            format!("{}={value}", key.trim())
        });
        match quoted.map(|quoted| (tree::parse(index, &quoted), quoted)) {
            Some((Ok(tree), quoted)) => {
                source.text = quoted;
                trees.push(tree);
            }
            _ => {
                let place = Place { source: index, start: 0, end: source.text.len() };
                let problem = Problem::new(place, "expected a dotted key, `=` and a value");
                found.add(problem.help("write it like --set producers.shop.config.acks=all"));
            }
        }
    }
    trees
}
