//! Many trials on all cores, with the same output whatever the number of threads.
//!
//! Trials end in any order; lines are printed in the order of the cases, and sums do not depend on order.

use std::{
    collections::BTreeMap,
    io,
    ops::RangeInclusive,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{
    exit::Exit,
    interrupt::Interrupt,
    progress::Progress,
    scenarios,
    streams::{Audience, Streams},
};
use crate::testbed::{
    plan::Plan,
    report::{
        Look, Origin, Tally, finished_line, run_lines, sweep_line, sweep_summary, write_trace,
    },
    runner::{self, Job, Trial, run_trial},
};

/// A run keeps a line or two of each trial until those before it are done; above this, split the seeds.
const MOST_TRIALS: u64 = 10_000_000;

/// One plan over its seeds.
pub(super) struct Case {
    pub plan: Arc<Plan>,
    pub variant: Option<String>,
    pub origin: Origin,
    pub seeds: RangeInclusive<u64>,
}

impl Case {
    fn seeds(&self) -> u64 {
        (self.seeds.end() - self.seeds.start()).saturating_add(1)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Text,
    JsonLines,
}

/// How often each seed runs; more than once to compare digests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Repeats {
    Once,
    Twice,
}

impl Repeats {
    fn times(self) -> usize {
        match self {
            Repeats::Once => 1,
            Repeats::Twice => 2,
        }
    }
}

pub(super) struct Options {
    pub format: Format,
    pub repeats: Repeats,
    pub threads: usize,
    pub trace: Option<PathBuf>,
}

#[allow(clippy::disallowed_methods, reason = "time on the wall, for the summary alone")]
pub(super) fn sweep(
    cases: Vec<Case>,
    options: &Options,
    streams: &mut Streams,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let times = options.repeats.times();
    let each = |case: &Case| case.seeds().saturating_mul(times as u64);
    let trials = cases.iter().map(each).fold(0, u64::saturating_add);
    if trials > MOST_TRIALS {
        bail!("{trials} trials are too many for one run: at most {MOST_TRIALS} are allowed");
    }
    let mut jobs = Vec::new();
    for case in &cases {
        for seed in case.seeds.clone() {
            for _ in 0..times {
                let (plan, variant) = (Arc::clone(&case.plan), case.variant.clone());
                jobs.push(Job { plan, variant, seed });
            }
        }
    }
    let (look, format) = (streams.look(), options.format);
    let interrupt = match streams.audience {
        Audience::Process => Interrupt::listen(),
        Audience::Caller => Interrupt::default(),
    };
    if format == Format::Text {
        streams.complain(&format!(
            "     Running {} trials of {} scenarios and variants, threads: {}\n",
            jobs.len(),
            cases.len(),
            options.threads
        ))?;
    }
    let progress = Progress::new(streams, jobs.len());
    let gather = Mutex::new(Gather::new(cases, options, look, streams, progress));
    let run = |job: &Job| run_trial(&job.plan, job.variant.as_deref(), job.seed);
    runner::sweep(&jobs, options.threads, run, |index, trial| {
        let mut gather = gather.lock().expect("no panic while results are gathered");
        gather.done(index, trial);
        if interrupt.is_pressed() {
            let _ = gather.summary(began.elapsed(), Exit::Interrupted);
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    });
    let mut gather = gather.into_inner().expect("no panic while results are gathered");
    if let Some(error) = gather.failed_to_print.take() {
        return Err(error.into());
    }
    let exit = gather.exit();
    gather.summary(began.elapsed(), exit)?;
    if let Some(file) = &options.trace {
        scenarios::write(file, &gather.traces.text).context("failed to write the trace")?;
    }
    Ok(exit)
}

/// Pieces of text that come in any order and are wanted in the order of their numbers.
#[derive(Default)]
struct InOrder {
    waiting: BTreeMap<usize, String>,
    next: usize,
    text: String,
}

impl InOrder {
    fn add(&mut self, index: usize, piece: String) {
        self.waiting.insert(index, piece);
        while let Some(piece) = self.waiting.remove(&self.next) {
            self.text.push_str(&piece);
            self.next += 1;
        }
    }

    /// What is in order so far.
    fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

struct Gathered {
    tally: Tally,
    origin: Origin,
    /// Index of its first job.
    first: usize,
    left: usize,
    /// Digests of seeds whose other run is not done, by seed.
    digests: BTreeMap<u64, String>,
}

struct Gather<'s, 'io> {
    cases: Vec<Gathered>,
    /// The case whose line comes next.
    next: usize,
    times: usize,
    format: Format,
    look: Look,
    lines: InOrder,
    traces: InOrder,
    wants_traces: bool,
    progress: Progress,
    streams: &'s mut Streams<'io>,
    since: Instant,
    failed_to_print: Option<io::Error>,
}

impl<'s, 'io> Gather<'s, 'io> {
    #[allow(clippy::disallowed_methods, reason = "time on the wall, for the lines' sake alone")]
    fn new(
        cases: Vec<Case>,
        options: &Options,
        look: Look,
        streams: &'s mut Streams<'io>,
        progress: Progress,
    ) -> Self {
        let times = options.repeats.times();
        let mut first = 0;
        let cases = cases
            .into_iter()
            .map(|case| {
                let left =
                    usize::try_from(case.seeds()).expect("within the bound on trials") * times;
                let gathered = Gathered {
                    tally: Tally::new(case.plan, case.variant),
                    origin: case.origin,
                    first,
                    left,
                    digests: BTreeMap::new(),
                };
                first += left;
                gathered
            })
            .collect();
        Gather {
            cases,
            next: 0,
            times,
            format: options.format,
            look,
            lines: InOrder::default(),
            traces: InOrder::default(),
            wants_traces: options.trace.is_some(),
            progress,
            streams,
            since: Instant::now(),
            failed_to_print: None,
        }
    }

    /// Takes in the trial of job `index`.
    fn done(&mut self, index: usize, trial: &Trial) {
        let number = self.cases.partition_point(|case| case.first <= index) - 1;
        let case = &mut self.cases[number];
        case.left -= 1;
        if (index - case.first).is_multiple_of(self.times) {
            case.tally.add(trial);
            let run = index / self.times;
            if self.format == Format::JsonLines {
                self.lines.add(run, run_lines(trial, &case.origin));
            }
            if self.wants_traces {
                self.traces.add(run, write_trace(trial, &case.origin));
            }
        }
        if self.times > 1 {
            match case.digests.remove(&trial.seed) {
                Some(other) if other != trial.digest => {
                    // Sorted, so that it does not matter which run ended first.
                    let mut both = [&other, &trial.digest];
                    both.sort();
                    case.tally.differs(trial.seed, both[0], both[1]);
                }
                Some(_) => {}
                None => {
                    case.digests.insert(trial.seed, trial.digest.clone());
                }
            }
        }
        if let Err(error) = self.print() {
            self.failed_to_print.get_or_insert(error);
        }
    }

    /// Prints what is next in order and complete.
    fn print(&mut self) -> io::Result<()> {
        self.progress.step(self.streams.err)?;
        let mut text = self.lines.take();
        while let Some(case) = self.cases.get_mut(self.next).filter(|case| case.left == 0) {
            case.tally.wall = self.since.elapsed();
            self.since += case.tally.wall;
            if self.format == Format::Text {
                text.push_str(&sweep_line(&case.tally, &self.look));
            }
            self.next += 1;
        }
        if text.is_empty() {
            return Ok(());
        }
        let streams = &mut *self.streams;
        self.progress.print_past(|| streams.print(&text))
    }

    fn exit(&self) -> Exit {
        let exits = self.cases.iter().map(|case| Exit::of_tally(&case.tally));
        exits.fold(Exit::AsExpected, Exit::worst)
    }

    fn summary(&mut self, wall: Duration, exit: Exit) -> io::Result<()> {
        self.progress.finish();
        // Interrupted, cases that did not begin have nothing to say.
        let begun = || self.cases.iter().filter(|case| case.tally.runs > 0);
        let text = match self.format {
            Format::Text => {
                let all = begun().map(|case| (&case.tally, &case.origin));
                sweep_summary(all, wall, &self.look)
            }
            Format::JsonLines => {
                let runs = begun().map(|case| case.tally.runs).sum();
                let failed = begun().map(|case| case.tally.failed).sum();
                finished_line(runs, failed, exit.code())
            }
        };
        self.streams.print(&text)
    }
}
