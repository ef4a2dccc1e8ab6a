//! Running a campaign: many seeds on all cores, what they reached, and the smallest plan of a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::{Arc, Mutex},
};

use retrial::testbed::{
    campaign::Campaign,
    checker::{Befell, Judgement, Reached, Verdict, reached},
    plan::{Expectation, Guarantee, Plan},
    runner::{Job, Trial, TrialEnd, difference, run_trial, sweep},
    scenario::to_toml,
};

/// Every so many trials one is run twice, and its digests compared.
const TWICE_EVERY: u64 = 50;
/// A sweep of fewer seeds is a search for one failure, not a test of the campaign; the large ones sweep more of
/// themselves, since some of what they must reach is rare.
const FULL_SWEEP: u64 = 100;

/// Failing seeds told of beside the smallest.
const OTHERS_SHOWN: usize = 30;

/// What a sweep has seen so far.
#[derive(Default)]
struct Seen {
    reached: BTreeMap<Reached, u64>,
    /// How often each guarantee was judged to hold, with something to judge.
    held: BTreeMap<Guarantee, u64>,
    /// In how many trials something held under each kind of fault.
    under: BTreeMap<Befell, u64>,
    /// What each failing seed showed.
    failures: BTreeMap<u64, Vec<String>>,
}

/// Runs the campaign and fails with what it found, or for want of having looked.
pub fn hunt(campaign: &Campaign, test: &str, seeds: RangeInclusive<u64>) {
    let jobs: Vec<Job> =
        seeds.map(|seed| Job { plan: campaign.plan(seed), variant: None, seed }).collect();
    let seen = search(&jobs, |job| run_trial(&job.plan, None, job.seed));
    if let Some((seed, faults)) = seen.failures.first_key_value() {
        let shrunk = campaign.shrink(*seed, |plan| !faults_of(plan, *seed).is_empty());
        panic!("{}", tell(campaign, test, *seed, faults, &seen, &shrunk, jobs.len()));
    }
    if jobs.len() as u64 >= FULL_SWEEP {
        assert_not_vacuous(campaign, &seen, &jobs);
    }
}

