//! The command line as types.

use std::{num::NonZeroUsize, ops::RangeInclusive, path::PathBuf, str::FromStr};

use clap::{Parser, Subcommand};

use super::{
    exit,
    serve::{Advertise, Listen},
};

/// A whole Kafka cluster on trial: run a scenario, see what happened and which guarantees held.
#[derive(Parser, Debug)]
#[command(name = "retrial", version, after_help = exit::HELP, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub verb: Verb,

    /// Use ASCII signs only
    #[arg(long, global = true)]
    pub ascii: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Run scenarios: a file tells its story, several files or seeds are summed up
    #[command(after_help = exit::HELP)]
    Run(Run),
    /// Run what a trace file carries again, and compare
    Replay(Replay),
    /// List scenarios with their titles
    List(List),
    /// Explain a setting, guarantee, cause, event or verb, or how to try a scenario file by hand
    Explain(Explain),
    /// Check scenario files without running them
    Lint(Lint),
    /// Serve real clients: the broker that trials test, on TCP ports and in a directory
    #[command(after_help = exit::SERVE_HELP)]
    Serve(Serve),
}

#[derive(clap::Args, Debug)]
pub(super) struct Run {
    /// Scenario files, or directories with *.scenario.toml files
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,

    /// Use this seed instead of the file's
    #[arg(long, value_name = "N", conflicts_with = "seeds", allow_negative_numbers = true)]
    #[arg(value_parser = seed)]
    pub seed: Option<u64>,

    /// Run every seed of this range, on all cores
    #[arg(long, value_name = "A..=B", allow_negative_numbers = true)]
    pub seeds: Option<Seeds>,

    /// Run one variant; `base` is the scenario without any, `all` is both
    #[arg(long, value_name = "ID", default_value = "all")]
    pub variant: String,

    /// Override a value of the file: producers.shop.config.acks=all
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,

    /// Print JSON lines instead of text
    #[arg(long)]
    pub json: bool,

    /// Write everything that happened to this file (`replay` reads it)
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pub trace: Option<PathBuf>,

    /// Run each seed twice and compare the traces' digests
    #[arg(long)]
    pub twice: bool,

    /// Threads to run trials on [default: all cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = jobs)]
    pub jobs: Option<NonZeroUsize>,

    /// Ask for a prediction before the run
    #[arg(long, conflicts_with_all = ["json", "seeds"])]
    pub ask: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct Replay {
    /// A file that `run --trace` wrote
    #[arg(value_name = "TRACE")]
    pub file: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(super) struct List {
    #[arg(value_name = "DIR", default_value = "scenarios")]
    pub dir: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(super) struct Explain {
    /// acks, processed-at-most-once, committed-before-processing, power-loss, ..., or a scenario file
    pub name: String,
}

#[derive(clap::Args, Debug)]
pub(super) struct Lint {
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(super) struct Serve {
    /// Where brokers keep their data: DIR/broker-1, DIR/broker-2, ...
    /// [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Where the first broker listens; the others take the ports after it. Port 0 takes free ones
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub listen: Listen,

    /// What clients are told to connect to, as Kafka's advertised.listeners; a port counts up with the
    /// brokers [default: where they listen]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub advertise: Option<Advertise>,

    /// Brokers in this process [default: as many as the data directory holds, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub brokers: Option<u16>,

    /// A setting of all brokers, by Kafka's name: log.flush.interval.messages=1
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,

    /// Print JSON lines instead of text
    #[arg(long)]
    pub json: bool,
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number from 1 on".to_owned())
}

/// `1..=200`, `0..10` (without its end), or one seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seeds(pub RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| -> Result<u64, String> {
            let wrong = || format!("`{text}` is not a seed: expected A..=B, like 1..=200");
            text.trim().parse().map_err(|_| wrong())
        };
        let range = if let Some((first, last)) = text.split_once("..=") {
            number(first)?..=number(last)?
        } else if let Some((first, end)) = text.split_once("..") {
            let last = number(end)?.checked_sub(1).ok_or("the range is empty")?;
            number(first)?..=last
        } else {
            let one = number(text)?;
            one..=one
        };
        if range.is_empty() { Err("the range is empty".to_owned()) } else { Ok(Seeds(range)) }
    }
}
