//! `retrial serve`: the broker that trials test, on real TCP ports and in a real directory.
//!
//! One process holds all brokers of a cluster. Broker N keeps its data in `DIR/broker-N`, whether there is
//! one or several, so that a directory stays usable when brokers are added. Listeners are bound before
//! any broker starts: brokers are told each other's addresses, and port 0 is known only once it is bound.

mod address;
mod announce;
mod cluster;
mod directory;
mod files;
mod settings;

use anyhow::{Context, bail};
use tempfile::TempDir;

pub(super) use address::{Advertise, Listen};

use super::{
    args::Serve,
    exit::Exit,
    streams::{Audience, Streams},
};

pub(super) fn serve(args: &Serve, streams: &mut Streams) -> anyhow::Result<Exit> {
    let brokers = match &args.data {
        Some(data) => directory::brokers(data, args.brokers)?,
        None => args.brokers.unwrap_or(1),
    };
    let config = match settings::broker_config(&args.settings, brokers) {
        Ok(config) => config,
        Err(mistakes) => {
            for settings::Mistake { message, help } in mistakes {
                let help = help.map_or(String::new(), |help| format!("  = help: {help}\n"));
                streams.complain(&format!("error: {message}\n{help}"))?;
            }
            return Ok(Exit::BadInput);
        }
    };
    if args.listen.is_any() && args.advertise.is_none() {
        bail!(
            "clients cannot connect to {}, the address of all interfaces: say with --advertise HOST what they \
             are to be told",
            args.listen.0.host
        );
    }
    if streams.audience == Audience::Caller {
        bail!("serve needs a process of its own: its end is a signal");
    }
    let (data, temporary) = match &args.data {
        Some(data) => (data.clone(), None),
        None => {
            let made = tempfile::Builder::new().prefix("retrial-").tempdir();
            let made = made.context("failed to make a temporary directory")?;
            (made.path().to_owned(), Some(made))
        }
    };
    let runtime = runtime().context("failed to start the runtime")?;
    let exit = runtime.block_on(cluster::serve(args, config, &data, streams));
    // Syncs that still run are waited for.
    drop(runtime);
    let removed = temporary.map_or(Ok(()), TempDir::close);
    let exit = exit?;
    removed.with_context(|| format!("failed to remove {}", data.display()))?;
    Ok(exit)
}

/// A read of what is not in the page cache, and a write when too much of it is dirty, hold up the thread
/// they are made on; Kafka's `num.io.threads` has the same reason for being more than there are cores.
const LEAST_THREADS: usize = 4;

#[allow(clippy::disallowed_methods, reason = "the process's own threads, outside any trial")]
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(LEAST_THREADS))
        .thread_name("broker")
        .enable_all()
        .build()
}