/// Runs every job with `run`, some of them twice, and gathers what they show.
fn search(jobs: &[Job], run: impl Fn(&Job) -> Trial + Sync) -> Seen {
    let seen = Mutex::new(Seen::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    sweep(jobs, threads, &run, |index, trial| {
        let mut faults = faults(trial);
        if trial.seed.is_multiple_of(TWICE_EVERY) {
            let difference = difference(trial, &run(&jobs[index]));
            faults.extend(difference.map(|told| format!("not deterministic: {told}")));
        }
        let states = reached(&trial.history);
        note(&mut seen.lock().unwrap(), trial, states, faults);
    });
    seen.into_inner().unwrap()
}

fn faults_of(plan: &Arc<Plan>, seed: u64) -> Vec<String> {
    faults(&run_trial(plan, None, seed))
}

/// What a trial shows that must not be. A guarantee with nothing to judge is no fault of one trial: the
/// sweep as a whole sees to it that each was judged.
fn faults(trial: &Trial) -> Vec<String> {
    let mut faults = Vec::new();
    match &trial.end {
        TrialEnd::Finished => {}
        TrialEnd::NoProgress { what } => faults.push(format!("no progress: {what}")),
        TrialEnd::Crashed { message, .. } => faults.push(format!("crash: {message}")),
        TrialEnd::Broken(broken) => {
            faults.push(format!("invariant {} broke: {}", broken.invariant, broken.what));
            let why = broken.why.iter();
            faults.extend(why.map(|link| format!("      {} {}", link.event, link.says)));
        }
    }
    let broken = |judgement: &&Judgement| {
        !judgement.met && !matches!(judgement.verdict, Some(Verdict::Unknown { .. }))
    };
    for judgement in trial.judgements.iter().filter(broken) {
        let expectation = &trial.plan.expectations[judgement.expectation];
        if let Expectation::Guarantee { guarantee, of, .. } = expectation {
            faults.push(format!("{guarantee:?} of {of}: {}", judgement.actual));
            if let Some(Verdict::Violated { violations }) = &judgement.verdict {
                for violation in violations.iter().take(3) {
                    faults.push(format!("    {}", violation.what));
                    let why = violation.why.iter();
                    faults.extend(why.map(|link| format!("      {} {}", link.event, link.says)));
                }
            }
        }
    }
    faults
}

fn note(seen: &mut Seen, trial: &Trial, states: BTreeSet<Reached>, faults: Vec<String>) {
    for state in states {
        *seen.reached.entry(state).or_default() += 1;
    }
    let mut befell = BTreeSet::new();
    for judgement in &trial.judgements {
        if let (Some(Verdict::Holds { under, .. }), Expectation::Guarantee { guarantee, .. }) =
            (&judgement.verdict, &trial.plan.expectations[judgement.expectation])
        {
            *seen.held.entry(*guarantee).or_default() += 1;
            befell.extend(under.kinds());
        }
    }
    for kind in befell {
        *seen.under.entry(kind).or_default() += 1;
    }
    if !faults.is_empty() {
        seen.failures.insert(trial.seed, faults);
    }
}

/// The report of a failure; ends in the line to paste.
fn tell(
    campaign: &Campaign,
    test: &str,
    seed: u64,
    faults: &[String],
    seen: &Seen,
    shrunk: &Plan,
    trials: usize,
) -> String {
    let others = seen.failures.iter().skip(1).take(OTHERS_SHOWN);
    let others: String =
        others.map(|(seed, faults)| format!("  seed {seed}: {}\n", faults[0])).collect();
    format!(
        "\n{} of {trials} trials break a promise; the smallest seed is {seed}:\n  {}\n{others}\n\
         the smallest plan that still does, as a scenario file:\n\n{}\n\n\
         claim      {}\n\
         reproduce  RETRIAL_SEED={seed} cargo test --test sims {test}\n",
        seen.failures.len(),
        faults.join("\n  "),
        to_toml(shrunk),
        campaign.claim,
    )
}

/// Everything the campaign must sometimes reach was reached, and every guarantee it claims was judged.
fn assert_not_vacuous(campaign: &Campaign, seen: &Seen, jobs: &[Job]) {
    let missed: Vec<_> =
        campaign.must_reach.iter().filter(|state| !seen.reached.contains_key(state)).collect();
    assert!(missed.is_empty(), "vacuous: {} trials never reached {missed:?}", jobs.len());
    let mut claimed = BTreeSet::new();
    for expectation in jobs.iter().flat_map(|job| &job.plan.expectations) {
        if let Expectation::Guarantee { guarantee, .. } = expectation {
            claimed.insert(*guarantee);
        }
    }
    let unjudged: Vec<_> = claimed.iter().filter(|g| !seen.held.contains_key(g)).collect();
    assert!(unjudged.is_empty(), "vacuous: never judged {unjudged:?}");
    println!("{}: {} trials", campaign.name, jobs.len());
    for (state, trials) in &seen.reached {
        println!("  reached {state} in {trials}");
    }
    for (guarantee, times) in &seen.held {
        println!("  {guarantee:?} held {times} times");
    }
    for (kind, trials) in &seen.under {
        println!("  under {kind} in {trials}");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        ops::RangeInclusive,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use retrial::testbed::{
        campaign::DELIVERY,
        runner::{Job, Trial, TrialEnd, run_trial},
    };

    use super::{Seen, TWICE_EVERY, assert_not_vacuous, search};

    /// Every seed of one plan: what differs is the run.
    fn jobs(seeds: RangeInclusive<u64>) -> Vec<Job> {
        let plan = DELIVERY.plan(1);
        seeds.map(|seed| Job { plan: Arc::clone(&plan), variant: None, seed }).collect()
    }

    /// A world that draws from something beside its seed is caught by the trial that runs twice.
    #[test]
    fn a_world_that_is_not_deterministic_fails_the_campaign() {
        let calls = AtomicU64::new(0);
        let drifting = |job: &Job| {
            let drift = calls.fetch_add(1, Ordering::Relaxed);
            Trial { seed: job.seed, ..run_trial(&job.plan, None, job.seed + drift) }
        };
        let seen = search(&jobs(TWICE_EVERY..=TWICE_EVERY), drifting);
        let told = &seen.failures[&TWICE_EVERY];
        assert!(told.iter().any(|told| told.starts_with("not deterministic: seed 50")), "{told:?}");
        assert_eq!(calls.into_inner(), 2);
    }

    #[test]
    fn some_seeds_run_twice_and_the_others_once() {
        let trial = run_trial(&DELIVERY.plan(1), None, 1);
        let calls = AtomicU64::new(0);
        let run = |job: &Job| {
            calls.fetch_add(1, Ordering::Relaxed);
            Trial { seed: job.seed, ..trial.clone() }
        };
        let seen = search(&jobs(1..=2 * TWICE_EVERY), run);
        assert!(seen.failures.is_empty(), "{:?}", seen.failures);
        assert_eq!(calls.into_inner(), 2 * TWICE_EVERY + 2);
    }

    #[test]
    fn a_trial_that_crashed_got_stuck_or_broke_its_word_fails_the_campaign() {
        let sound = run_trial(&DELIVERY.plan(1), None, 1);
        let run = |job: &Job| {
            let mut trial = Trial { seed: job.seed, ..sound.clone() };
            match job.seed {
                2 => trial.end = TrialEnd::NoProgress { what: "idle".into() },
                3 => trial.end = TrialEnd::Crashed { node: "b1".into(), message: "bug".into() },
                4 => trial.judgements[0].met = false,
                _ => {}
            }
            trial
        };
        let seen = search(&jobs(1..=4), run);
        let told: Vec<_> = seen.failures.iter().map(|(seed, told)| (*seed, &*told[0])).collect();
        assert_eq!(told[..2], [(2, "no progress: idle"), (3, "crash: bug")]);
        assert!(told.len() == 3 && told[2].0 == 4, "{told:?}");
    }

    /// A campaign that reached nothing must not pass.
    #[test]
    #[should_panic(expected = "vacuous")]
    fn a_campaign_that_saw_nothing_is_vacuous() {
        assert_not_vacuous(&DELIVERY, &Seen::default(), &[]);
    }

    #[test]
    fn the_same_seed_draws_the_same_plan_and_other_seeds_others() {
        assert_eq!(DELIVERY.plan(7), DELIVERY.plan(7));
        let plans: BTreeSet<_> = (0..50).map(|seed| format!("{:?}", DELIVERY.plan(seed))).collect();
        assert_eq!(plans.len(), 50);
    }
}
