//! Exit codes as functions of results.

use std::sync::Arc;

use super::super::Exit;
use crate::testbed::{
    report::{Tally, sample_trial},
    runner::{Trial, TrialEnd, UnfiredStep},
};

fn unmet() -> Trial {
    let mut trial = sample_trial();
    trial.judgements[0].met = false;
    trial
}

fn ended(end: TrialEnd) -> Trial {
    Trial { end, ..sample_trial() }
}

fn stuck() -> Trial {
    ended(TrialEnd::NoProgress { what: "the limit".to_owned() })
}

fn crashed() -> Trial {
    ended(TrialEnd::Crashed { node: "b1".to_owned(), message: "a bug".to_owned() })
}

fn tally(trials: &[Trial]) -> Tally {
    let mut tally = Tally::new(Arc::clone(&sample_trial().plan), None);
    trials.iter().for_each(|trial| tally.add(trial));
    tally
}

#[test]
fn a_trial_ends_with_the_documented_code() {
    assert_eq!(Exit::of_trial(&sample_trial()).code(), 0);
    assert_eq!(Exit::of_trial(&unmet()).code(), 1);
    assert_eq!(Exit::of_trial(&stuck()).code(), 4);
    assert_eq!(Exit::of_trial(&crashed()).code(), 101);
}

#[test]
fn a_step_that_never_fired_is_not_as_expected() {
    let mut trial = sample_trial();
    trial.unfired = vec![UnfiredStep { step: 0, progress: "0 of 1".to_owned() }];
    assert_eq!(Exit::of_trial(&trial), Exit::NotAsExpected);
}

#[test]
fn a_sweep_ends_with_the_gravest_code() {
    assert_eq!(Exit::of_tally(&tally(&[sample_trial()])), Exit::AsExpected);
    assert_eq!(Exit::of_tally(&tally(&[sample_trial(), unmet()])), Exit::NotAsExpected);
    assert_eq!(Exit::of_tally(&tally(&[unmet(), stuck()])), Exit::NoProgress);
    let mut twofold = tally(&[stuck()]);
    twofold.differs(1, "a", "b");
    assert_eq!(Exit::of_tally(&twofold).code(), 3);
    assert_eq!(Exit::of_tally(&tally(&[crashed(), stuck()])), Exit::Crashed);
}

#[test]
fn nothing_run_is_not_green() {
    assert_eq!(Exit::of_tally(&tally(&[])), Exit::NotAsExpected);
}

#[test]
fn of_several_endings_the_worst_wins_whatever_the_order() {
    let worse_and_worse = [
        Exit::AsExpected,
        Exit::NotAsExpected,
        Exit::NoProgress,
        Exit::NotDeterministic,
        Exit::Crashed,
    ];
    for (index, low) in worse_and_worse.iter().enumerate() {
        for high in &worse_and_worse[index..] {
            assert_eq!(low.worst(*high), *high);
            assert_eq!(high.worst(*low), *high);
        }
    }
}
