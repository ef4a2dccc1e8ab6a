//! Sweeps: sums over seeds.

use std::{sync::Arc, time::Duration};

use insta::assert_snapshot;

use super::{
    super::{Look, Origin, Signs, Tally, sweep_line, sweep_summary},
    sample,
};
use crate::testbed::{
    plan::{Expectation, Plan, Tolerance},
    runner::Trial,
};

fn look() -> Look {
    Look::new(100, Signs::Unicode)
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn origin() -> Origin {
    Origin {
        file: "lessons/12.toml".to_owned(),
        overrides: vec!["producers.shop.records = 5".into()],
        variants: 2,
    }
}

fn with_seed(mut trial: Trial, seed: u64) -> Trial {
    trial.seed = seed;
    trial
}

fn tolerant(over: Tolerance) -> Plan {
    let mut plan = sample::plan();
    for expectation in &mut plan.expectations {
        match expectation {
            Expectation::Guarantee { over: it, .. } | Expectation::Fact { over: it, .. } => {
                *it = over;
            }
        }
    }
    plan
}

#[test]
fn a_sweep_counts_and_repeats_what_failed() {
    let mut good = Tally::new(Arc::new(sample::plan()), None);
    let mut bad = Tally::new(Arc::new(sample::plan()), Some("auto-commit".to_owned()));
    for seed in 1..=20 {
        good.add(&with_seed(sample::lesson(), seed));
        let trial = if seed % 7 == 3 { sample::wreck() } else { sample::lesson() };
        bad.add(&with_seed(trial, seed));
    }
    good.wall = Duration::from_millis(400);
    bad.wall = Duration::from_millis(1900);
    let mut out = sweep_line(&good, &look());
    out.push_str(&sweep_line(&bad, &look()));
    let origin = origin();
    let all = [(&good, &origin), (&bad, &origin)];
    out.push_str(&sweep_summary(all.into_iter(), Duration::from_secs(2), &look()));
    assert_snapshot!(plain(&out));
}

#[test]
fn a_tally_does_not_depend_on_the_order_of_its_trials() {
    let trials: Vec<Trial> = (1..=9)
        .map(|seed| with_seed(if seed % 4 == 2 { sample::wreck() } else { sample::lesson() }, seed))
        .collect();
    let sum = |trials: &mut dyn Iterator<Item = &Trial>| {
        let mut tally = Tally::new(Arc::new(sample::plan()), None);
        trials.for_each(|trial| tally.add(trial));
        format!("{tally:?}")
    };
    assert_eq!(sum(&mut trials.iter()), sum(&mut trials.iter().rev()));
}

#[test]
fn an_expectation_on_some_seeds_fails_only_if_no_seed_meets_it() {
    let plan = tolerant(Tolerance::SomeSeed);
    let mut tally = Tally::new(Arc::new(plan.clone()), None);
    let mut unmet = sample::lesson();
    unmet.plan = Arc::new(plan.clone());
    for judgement in &mut unmet.judgements {
        judgement.met = false;
    }
    tally.add(&unmet);
    assert!(!tally.passed());
    let mut met = with_seed(sample::lesson(), 2);
    met.plan = Arc::new(plan);
    tally.add(&met);
    assert!(tally.passed());
    assert_snapshot!(plain(&sweep_line(&tally, &look())));
}

#[test]
fn a_rate_is_the_share_of_the_seeds() {
    let plan = tolerant(Tolerance::Rate(0.5));
    let mut tally = Tally::new(Arc::new(plan.clone()), None);
    for seed in 1..=4 {
        let mut trial = with_seed(sample::lesson(), seed);
        trial.plan = Arc::new(plan.clone());
        for judgement in &mut trial.judgements {
            judgement.met = seed <= 2;
        }
        tally.add(&trial);
    }
    assert!(tally.passed());
}

#[test]
fn a_sweep_over_nothing_does_not_pass() {
    assert!(!Tally::new(Arc::new(sample::plan()), None).passed());
}

#[test]
fn a_seed_with_two_digests_fails_the_sweep() {
    let mut tally = Tally::new(Arc::new(sample::plan()), None);
    tally.add(&sample::lesson());
    tally.differs(1, "aa", "bb");
    assert!(!tally.passed());
    let origin = origin();
    let all = [(&tally, &origin)];
    let out = sweep_summary(all.into_iter(), Duration::from_secs(1), &look());
    assert_snapshot!(plain(&out));
}
