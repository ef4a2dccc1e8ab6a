//! Same plan and seed: same trial, alone or in a batch, on one thread or on several.

use std::sync::{Arc, Mutex};

use retrial::testbed::{
    campaign::DELIVERY,
    history::History,
    runner::{Job, run_trial, sweep},
};

const SEEDS: std::ops::Range<u64> = 0..24;

fn jobs() -> Vec<Job> {
    SEEDS.map(|seed| Job { plan: DELIVERY.plan(seed), variant: None, seed }).collect()
}

/// Digests and histories of a batch on that many threads.
fn batch(threads: usize) -> Vec<(String, History)> {
    let jobs = jobs();
    let results = Mutex::new(vec![None; jobs.len()]);
    sweep(
        &jobs,
        threads,
        |job| run_trial(&job.plan, None, job.seed),
        |index, trial| {
            let result = (trial.digest.clone(), trial.history.clone());
            results.lock().unwrap()[index] = Some(result);
        },
    );
    results.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}

#[test]
fn trials_are_the_same_alone_and_in_batches_on_one_and_two_threads() {
    let one = batch(1);
    let two = batch(2);
    for (job, (one, two)) in jobs().iter().zip(one.iter().zip(&two)) {
        let alone = run_trial(&job.plan, None, job.seed);
        assert!(!alone.digest.is_empty());
        assert_eq!((&one.0, &two.0), (&alone.digest, &alone.digest), "seed {}", job.seed);
        assert!(one.1 == alone.history && two.1 == alone.history, "seed {}", job.seed);
    }
}

#[test]
fn another_seed_is_another_trial() {
    let plan = DELIVERY.plan(0);
    let digests = [1, 2].map(|seed| run_trial(&Arc::clone(&plan), None, seed).digest);
    assert_ne!(digests[0], digests[1]);
}
