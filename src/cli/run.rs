//! `retrial run`: one scenario tells its story; several scenarios, or seeds, are summed up.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, bail};

use super::{
    args::{Run, Seeds},
    ask,
    exit::Exit,
    scenarios::{self, Loaded},
    streams::Streams,
    sweep::{self, Case, Format},
};
use crate::testbed::{
    report::{BASE, closing, trial_page, variant_line, write_trace},
    runner::{Trial, difference, run_trial},
    scenario::Problems,
};

pub(super) fn run(args: &Run, streams: &mut Streams) -> anyhow::Result<Exit> {
    let loaded = match scenarios::load(&args.paths, &args.overrides)? {
        Ok(loaded) => loaded,
        Err(problems) => {
            if args.json {
                for problem in problems.iter().flat_map(Problems::to_json) {
                    streams.print(&format!("{problem}\n"))?;
                }
            }
            scenarios::complain(&problems, streams)?;
            return Ok(Exit::BadInput);
        }
    };
    let cases = select(&loaded, &args.variant, args.seeds.as_ref(), args.seed)?;
    let one_file = args.paths.len() == 1 && args.paths[0].is_file();
    let tells = one_file && args.seeds.is_none() && !args.json;
    if args.ask && !tells {
        bail!("--ask goes with one scenario file and one seed");
    }
    if let Some(file) = &args.trace {
        // Better heard of now than after the trials.
        scenarios::write(file, "").context("failed to write the trace")?;
    }
    if tells {
        return tell(args, &loaded[0], &cases, streams);
    }
    let options = sweep::Options {
        format: if args.json { Format::JsonLines } else { Format::Text },
        repeats: if args.twice { sweep::Repeats::Twice } else { sweep::Repeats::Once },
        threads: args.jobs.map_or_else(cores, std::num::NonZeroUsize::get),
        trace: args.trace.clone(),
    };
    sweep::sweep(cases, &options, streams)
}

#[allow(
    clippy::disallowed_methods,
    reason = "how many trials run side by side changes none of them"
)]
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// What to run of the loaded scenarios: base and variants, each with its seeds.
fn select(
    loaded: &[Loaded],
    variant: &str,
    seeds: Option<&Seeds>,
    seed: Option<u64>,
) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for one in loaded {
        let own = seed.unwrap_or(one.scenario.plan.run.seed);
        let seeds = seeds.map_or(own..=own, |Seeds(range)| range.clone());
        let mut add = |plan: &Arc<_>, id: Option<&str>| {
            cases.push(Case {
                plan: Arc::clone(plan),
                variant: id.map(str::to_owned),
                origin: one.origin.clone(),
                seeds: seeds.clone(),
            });
        };
        if variant == "all" || variant == BASE {
            add(&one.scenario.plan, None);
        }
        let wanted = |id: &str| variant == "all" || variant == id;
        for changed in one.scenario.variants.iter().filter(|changed| wanted(&changed.id)) {
            add(&changed.plan, Some(&changed.id));
        }
    }
    if cases.is_empty() {
        let known: Vec<&str> = [BASE]
            .into_iter()
            .chain(
                loaded.iter().flat_map(|one| one.scenario.variants.iter().map(|v| v.id.as_str())),
            )
            .collect();
        bail!("no variant `{variant}`; there are: all, {}", known.join(", "));
    }
    Ok(cases)
}

/// The story of one scenario: its first case in full, the others in a line each.
#[allow(clippy::disallowed_methods, reason = "time on the wall, for the closing line alone")]
fn tell(
    args: &Run,
    loaded: &Loaded,
    cases: &[Case],
    streams: &mut Streams,
) -> anyhow::Result<Exit> {
    let look = streams.look();
    let answer = match (&loaded.scenario.predict, args.ask) {
        (Some(predict), true) => ask::ask(predict, streams)?,
        _ => None,
    };
    let names = cases.iter().filter_map(|case| case.variant.as_ref()).map(String::len);
    let width = names.max().unwrap_or(0);
    let began = Instant::now();
    let mut exit = Exit::AsExpected;
    let mut trials: Vec<Trial> = Vec::new();
    for case in cases {
        let seed = *case.seeds.start();
        let trial = run_trial(&case.plan, case.variant.as_deref(), seed);
        exit = exit.worst(Exit::of_trial(&trial));
        if trials.is_empty() {
            streams.print(&trial_page(&trial, cases.len() - 1, &look))?;
            if let (Some(predict), Some(answer)) = (&loaded.scenario.predict, answer) {
                streams.print(&ask::compare(predict, answer))?;
            }
            if cases.len() > 1 {
                streams.print("\n")?;
            }
        } else {
            let variant =
                loaded.scenario.variants.iter().find(|one| Some(&one.id) == case.variant.as_ref());
            let say = variant.and_then(|one| one.say.as_deref());
            streams.print(&variant_line(&trial, say, width, &look))?;
        }
        if args.twice {
            exit = exit.worst(repeat(case, &trial, streams)?);
        }
        trials.push(trial);
    }
    if let Some(takeaway) = &loaded.scenario.takeaway {
        streams.print(&look.finish(format!("\n    {}\n", takeaway.trim())))?;
    }
    let shown: Vec<&Trial> = trials.iter().collect();
    streams.print(&closing(&shown, &loaded.origin, began.elapsed(), &look))?;
    if let Some(file) = &args.trace {
        let text: String = trials.iter().map(|trial| write_trace(trial, &loaded.origin)).collect();
        scenarios::write(file, &text).context("failed to write the trace")?;
    }
    Ok(exit)
}

/// Runs a case again and compares.
fn repeat(case: &Case, first: &Trial, streams: &mut Streams) -> anyhow::Result<Exit> {
    let again = run_trial(&case.plan, case.variant.as_deref(), first.seed);
    let Some(difference) = difference(first, &again) else {
        streams.print(&format!("    twice: the same trace, {}\n", first.digest))?;
        return Ok(Exit::AsExpected);
    };
    let text = format!("    ✗ not deterministic: {difference}\n");
    streams.print(&streams.look().finish(text))?;
    Ok(Exit::NotDeterministic)
}
