//! Everything that happened in a trial, to be read and to be replayed.
//!
//! A recording is JSON lines: a header with the plan, the seed and the digest, then one line per event.
//! The header is enough to run the trial again; the lines tell where a repetition went another way. One
//! file may hold several recordings, one after the other.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{Origin, engine, sentence::sentence, words};
use crate::testbed::{
    history::Event,
    plan::Plan,
    runner::Trial,
    scenario::{Scenario, to_toml},
};

/// Version of a trace file's shape.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "retrial-trace")]
    version: u32,
    engine: String,
    file: String,
    overrides: Vec<String>,
    variants: usize,
    variant: Option<String>,
    seed: u64,
    digest: String,
    events: usize,
    plan: Arc<Plan>,
}

/// An event with what a reader wants first.
#[derive(Serialize)]
struct Line<'a> {
    e: u32,
    time: String,
    node: &'a str,
    says: String,
    cause: Option<u32>,
    at: u64,
    #[serde(flatten)]
    kind: &'a crate::testbed::history::EventKind,
}

/// A trial as a trace file carries it.
#[derive(Clone, PartialEq, Debug)]
pub struct Recording {
    pub origin: Origin,
    /// The build that wrote it.
    pub engine: String,
    pub plan: Arc<Plan>,
    pub variant: Option<String>,
    pub seed: u64,
    pub digest: String,
    events: Vec<String>,
}

/// A file that is no trace, or a damaged one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadTrace {
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for BadTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for BadTrace {}

/// The trial as a recording.
pub fn write_trace(trial: &Trial, origin: &Origin) -> String {
    let header = Header {
        version: VERSION,
        engine: engine(),
        file: origin.file.clone(),
        overrides: origin.overrides.clone(),
        variants: origin.variants,
        variant: trial.variant.clone(),
        seed: trial.seed,
        digest: trial.digest.clone(),
        events: trial.history.events.len(),
        plan: Arc::clone(&trial.plan),
    };
    let mut out = serde_json::to_string(&header).expect("a plan serialises");
    out.push('\n');
    for event in &trial.history.events {
        out.push_str(&line(event));
        out.push('\n');
    }
    out
}

fn line(event: &Event) -> String {
    let line = Line {
        e: event.id.0,
        time: words::time(event.at),
        node: &event.node,
        says: sentence(&event.kind),
        cause: event.cause.map(|cause| cause.0),
        at: event.at,
        kind: &event.kind,
    };
    serde_json::to_string(&line).expect("an event serialises")
}

/// The recordings of a trace file. What can be read is what a trial can run: the plan of a header is
/// checked as a scenario file is.
pub fn read_trace(bytes: &[u8]) -> Result<Vec<Recording>, BadTrace> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        BadTrace { line, what: "no trace: the file is not UTF-8 from here on".to_owned() }
    })?;
    let mut lines = text.lines().enumerate().peekable();
    let mut recordings = Vec::new();
    while let Some((index, text)) = lines.next() {
        let bad = |what: String| BadTrace { line: index + 1, what };
        let header: Header = serde_json::from_str(text).map_err(|error| {
            bad(format!("no header of a trace that `run --trace` writes: {}", told(&error)))
        })?;
        if header.version != VERSION {
            let version = header.version;
            return Err(bad(format!("this build reads version {VERSION}, not {version}")));
        }
        if let Err(problems) =
            Scenario::load(&header.plan.name, "plan", &to_toml(&header.plan), &[])
        {
            let problems: Vec<_> = problems.findings().map(|finding| finding.message).collect();
            return Err(bad(format!("the plan cannot be run: {}", problems.join("; "))));
        }
        let mut events: Vec<String> = Vec::new();
        for (index, line) in lines.by_ref().take(header.events) {
            serde_json::from_str::<IgnoredAny>(line).map_err(|error| BadTrace {
                line: index + 1,
                what: format!("no event: {}", told(&error)),
            })?;
            events.push(line.to_owned());
        }
        if events.len() < header.events {
            let (have, want) = (events.len(), header.events);
            return Err(bad(format!("the trace is cut off: {have} of {want} events")));
        }
        recordings.push(Recording {
            origin: Origin {
                file: header.file,
                overrides: header.overrides,
                variants: header.variants,
            },
            engine: header.engine,
            plan: header.plan,
            variant: header.variant,
            seed: header.seed,
            digest: header.digest,
            events,
        });
    }
    if recordings.is_empty() {
        return Err(BadTrace { line: 1, what: "the file is empty".to_owned() });
    }
    Ok(recordings)
}

/// What is wrong with a line of JSON; which line it is, is said beside it.
fn told(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match told.strip_suffix(&place) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => told,
    }
}

impl Recording {
    /// `None` if the trial repeats the recording; otherwise in words where they part.
    pub fn difference(&self, again: &Trial) -> Option<String> {
        if self.digest == again.digest {
            return None;
        }
        let mut text = format!(
            "seed {} gave trace {} when it was recorded and {} again",
            self.seed, self.digest, again.digest
        );
        if self.engine != engine() {
            text.push_str(&format!("; recorded by {}, this is {}", self.engine, engine()));
        }
        let mut repeated = again.history.events.iter().map(line);
        for recorded in &self.events {
            let now = repeated.next();
            if now.as_ref() != Some(recorded) {
                let now = now.unwrap_or_else(|| "(the end)".to_owned());
                text.push_str(&format!(
                    "\n  first difference\n    recorded  {recorded}\n    again     {now}"
                ));
                return Some(text);
            }
        }
        if let Some(now) = repeated.next() {
            text.push_str(&format!(
                "\n  first difference\n    recorded  (the end)\n    again     {now}"
            ));
        }
        Some(text)
    }
}
