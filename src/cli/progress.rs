//! How far a sweep has come, on standard error: a bar on a terminal, a few plain lines elsewhere.

use std::io::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::streams::Streams;

/// Without a terminal, a line per this share of the runs.
const SHARE: usize = 10;
/// Fewer runs than this need no counter.
const FEW: usize = 100;

pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { done: usize, all: usize },
}

impl Progress {
    pub fn new(streams: &Streams, runs: usize) -> Self {
        if !streams.bar_is_seen() {
            return Progress::Lines { done: 0, all: runs };
        }
        let bar = ProgressBar::with_draw_target(Some(runs as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("    {bar:30} {pos}/{len} runs, {eta} left")
            .expect("the template is well formed");
        bar.set_style(style);
        Progress::Bar(bar)
    }

    /// One more run is done.
    pub fn step(&mut self, err: &mut (dyn Write + Send)) -> std::io::Result<()> {
        match self {
            Progress::Bar(bar) => bar.inc(1),
            Progress::Lines { done, all } => {
                *done += 1;
                let share = (*all / SHARE).max(1);
                if *all >= FEW && done.is_multiple_of(share) {
                    writeln!(err, "    {done}/{all} runs")?;
                }
            }
        }
        Ok(())
    }

    /// Prints without tearing the bar.
    pub fn print_past<T>(&self, print: impl FnOnce() -> T) -> T {
        match self {
            Progress::Bar(bar) => bar.suspend(print),
            Progress::Lines { .. } => print(),
        }
    }

    pub fn finish(&self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
