//! Expectations met or not, each violation with its cause and its chain of evidence.

use super::{
    Look, as_expected,
    look::{Tone, pad, width_of, wrap},
    tally::tolerance,
    words,
};
use crate::testbed::{
    checker::{Broken, Evidence, Judgement, Verdict, Violation},
    history::History,
    plan::{Cause, Expectation, ExpectedVerdict, Tolerance},
    runner::{Trial, TrialEnd},
};

/// Violations of one cause told in full; the others are counted.
const TOLD: usize = 1;
/// Links of one chain.
const LINKS: usize = 12;

/// The verdicts of a trial with all their evidence, ending in a line end.
pub fn verdicts(trial: &Trial, look: &Look) -> String {
    let mut out = String::new();
    let widths = widths(trial);
    for judgement in &trial.judgements {
        let expectation = &trial.plan.expectations[judgement.expectation];
        out.push_str(&headline(trial, judgement, widths, look));
        if let Some(Verdict::Violated { violations }) = &judgement.verdict {
            evidence(violations, judgement.met, &trial.history, look, &mut out);
        }
        if let Some(say) = say(expectation).filter(|_| judgement.met) {
            for line in wrap(say, look.width.saturating_sub(8).min(88)) {
                out.push_str(&format!("        {line}\n"));
            }
        }
    }
    troubles(trial, look, &mut out);
    look.finish(out)
}

/// A variant in one line: its name filled to `width` columns, a sign per expectation, and what it changed;
/// in full where it failed.
pub fn variant_line(trial: &Trial, say: Option<&str>, width: usize, look: &Look) -> String {
    let id = trial.variant.as_deref().unwrap_or("base");
    let sign_of =
        |judgement: &Judgement| sign(judgement, &trial.plan.expectations[judgement.expectation]);
    let signs: Vec<String> = trial.judgements.iter().map(sign_of).collect();
    let mut out =
        format!("    variant {}  {}", Tone::Strong.paint(&pad(id, width)), signs.join(" "));
    let broken: Vec<String> = trial
        .judgements
        .iter()
        .filter(|judgement| matches!(judgement.verdict, Some(Verdict::Violated { .. })))
        .map(|judgement| {
            let (what, _) = words::subject(&trial.plan.expectations[judgement.expectation]);
            format!("{what} {}", judgement.actual)
        })
        .collect();
    let mut text = if broken.is_empty() { String::new() } else { broken.join("; ") };
    if text.is_empty() {
        text = say.map(first_sentence).unwrap_or_default();
    }
    let indent = 4 + 8 + width.max(width_of(id)) + 2 + trial.judgements.len() * 2 + 1;
    let lines = wrap(&text, look.width.saturating_sub(indent).max(30));
    out.push_str("  ");
    out.push_str(&lines.join(&format!("\n{:indent$}", "")));
    let mut out = look.finish(format!("{}\n", out.trim_end()));
    if !as_expected(trial) {
        out.push_str(&verdicts(trial, look));
    }
    out
}

fn first_sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.find(". ") {
        Some(end) => text[..=end].to_owned(),
        None => text,
    }
}

fn say(expectation: &Expectation) -> Option<&str> {
    match expectation {
        Expectation::Guarantee { say, .. } | Expectation::Fact { say, .. } => say.as_deref(),
    }
}

fn widths(trial: &Trial) -> (usize, usize) {
    let subjects = trial.plan.expectations.iter().map(words::subject);
    subjects.fold((0, 0), |(what, of), subject| {
        (what.max(width_of(&subject.0)), of.max(width_of(&subject.1)))
    })
}

fn sign(judgement: &Judgement, expectation: &Expectation) -> String {
    match (&judgement.verdict, judgement.met) {
        (_, true) => Tone::Good.paint("✓"),
        (Some(Verdict::Unknown { .. }), false) => Tone::Doubt.paint("?"),
        (_, false) if tolerance(expectation) != Tolerance::EverySeed => Tone::Dim.paint("·"),
        (_, false) => Tone::Bad.paint("✗"),
    }
}

/// `✓ processed-at-least-once  billing  violated, as expected: orders-0@2`.
fn headline(trial: &Trial, judgement: &Judgement, widths: (usize, usize), look: &Look) -> String {
    let expectation = &trial.plan.expectations[judgement.expectation];
    let (what, of) = words::subject(expectation);
    let head = format!("{}  {}", pad(&what, widths.0), pad(&of, widths.1));
    // Beside the subject if that leaves room to read, else below it.
    let indent = 6 + width_of(&head) + 2;
    let (first, indent) = if indent + 30 <= look.width { (0, indent) } else { (usize::MAX, 8) };
    let lines = wrap(&outcome(trial, judgement), look.width.saturating_sub(indent).min(88));
    let mut out = format!("    {} {head}", sign(judgement, expectation));
    for (index, line) in lines.iter().enumerate() {
        if index == first {
            out.push_str(&format!("  {line}"));
        } else {
            out.truncate(out.trim_end().len());
            out.push_str(&format!("\n{:indent$}{line}", ""));
        }
    }
    format!("{}\n", out.trim_end())
}

