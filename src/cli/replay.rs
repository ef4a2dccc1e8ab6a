//! `retrial replay`: run what a trace file carries again, and compare.

use anyhow::Context;

use super::{args::Replay, exit::Exit, scenarios, streams::Streams};
use crate::testbed::{
    report::{BASE, closing, read_trace, trial_page},
    runner::{Trial, run_trial},
};

/// Exit code as for a run, and 3 if a trial did not repeat.
#[allow(clippy::disallowed_methods, reason = "time on the wall, for the closing line alone")]
pub(super) fn replay(args: &Replay, streams: &mut Streams) -> anyhow::Result<Exit> {
    let bytes = scenarios::read(&args.file, u64::MAX)?;
    let recordings =
        read_trace(&bytes).with_context(|| format!("failed to read {}", args.file.display()))?;
    let look = streams.look();
    let began = std::time::Instant::now();
    let mut exit = Exit::AsExpected;
    let mut trials: Vec<Trial> = Vec::new();
    let mut compared = String::new();
    for recording in &recordings {
        let trial = run_trial(&recording.plan, recording.variant.as_deref(), recording.seed);
        exit = exit.worst(Exit::of_trial(&trial));
        if trials.is_empty() {
            streams.print(&trial_page(&trial, recordings.len() - 1, &look))?;
        }
        let variant = recording.variant.as_deref().unwrap_or(BASE);
        match recording.difference(&trial) {
            None => compared.push_str(&format!(
                "✓ {variant}, seed {}: the same trace again, {}\n",
                trial.seed, trial.digest
            )),
            Some(difference) => {
                compared.push_str(&format!("✗ {variant}: not the same trace: {difference}\n"));
                exit = exit.worst(Exit::NotDeterministic);
            }
        }
        trials.push(trial);
    }
    let shown: Vec<&Trial> = trials.iter().collect();
    streams.print(&closing(&shown, &recordings[0].origin, began.elapsed(), &look))?;
    streams.print(&look.finish(compared))?;
    Ok(exit)
}
