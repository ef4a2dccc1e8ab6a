//! `retrial list`: the scenarios of a directory with their titles.

use super::{args::List, exit::Exit, scenarios, streams::Streams};
use crate::testbed::scenario::Scenario;

pub(super) fn list(args: &List, streams: &mut Streams) -> anyhow::Result<Exit> {
    let files = scenarios::files(std::slice::from_ref(&args.dir))?;
    let mut exit = Exit::AsExpected;
    let mut rows = Vec::new();
    for file in &files {
        let name = scenarios::name(file);
        match scenarios::load_one(file, &[])? {
            Ok(scenario) => rows.push((name, about(&scenario))),
            Err(_) => {
                let lint = format!("✗ not a scenario: see retrial lint {}", file.display());
                rows.push((name, vec![lint]));
                exit = Exit::BadInput;
            }
        }
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let look = streams.look();
    for (name, about) in rows {
        let mut text = String::new();
        for (index, line) in about.iter().enumerate() {
            let name = if index == 0 { name.as_str() } else { "" };
            text.push_str(&format!("{name:width$}  {line}\n"));
        }
        streams.print(&look.finish(text))?;
    }
    Ok(exit)
}

/// Title, what it teaches, and its variants.
fn about(scenario: &Scenario) -> Vec<String> {
    let mut lines = vec![scenario.title.clone()];
    if !scenario.teaches.is_empty() {
        lines.push(format!("teaches   {}", scenario.teaches.join(", ")));
    }
    if !scenario.variants.is_empty() {
        let ids: Vec<&str> = scenario.variants.iter().map(|one| one.id.as_str()).collect();
        lines.push(format!("variants  {}", ids.join(", ")));
    }
    lines
}
