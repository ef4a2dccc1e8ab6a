//! One `retrial run` as a page: title, story, ledgers, verdicts, and how to repeat it.

use std::time::Duration;

use super::{
    Look, Origin, as_expected, engine, ledgers,
    look::{Tone, wrap},
    story, tally, verdicts, words,
};
use crate::testbed::{plan::Tolerance, runner::Trial};

/// Everything about one trial but the closing line. `variants` says how many more the scenario has.
pub fn trial_page(trial: &Trial, variants: usize, look: &Look) -> String {
    let mut out = look.finish(head(trial, variants, look));
    out.push('\n');
    out.push_str(&story(trial, look));
    out.push('\n');
    out.push_str(&ledgers(trial, look));
    out.push_str(&verdicts(trial, look));
    out
}

fn head(trial: &Trial, variants: usize, look: &Look) -> String {
    let plan = &trial.plan;
    let mut out = String::new();
    for line in wrap(&plan.title, look.width) {
        out.push_str(&format!("{}\n", Tone::Strong.paint(&line)));
    }
    let mut parts = vec![
        format!("kafka {} profile", plan.kafka),
        format!("seed {}", trial.seed),
        words::count(plan.cluster.brokers as usize, "broker"),
        words::count(plan.topics.len(), "topic"),
    ];
    if !plan.groups.is_empty() {
        parts.push(words::count(plan.groups.len(), "group"));
    }
    if !plan.readers.is_empty() {
        parts.push(words::count(plan.readers.len(), "reader"));
    }
    let mut variant = format!("variant {}", trial.variant.as_deref().unwrap_or(super::BASE));
    if variants > 0 {
        variant.push_str(&format!(" (+{variants})"));
    }
    parts.push(variant);
    for line in wrap(&parts.join(", "), look.width.saturating_sub(4)) {
        out.push_str(&format!("    {line}\n"));
    }
    out
}

/// `7 of 7 expectations met, 3 runs, 27.4 s of virtual time in 31 ms`, and the line to repeat it.
pub fn closing(trials: &[&Trial], origin: &Origin, wall: Duration, look: &Look) -> String {
    let (mut met, mut all, mut optional) = (0, 0, 0);
    for trial in trials {
        for judgement in &trial.judgements {
            let expectation = &trial.plan.expectations[judgement.expectation];
            all += 1;
            met += usize::from(judgement.met);
            let every = tally::tolerance(expectation) == Tolerance::EverySeed;
            optional += usize::from(!judgement.met && !every);
        }
    }
    let virtual_time: Duration = trials.iter().map(|trial| trial.virtual_time).sum();
    let good = trials.iter().all(|trial| as_expected(trial));
    let mut text = format!("{met} of {all} expectations met");
    if optional > 0 {
        text.push_str(&format!(" ({optional} need not be on every seed)"));
    }
    let tone = if good { Tone::Good } else { Tone::Bad };
    let mut out = format!(
        "\n{}, {}, {} of virtual time in {}\n",
        tone.paint(&text),
        words::count(trials.len(), "run"),
        words::length(virtual_time),
        words::length(wall)
    );
    // The first that went wrong, or simply the first.
    let shown = trials.iter().find(|trial| !as_expected(trial)).or(trials.first());
    if let Some(trial) = shown {
        let line = if good && trials.len() > 1 {
            origin.reproduce_all(trial.seed)
        } else {
            origin.reproduce(trial.variant.as_deref(), trial.seed)
        };
        out.push_str(&format!("reproduce  {line}\n"));
        out.push_str(&format!("           {}, trace {}\n", engine(), trial.digest));
    }
    look.finish(out)
}
