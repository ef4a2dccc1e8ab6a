//! `retrial explain`: what a name in a scenario file or a report means.

use super::{args::Explain, exit::Exit, streams::Streams};
use crate::testbed::scenario;

pub(super) fn explain(args: &Explain, streams: &mut Streams) -> anyhow::Result<Exit> {
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