/// What was seen beside what was expected.
pub(super) fn outcome(trial: &Trial, judgement: &Judgement) -> String {
    let expectation = &trial.plan.expectations[judgement.expectation];
    let mut actual = judgement.actual.as_str();
    // Why the trial ended early is said once, below.
    if let TrialEnd::NoProgress { what } = &trial.end {
        actual = actual.strip_suffix(&format!(": {what}")).unwrap_or(actual);
    }
    match (expectation, judgement.met) {
        (Expectation::Guarantee { verdict: ExpectedVerdict::Violated, .. }, true) => {
            match actual.strip_prefix("violated") {
                Some(rest) => format!("violated, as expected{rest}"),
                None => actual.to_owned(),
            }
        }
        (Expectation::Guarantee { .. }, true) => actual.to_owned(),
        (Expectation::Fact { is, .. }, true) => match words::comparison(is) {
            equal if equal == format!("= {actual}") => equal,
            bound => format!("{bound} ({actual})"),
        },
        (_, false) => {
            let mut text =
                format!("expected {}, {}", words::expected(expectation), but(expectation, actual));
            if tolerance(expectation) != Tolerance::EverySeed {
                text.push_str(" (need not be on every seed)");
            }
            text
        }
    }
}

fn but(expectation: &Expectation, actual: &str) -> String {
    let number = actual.parse::<i64>().is_ok();
    match expectation {
        Expectation::Fact { .. } if number => format!("but it was {actual}"),
        _ => format!("but {actual}"),
    }
}

/// Violations by cause, in the order the checker gave them.
fn by_cause(violations: &[Violation]) -> Vec<(Cause, Vec<&Violation>)> {
    let mut causes: Vec<(Cause, Vec<&Violation>)> = Vec::new();
    for violation in violations {
        match causes.iter_mut().find(|(cause, _)| *cause == violation.cause) {
            Some((_, same)) => same.push(violation),
            None => causes.push((violation.cause, vec![violation])),
        }
    }
    causes
}

fn evidence(violations: &[Violation], met: bool, history: &History, look: &Look, out: &mut String) {
    for (cause, same) in by_cause(violations) {
        let because = format!("because  {}", words::name_of(&cause));
        out.push_str(&format!(
            "        {}\n",
            if met { because } else { Tone::Doubt.paint(&because) }
        ));
        for violation in same.iter().take(TOLD) {
            if !met || violation.why.is_empty() {
                out.push_str(&format!("         {}: {}\n", violation.anomaly, violation.what));
            }
            chain(&violation.why, history, look, out);
        }
        if same.len() > TOLD {
            let more = words::count(same.len() - TOLD, "more like it");
            let more = more.strip_suffix('s').filter(|_| same.len() > TOLD + 1).unwrap_or(&more);
            out.push_str(&format!("         and {more}\n"));
        }
    }
}

/// The numbered events of a chain, with the event's id at the right.
fn chain(why: &[Evidence], history: &History, look: &Look, out: &mut String) {
    let room = look.width.saturating_sub(30).clamp(30, 72);
    for (number, link) in why.iter().take(LINKS).enumerate() {
        let event = history.event(link.event);
        let lines = wrap(&link.says, room);
        let head = format!("        {:2}  {:>8}  ", number + 1, words::time(event.at));
        let id = Tone::Dim.paint(&event.id.to_string());
        out.push_str(&format!("{head}{}  {id}\n", pad(&lines[0], room.min(60))));
        for line in &lines[1..] {
            out.push_str(&format!("{:22}{line}\n", ""));
        }
    }
    if why.len() > LINKS {
        out.push_str(&format!("            … {} more\n", why.len() - LINKS));
    }
}

/// What else keeps a trial from passing: steps that never fired, an end before its time.
fn troubles(trial: &Trial, look: &Look, out: &mut String) {
    for unfired in &trial.unfired {
        let step = &trial.plan.steps[unfired.step];
        out.push_str(&format!(
            "    {} step {} never fired: {}\n",
            Tone::Bad.paint("✗"),
            words::step_name(step, unfired.step),
            unfired.progress
        ));
    }
    if let Some(end) = end(trial) {
        out.push_str(&format!("    {} {end}\n", Tone::Bad.paint("✗")));
    }
    if let TrialEnd::Broken(broken) = &trial.end {
        chain(&broken.why, &trial.history, look, out);
    }
}

/// Why the trial ended before its time.
pub(super) fn end(trial: &Trial) -> Option<String> {
    match &trial.end {
        TrialEnd::Finished => None,
        TrialEnd::NoProgress { what } => Some(format!("no progress: {what}")),
        TrialEnd::Crashed { node, message } => Some(format!("BUG: {node} panicked: {message}")),
        TrialEnd::Broken(Broken { invariant, what, more, .. }) => {
            let more = if *more > 0 { format!(" (and {more} more)") } else { String::new() };
            Some(format!("BUG: invariant {invariant} broke: {what}{more}"))
        }
    }
}
