//! `cargo bench --bench rates`: how many seeds it takes to meet what Kafka once did wrong, and that the present never
//! does it. Writes a table in Markdown.
//!
//! `RATES=3,10` takes only these entries, `RATES_TRIALS=500` fewer trials with the past behaviour,
//! `RATES_PRESENT=1000` fewer with the present one.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use retrial::testbed::{
    campaign::{Entry, entries},
    checker::{Invariant, Verdict, Violation},
    plan::{Expectation, Guarantee, Plan},
    runner::{Job, Trial, TrialEnd, run_trial, sweep},
    scenario::to_toml,
};

/// A rate is known well enough after so many hits,
const HITS: usize = 20;
/// or after so many trials, if there were fewer hits.
const TRIALS: u64 = 2_000;
const PRESENT_TRIALS: u64 = 5_000;
/// How a trial is told apart in which nothing was lost, but which a replica ended out of sync.
const UNHEALED: &str = "not healed: ";

/// So many trials with the present behaviour, and the seeds of those that broke a promise.
type Present = (u64, Vec<(u64, String)>);

fn main() {
    if let Ok(shown) = std::env::var("RATES_SHOW") {
        return show(&shown);
    }
    let chosen = std::env::var("RATES").ok();
    let number = |name: &str, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let trials = number("RATES_TRIALS", TRIALS);
    let present = number("RATES_PRESENT", PRESENT_TRIALS);
    let is_chosen = |entry: &Entry| {
        chosen.as_ref().is_none_or(|chosen| chosen.split(',').any(|number| number == entry.number))
    };
    println!(
        "| entry | campaign | past: first hit | hits | rate | present: trials | anomalies | not healed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut presents: BTreeMap<&str, Present> = BTreeMap::new();
    for entry in entries().into_iter().filter(is_chosen) {
        let hits = hits(&entry, trials);
        let safe = presents
            .entry(entry.campaign.name)
            .or_insert_with(|| (present, anomalies(&entry, present)));
        let run = hits.run;
        let unhealed = safe.1.iter().filter(|(_, what)| what.starts_with(UNHEALED)).count();
        let rate = match hits.seeds.len() {
            0 => format!("0 of {run}"),
            hit => format!("{:.3} % ({hit} of {run})", 100.0 * hit as f64 / run as f64),
        };
        println!(
            "| {} `{}` | {} | {} | {} | {rate} | {} | {} | {unhealed} |",
            entry.number,
            entry.name,
            entry.campaign.name,
            hits.seeds.first().map_or("none".into(), u64::to_string),
            hits.seeds.len(),
            safe.0,
            safe.1.len() - unhealed,
        );
        let told = |(_, what): &&(u64, String)| !what.starts_with(UNHEALED);
        for (seed, what) in safe.1.iter().filter(told).chain(safe.1.iter().take(3)) {
            eprintln!("  present {} seed {seed}: {what}", entry.campaign.name);
        }
        for (seed, what) in hits.others.iter().take(3) {
            eprintln!("  past {} seed {seed}, another: {what}", entry.number);
        }
    }
}

/// `3:82:past` or `3:82:present`: the plan of a seed as a scenario file.
fn show(wanted: &str) {
    let mut parts = wanted.split(':');
    let (number, seed) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
    let entry = entries().into_iter().find(|entry| entry.number == number).expect("a known entry");
    let mut plan = Plan::clone(&entry.campaign.plan(seed));
    if parts.next() == Some("past") {
        (entry.past)(&mut plan);
    }
    println!("{}", to_toml(&plan));
}

struct Hits {
    /// Ascending.
    seeds: Vec<u64>,
    run: u64,
    /// Trials that did not come to their end.
    others: Vec<(u64, String)>,
}

/// Trials with the past behaviour, until there are enough hits.
fn hits(entry: &Entry, trials: u64) -> Hits {
    let mut hits = Hits { seeds: Vec::new(), run: 0, others: Vec::new() };
    // In portions, so that how many are run depends on seeds alone.
    while hits.run < trials && hits.seeds.len() < HITS {
        let seeds = hits.run..(hits.run + 100).min(trials);
        hits.run = seeds.end;
        let found = Mutex::new((Vec::new(), Vec::new()));
        each(seeds.collect(), entry, entry.past, |trial| {
            let mut found = found.lock().unwrap();
            match &trial.end {
                TrialEnd::Finished if breaks(trial, entry.breaks) => found.0.push(trial.seed),
                TrialEnd::Finished => {}
                other => {
                    found.1.push((trial.seed, format!("{other:?}").chars().take(300).collect()))
                }
            }
        });
        let (mut seeds, others) = found.into_inner().unwrap();
        seeds.sort_unstable();
        hits.seeds.extend(seeds);
        hits.others.extend(others);
    }
    hits
}

/// Whatever the present breaks, and how.
fn anomalies(entry: &Entry, trials: u64) -> Vec<(u64, String)> {
    let found = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    each(
        (0..trials).collect(),
        entry,
        |_plan| {},
        |trial| {
            let what = match &trial.end {
                TrialEnd::Finished => broken(trial),
                TrialEnd::Broken(broken) if broken.invariant == Invariant::Heals => {
                    Some(format!("{UNHEALED}{}", broken.what))
                }
                other => Some(format!("{other:?}").chars().take(600).collect()),
            };
            if let Some(what) = what {
                done.store(true, Ordering::Relaxed);
                found.lock().unwrap().push((trial.seed, what));
            }
        },
    );
    let mut found = found.into_inner().unwrap();
    found.sort();
    found
}

fn each(seeds: Vec<u64>, entry: &Entry, change: fn(&mut Plan), done: impl Fn(&Trial) + Sync) {
    let job = |seed| {
        let mut plan = Plan::clone(&entry.campaign.plan(seed));
        change(&mut plan);
        Job { plan: Arc::new(plan), variant: None, seed }
    };
    let jobs: Vec<Job> = seeds.into_iter().map(job).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    sweep(&jobs, threads, |job| run_trial(&job.plan, None, job.seed), |_, trial| done(trial));
}

/// What was violated. That a replica is not back in the ISR is a fault of its own, and no entry's anomaly.
fn violated(trial: &Trial) -> impl Iterator<Item = (Guarantee, &Violation)> + '_ {
    let all = trial.judgements.iter().filter_map(|judgement| {
        let Some(Verdict::Violated { violations }) = &judgement.verdict else { return None };
        match &trial.plan.expectations[judgement.expectation] {
            Expectation::Guarantee { guarantee, .. } => Some((*guarantee, violations)),
            Expectation::Fact { .. } => None,
        }
    });
    all.flat_map(|(guarantee, violations)| violations.iter().map(move |one| (guarantee, one)))
}

/// A replica that is not in sync in the end, or a partition without a leader.
fn is_unhealed(violation: &Violation) -> bool {
    &*violation.anomaly == "not-healed" && !violation.what.contains("holds other records")
}

fn breaks(trial: &Trial, wanted: &[Guarantee]) -> bool {
    violated(trial)
        .any(|(guarantee, violation)| wanted.contains(&guarantee) && !is_unhealed(violation))
}

fn broken(trial: &Trial) -> Option<String> {
    let worst = violated(trial).min_by_key(|(_, violation)| is_unhealed(violation));
    let (guarantee, violation) = worst?;
    let kind = if is_unhealed(violation) { UNHEALED } else { "" };
    Some(format!("{kind}{guarantee:?}: {}: {}", violation.anomaly, violation.what))
}
