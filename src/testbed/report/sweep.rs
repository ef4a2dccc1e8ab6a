//! Many scenarios over many seeds: a line each, and the failing ones again at the end.

use std::time::Duration;

use super::{
    Look, Origin, Tally,
    look::{Tone, wrap},
    words,
};

/// `PASS [ 200/200   0.4s] 12-commit-before-processing  commit-after`.
pub fn sweep_line(tally: &Tally, look: &Look) -> String {
    let word = if tally.passed() { Tone::Good.paint("PASS") } else { Tone::Bad.paint("FAIL") };
    let passed = format!("{}/{}", tally.runs - tally.failed, tally.runs);
    let mut out = format!(
        "        {word} [{passed:>9} {:>6.1}s] {}\n",
        tally.wall.as_secs_f64(),
        title(tally)
    );
    for (rate, _, enough) in tally.rates() {
        let sign = if enough { Tone::Good.paint("✓") } else { Tone::Bad.paint("✗") };
        for (index, line) in wrap(&rate, look.width.saturating_sub(15)).iter().enumerate() {
            let sign = if index == 0 { &sign } else { " " };
            out.push_str(&format!("             {sign} {line}\n"));
        }
    }
    look.finish(out)
}

/// The summary line, then everything that failed with the line that reproduces it.
pub fn sweep_summary<'a>(
    tallies: impl Iterator<Item = (&'a Tally, &'a Origin)> + Clone,
    wall: Duration,
    look: &Look,
) -> String {
    let runs: usize = tallies.clone().map(|(tally, _)| tally.runs).sum();
    let passed = tallies.clone().filter(|(tally, _)| tally.passed()).count();
    let failed = tallies.clone().count() - passed;
    let speed = runs as f64 / wall.as_secs_f64().max(0.001);
    let mut out = format!(
        "     Summary {} in {:.1}s ({speed:.0}/s): {passed} passed, {failed} failed\n",
        words::count(runs, "run"),
        wall.as_secs_f64(),
    );
    for (tally, origin) in tallies.filter(|(tally, _)| !tally.passed()) {
        failed_tally(tally, origin, look, &mut out);
    }
    look.finish(out)
}

fn title(tally: &Tally) -> String {
    match &tally.variant {
        Some(variant) => format!("{}  {variant}", tally.name),
        None => tally.name.clone(),
    }
}

fn failed_tally(tally: &Tally, origin: &Origin, look: &Look, out: &mut String) {
    let mut seeds = Vec::new();
    if let Some(first) = &tally.first_failure {
        seeds.push(first.seed);
        out.push_str(&format!(
            "        {} {}: {} of {} seeds, first {}\n",
            Tone::Bad.paint("FAIL"),
            title(tally),
            tally.failed,
            tally.runs,
            first.seed
        ));
        for line in &first.lines {
            for (index, line) in wrap(line, look.width.saturating_sub(15)).iter().enumerate() {
                out.push_str(&format!(
                    "             {}{line}\n",
                    if index == 0 { "" } else { "  " }
                ));
            }
        }
    } else {
        out.push_str(&format!("        {} {}\n", Tone::Bad.paint("FAIL"), title(tally)));
    }
    for (rate, unmet, _) in tally.rates().into_iter().filter(|(_, _, enough)| !enough) {
        out.push_str(&format!("             ✗ {rate}\n"));
        if !unmet.is_empty() {
            out.push_str(&format!("               {unmet}\n"));
        }
    }
    if let Some(difference) = &tally.difference {
        let (first, second) = &difference.digests;
        out.push_str(&format!(
            "             ✗ not deterministic: seed {} gave {first}, then {second}\n",
            difference.seed
        ));
        seeds.push(difference.seed);
    }
    seeds.dedup();
    for seed in seeds {
        let line = origin.reproduce(tally.variant.as_deref(), seed);
        out.push_str(&format!("  reproduce  {line}\n"));
    }
}
