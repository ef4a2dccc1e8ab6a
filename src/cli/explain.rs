//! `retrial explain`: what a name in a scenario file or a report means, or how to try a scenario by hand.

use std::path::Path;

use super::{args::Explain, exit::Exit, scenarios, streams::Streams};
use crate::testbed::{report::by_hand, scenario};

pub(super) fn explain(args: &Explain, streams: &mut Streams) -> anyhow::Result<Exit> {
    let file = Path::new(&args.name);
    if file.is_file() {
        return explain_file(file, streams);
    }
    match scenario::explain(&args.name) {
        Ok(text) => {
            streams.print(&format!("{}\n", text.trim_end()))?;
            Ok(Exit::AsExpected)
        }
        Err(similar) => {
            let mut text = format!("error: nothing is named `{}`\n", args.name);
            if similar.is_empty() {
                text.push_str(
                    "  = help: there are settings of Kafka, guarantees, causes, facts, events, actions, \
                     errors and the other words of scenario files\n",
                );
            } else {
                let names: Vec<String> = similar.iter().map(|name| format!("`{name}`")).collect();
                text.push_str(&format!("  = help: did you mean {}?\n", names.join(" or ")));
            }
            streams.complain(&text)?;
            Ok(Exit::BadInput)
        }
    }
}

fn explain_file(file: &Path, streams: &mut Streams) -> anyhow::Result<Exit> {
    match scenarios::load_one(file, &[])? {
        Ok(scenario) => {
            streams.print(&by_hand(&scenario.plan))?;
            Ok(Exit::AsExpected)
        }
        Err(problems) => {
            scenarios::complain(&[problems], streams)?;
            Ok(Exit::BadInput)
        }
    }
}
