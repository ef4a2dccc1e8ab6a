//! Many trials on several threads.
//!
//! What a trial shows depends on its job alone, so the number of threads changes only the order in which
//! results come. Jobs are begun in their order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::Trial;
use crate::testbed::plan::Plan;

/// A trial to be run.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    pub plan: Arc<Plan>,
    /// The scenario's variant that the plan is; `None` for its base.
    pub variant: Option<String>,
    pub seed: u64,
}

/// Runs every job with `run` on `threads` threads (at least one) and hands each trial with its job's index
/// to `done`, from any of the threads; trials are dropped then. A panic of `run` or `done` ends the sweep.
pub fn sweep(
    jobs: &[Job],
    threads: usize,
    run: impl Fn(&Job) -> Trial + Sync,
    done: impl Fn(usize, &Trial) + Sync,
) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            done(index, &run(job));
        }
    };
    // More threads than jobs would only start and end.
    let threads = threads.clamp(1, jobs.len().max(1));
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

    use super::*;
    use crate::testbed::report::sample_trial;

    #[test]
    fn every_job_is_done_once_whatever_the_threads() {
        let trial = sample_trial();
        let job = |seed| Job { plan: Arc::clone(&trial.plan), variant: None, seed };
        let jobs: Vec<Job> = (100..137).map(job).collect();
        let run = |job: &Job| Trial { seed: job.seed, ..trial.clone() };
        for threads in [0, 1, 2, 7, 100] {
            let seen = Mutex::new(BTreeMap::new());
            sweep(&jobs, threads, run, |index, trial| {
                let before = seen.lock().unwrap().insert(index, trial.seed);
                assert_eq!(before, None, "job {index} was done twice");
            });
            let seen: Vec<u64> = seen.into_inner().unwrap().into_values().collect();
            assert_eq!(seen, (100..137).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn a_sweep_over_nothing_ends() {
        let run = |_: &Job| -> Trial { unreachable!("there is no job") };
        sweep(&[], 4, run, |_, _| unreachable!("there is no trial"));
    }
}
