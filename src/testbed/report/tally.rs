//! Many seeds of one scenario and variant, counted.
//!
//! Trials may be added in any order, by any number of threads: the tally is the same.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{verdicts, words};
use crate::testbed::{
    plan::{Expectation, Plan, Tolerance},
    runner::{Trial, TrialEnd},
};

/// A trial that did not show what was expected, and in which ways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub seed: u64,
    pub digest: String,
    /// One line each, with their signs.
    pub lines: Vec<String>,
}

/// How an expectation fared over the seeds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Count {
    pub met: usize,
    /// The smallest seed that did not meet it, and what it showed.
    pub unmet: Option<(u64, String)>,
}

/// Two runs of one seed that were not the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub seed: u64,
    pub digests: (String, String),
}

#[derive(Clone, Debug)]
pub struct Tally {
    pub name: String,
    pub variant: Option<String>,
    plan: Arc<Plan>,
    pub runs: usize,
    /// Seeds that failed by themselves, whatever the other seeds show.
    pub failed: usize,
    pub stuck: usize,
    pub crashed: usize,
    /// The smallest failing seed.
    pub first_failure: Option<Failure>,
    counts: BTreeMap<usize, Count>,
    pub difference: Option<Difference>,
    pub virtual_time: Duration,
    /// Time on the wall from the first to the last of its runs; told by the caller.
    pub wall: Duration,
}

/// Whether a trial met everything that every seed must meet.
pub fn as_expected(trial: &Trial) -> bool {
    trial.end == TrialEnd::Finished && trial.unfired.is_empty() && unmet(trial).next().is_none()
}

/// Judgements not met that every seed must meet.
fn unmet(trial: &Trial) -> impl Iterator<Item = usize> {
    trial.judgements.iter().enumerate().filter_map(|(index, judgement)| {
        let every =
            tolerance(&trial.plan.expectations[judgement.expectation]) == Tolerance::EverySeed;
        (every && !judgement.met).then_some(index)
    })
}

pub(super) fn tolerance(expectation: &Expectation) -> Tolerance {
    match expectation {
        Expectation::Guarantee { over, .. } | Expectation::Fact { over, .. } => *over,
    }
}

impl Tally {
    pub fn new(plan: Arc<Plan>, variant: Option<String>) -> Self {
        Tally {
            name: plan.name.clone(),
            variant,
            runs: 0,
            failed: 0,
            stuck: 0,
            crashed: 0,
            first_failure: None,
            counts: (0..plan.expectations.len()).map(|index| (index, Count::default())).collect(),
            difference: None,
            virtual_time: Duration::ZERO,
            wall: Duration::ZERO,
            plan,
        }
    }

    pub fn add(&mut self, trial: &Trial) {
        self.runs += 1;
        self.virtual_time += trial.virtual_time;
        match &trial.end {
            TrialEnd::Finished => {}
            TrialEnd::NoProgress { .. } => self.stuck += 1,
            TrialEnd::Crashed { .. } | TrialEnd::Broken(_) => self.crashed += 1,
        }
        for judgement in &trial.judgements {
            let count = self.counts.entry(judgement.expectation).or_default();
            if judgement.met {
                count.met += 1;
            } else if count.unmet.as_ref().is_none_or(|(seed, _)| trial.seed < *seed) {
                count.unmet = Some((trial.seed, verdicts::outcome(trial, judgement)));
            }
        }
        if as_expected(trial) {
            return;
        }
        self.failed += 1;
        if self.first_failure.as_ref().is_none_or(|first| trial.seed < first.seed) {
            self.first_failure = Some(failure(trial));
        }
    }

    /// Notes that the same seed gave two digests; the smallest such seed is kept.
    pub fn differs(&mut self, seed: u64, first: &str, second: &str) {
        if self.difference.as_ref().is_none_or(|kept| seed < kept.seed) {
            let digests = (first.to_owned(), second.to_owned());
            self.difference = Some(Difference { seed, digests });
        }
    }

    /// Expectations that need not hold on every seed: what, how often met, and whether that suffices.
    pub fn rates(&self) -> Vec<(String, String, bool)> {
        let mut rates = Vec::new();
        for (index, count) in &self.counts {
            let expectation = &self.plan.expectations[*index];
            let (needed, enough) = match tolerance(expectation) {
                Tolerance::EverySeed => continue,
                Tolerance::SomeSeed => ("some seed".to_owned(), count.met > 0),
                Tolerance::Rate(rate) => {
                    (format!("rate >= {rate}"), count.met as f64 >= rate * self.runs as f64)
                }
            };
            let (what, of) = words::subject(expectation);
            let share = count.met as f64 / self.runs.max(1) as f64;
            let text = format!(
                "{what} {of}: {} on {} of {} seeds, rate {share:.2} (needed: {needed})",
                words::expected(expectation),
                count.met,
                self.runs,
            );
            let unmet = count.unmet.as_ref().filter(|_| !enough);
            let unmet =
                unmet.map(|(seed, seen)| format!("seed {seed}: {seen}")).unwrap_or_default();
            rates.push((text, unmet, enough));
        }
        rates
    }

    pub fn passed(&self) -> bool {
        self.runs > 0
            && self.failed == 0
            && self.difference.is_none()
            && self.rates().iter().all(|(_, _, enough)| *enough)
    }
}

fn failure(trial: &Trial) -> Failure {
    let mut lines = Vec::new();
    for index in unmet(trial) {
        let judgement = &trial.judgements[index];
        let expectation = &trial.plan.expectations[judgement.expectation];
        let (what, of) = words::subject(expectation);
        lines.push(format!("✗ {what}  {of}   {}", verdicts::outcome(trial, judgement)));
    }
    for unfired in &trial.unfired {
        let step = words::step_name(&trial.plan.steps[unfired.step], unfired.step);
        lines.push(format!("✗ step {step} never fired: {}", unfired.progress));
    }
    lines.extend(verdicts::end(trial).map(|end| format!("✗ {end}")));
    Failure { seed: trial.seed, digest: trial.digest.clone(), lines }
}
