//! Same plan and seed: same trial, alone or in a batch, on one thread or on several.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use retrial::testbed::{
    campaign::DELIVERY,
    history::EventKind,
    runner::{Job, Trial, difference, run_trial, sweep},
};

fn jobs(seeds: std::ops::Range<u64>) -> Vec<Job> {
    seeds.map(|seed| Job { plan: DELIVERY.plan(seed), variant: None, seed }).collect()
}

fn simulate(job: &Job) -> Trial {
    run_trial(&job.plan, None, job.seed)
}

/// The trials of a batch on that many threads.
fn batch(jobs: &[Job], threads: usize, run: impl Fn(&Job) -> Trial + Sync) -> Vec<Trial> {
    let trials = Mutex::new(vec![None; jobs.len()]);
    sweep(jobs, threads, run, |index, trial| trials.lock().unwrap()[index] = Some(trial.clone()));
    trials.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}

/// Where trials differ from themselves, run alone and in batches.
fn differences(jobs: &[Job], run: impl Fn(&Job) -> Trial + Sync) -> Vec<String> {
    let mut told = Vec::new();
    let alone: Vec<Trial> = jobs.iter().map(&run).collect();
    for threads in [1, 2] {
        for (alone, batched) in alone.iter().zip(batch(jobs, threads, &run)) {
            assert!(!alone.digest.is_empty());
            let difference = difference(alone, &batched);
            told.extend(difference.map(|what| format!("on {threads} threads: {what}")));
        }
    }
    told
}

#[test]
fn trials_are_the_same_alone_and_in_batches_on_one_and_two_threads() {
    let told = differences(&jobs(0..24), simulate);
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn another_seed_is_another_trial() {
    let plan = DELIVERY.plan(0);
    let digests = [1, 2].map(|seed| run_trial(&Arc::clone(&plan), None, seed).digest);
    assert_ne!(digests[0], digests[1]);
}

/// What trials share must not reach into them: here a counter does.
#[test]
fn a_world_that_remembers_earlier_trials_is_seen() {
    let earlier = AtomicU64::new(0);
    let told = differences(&jobs(0..2), |job| {
        let drift = earlier.fetch_add(1, Ordering::Relaxed);
        Trial { seed: job.seed, ..run_trial(&job.plan, None, job.seed + drift) }
    });
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].contains("on 1 threads: seed 0 gave trace "), "{told:?}");
}

/// A digest that left something out would not hide a difference in the history.
#[test]
fn a_history_that_differs_behind_one_digest_is_seen() {
    let calls = AtomicU64::new(0);
    let told = differences(&jobs(0..1), |job| {
        let mut trial = simulate(job);
        if calls.fetch_add(1, Ordering::Relaxed) > 0 {
            let last = trial.history.events.last_mut().unwrap();
            last.kind = EventKind::BrokerStarted;
        }
        trial
    });
    assert_eq!(told.len(), 2, "{told:?}");
}
