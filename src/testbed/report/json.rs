//! Results for programs: one JSON object per line, each with `"v": 1`.
//!
//! A run is `run-started`, a `step-fired` per step, an `expectation` per expectation and `run-finished`,
//! whether it was the only one or one seed of many; `finished` closes them all. Times are virtual
//! nanoseconds. Keys may be added without a new version; none changes its meaning.

use serde::Serialize;

use super::{Origin, as_expected, engine, words};
use crate::testbed::{
    checker::{FaultModel, Judgement, Verdict},
    history::EventKind,
    runner::Trial,
};

/// Version of the lines' shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum What<'a> {
    RunStarted {
        name: &'a str,
        title: &'a str,
        file: &'a str,
        variant: Option<&'a str>,
        seed: u64,
        kafka: &'a str,
        engine: String,
    },
    StepFired {
        step: String,
        event: u32,
        at: u64,
        action: String,
    },
    Expectation {
        index: usize,
        subject: String,
        of: String,
        expected: String,
        actual: &'a str,
        met: bool,
        verdict: Option<&'static str>,
        /// Of a verdict that holds: the kinds of fault that befell the run meanwhile.
        under: Option<&'a FaultModel>,
        violations: Vec<ViolationLine<'a>>,
    },
    RunFinished {
        passed: bool,
        variant: Option<&'a str>,
        seed: u64,
        end: String,
        unfired: Vec<String>,
        events: usize,
        virtual_time: u64,
        digest: &'a str,
        reproduce: String,
    },
    Finished {
        runs: usize,
        failed: usize,
        exit_code: u8,
    },
}

#[derive(Serialize)]
struct ViolationLine<'a> {
    anomaly: &'a str,
    what: &'a str,
    cause: String,
    records: Vec<String>,
    why: Vec<WhyLine<'a>>,
}

#[derive(Serialize)]
struct WhyLine<'a> {
    event: u32,
    at: u64,
    node: &'a str,
    says: &'a str,
}

/// All lines of one trial.
pub fn run_lines(trial: &Trial, origin: &Origin) -> String {
    let plan = &trial.plan;
    let variant = trial.variant.as_deref();
    let mut out = String::new();
    let mut say = |what: What| out.push_str(&line(what));
    say(What::RunStarted {
        name: &plan.name,
        title: &plan.title,
        file: &origin.file,
        variant,
        seed: trial.seed,
        kafka: &plan.kafka,
        engine: engine(),
    });
    for event in &trial.history.events {
        if let EventKind::Step { step, .. } = &event.kind {
            say(What::StepFired {
                step: words::step_name(&plan.steps[*step], *step),
                event: event.id.0,
                at: event.at,
                action: words::action(&plan.steps[*step].action),
            });
        }
    }
    for judgement in &trial.judgements {
        say(expectation(trial, judgement));
    }
    say(What::RunFinished {
        passed: as_expected(trial),
        variant,
        seed: trial.seed,
        end: super::verdicts::end(trial).unwrap_or_else(|| "finished".to_owned()),
        unfired: trial
            .unfired
            .iter()
            .map(|unfired| {
                let name = words::step_name(&plan.steps[unfired.step], unfired.step);
                format!("{name}: {}", unfired.progress)
            })
            .collect(),
        events: trial.history.events.len(),
        virtual_time: u64::try_from(trial.virtual_time.as_nanos()).unwrap_or(u64::MAX),
        digest: &trial.digest,
        reproduce: origin.reproduce(variant, trial.seed),
    });
    out
}

/// The line that closes the output.
pub fn finished_line(runs: usize, failed: usize, exit_code: u8) -> String {
    line(What::Finished { runs, failed, exit_code })
}

fn line(what: What) -> String {
    let line = Line { v: VERSION, what };
    let mut text = serde_json::to_string(&line).expect("plain values with text keys serialise");
    text.push('\n');
    text
}

fn expectation<'a>(trial: &'a Trial, judgement: &'a Judgement) -> What<'a> {
    let expectation = &trial.plan.expectations[judgement.expectation];
    let (subject, of) = words::subject(expectation);
    let (verdict, violations) = match &judgement.verdict {
        None => (None, &[][..]),
        Some(Verdict::Holds { .. }) => (Some("holds"), &[][..]),
        Some(Verdict::Violated { violations }) => (Some("violated"), violations.as_slice()),
        Some(Verdict::Unknown { .. }) => (Some("unknown"), &[][..]),
    };
    let under = match &judgement.verdict {
        Some(Verdict::Holds { under, .. }) => Some(under),
        _ => None,
    };
    let violations = violations
        .iter()
        .map(|violation| ViolationLine {
            anomaly: &violation.anomaly,
            what: &violation.what,
            cause: words::name_of(&violation.cause),
            records: violation.records.iter().map(ToString::to_string).collect(),
            why: violation
                .why
                .iter()
                .map(|link| {
                    let event = trial.history.event(link.event);
                    WhyLine { event: event.id.0, at: event.at, node: &event.node, says: &link.says }
                })
                .collect(),
        })
        .collect();
    What::Expectation {
        index: judgement.expectation,
        subject,
        of,
        expected: words::expected(expectation),
        actual: &judgement.actual,
        met: judgement.met,
        verdict,
        under,
        violations,
    }
}
