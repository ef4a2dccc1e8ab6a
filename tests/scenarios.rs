//! Every scenario file of the project, on every seed it names.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use retrial::testbed::{
    report::Tally,
    runner::{Job, run_trial, sweep},
    scenario::Scenario,
};

/// All scenario files below a folder, sorted.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("readable").map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.to_string_lossy().ends_with(".scenario.toml") {
            found.push(path);
        }
    }
}

fn load(path: &Path) -> Scenario {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shown = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let name = path.file_name().unwrap().to_string_lossy().replace(".scenario.toml", "");
    let bytes = std::fs::read(path).expect("readable");
    Scenario::load_bytes(&name, &shown, &bytes, &[])
        .unwrap_or_else(|problems| panic!("\n{problems}"))
}

/// Runs the file's base and variants on its seeds (or the one of `RETRIAL_SEED`).
fn check(path: &Path) -> Vec<Tally> {
    let scenario = load(path);
    let seeds = match std::env::var("RETRIAL_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("RETRIAL_SEED is a whole number");
            seed..=seed
        }
        Err(_) => scenario.seeds.clone(),
    };
    let variants = scenario.variants.iter().map(|v| (Some(v.id.clone()), v.plan.clone()));
    let plans: Vec<_> = [(None, scenario.plan.clone())].into_iter().chain(variants).collect();
    let mut jobs = Vec::new();
    for (variant, plan) in &plans {
        let job = |seed| Job { plan: plan.clone(), variant: variant.clone(), seed };
        jobs.extend(seeds.clone().map(job));
    }
    let tallies: Vec<_> =
        plans.into_iter().map(|(variant, plan)| Mutex::new(Tally::new(plan, variant))).collect();
    let per_plan = jobs.len() / tallies.len();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    sweep(
        &jobs,
        threads,
        |job| run_trial(&job.plan, job.variant.as_deref(), job.seed),
        |index, trial| tallies[index / per_plan].lock().unwrap().add(trial),
    );
    tallies.into_iter().map(|tally| tally.into_inner().unwrap()).collect()
}

#[test]
fn every_scenario_shows_what_it_says_on_every_seed() {
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"), &mut paths);
    assert!(!paths.is_empty());
    let only = std::env::var("RETRIAL_SCENARIO").unwrap_or_default();
    paths.retain(|path| path.to_string_lossy().contains(&only));
    let tallies: Vec<Tally> = paths.iter().flat_map(|path| check(path)).collect();
    let failed: Vec<String> = tallies.iter().filter(|tally| !tally.passed()).map(tell).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// What failed and the line that repeats it.
fn tell(tally: &Tally) -> String {
    let variant = tally.variant.as_deref().unwrap_or("base");
    let mut text =
        format!("{} ({variant}): {} of {} seeds\n", tally.name, tally.failed, tally.runs);
    if let Some(first) = &tally.first_failure {
        for line in &first.lines {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(&format!(
            "  reproduce  RETRIAL_SCENARIO={} RETRIAL_SEED={} cargo test --test tests every_scenario\n",
            tally.name, first.seed
        ));
    }
    for (rate, met, _) in tally.rates().iter().filter(|(.., enough)| !enough) {
        text.push_str(&format!("  {rate}: {met}\n"));
    }
    text
}
