//! `retrial lint`: are these files scenarios? Nothing is run.

use super::{args::Lint, exit::Exit, scenarios, streams::Streams};

pub(super) fn lint(args: &Lint, streams: &mut Streams) -> anyhow::Result<Exit> {
    match scenarios::load(&args.paths, &[])? {
        Ok(loaded) => {
            let variants: usize = loaded.iter().map(|one| one.scenario.variants.len()).sum();
            let files = loaded.len();
            let text = format!("✓ {files} files, {variants} variants: no problems\n");
            let text = streams.look().finish(text);
            streams.print(&text)?;
            Ok(Exit::AsExpected)
        }
        Err(problems) => {
            scenarios::complain(&problems, streams)?;
            Ok(Exit::BadInput)
        }
    }
}
