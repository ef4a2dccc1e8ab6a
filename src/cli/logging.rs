//! Logs on standard error, asked for with `RETRIAL_LOG`.
//!
//! Lines carry no time of the wall: simulated code logs in spans that name its node and virtual time.

use std::io;

use tracing_subscriber::EnvFilter;

/// Starts logging if `RETRIAL_LOG` is set; without it nothing is formatted and nothing is paid.
pub(super) fn start() {
    #[allow(clippy::disallowed_methods, reason = "a setting of the program, not of a trial")]
    let Ok(filter) = std::env::var("RETRIAL_LOG") else { return };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .without_time();
    // Fails only if a subscriber is there already, and then that one logs.
    let _ = subscriber.try_init();
}
