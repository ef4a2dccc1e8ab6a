//! How many files the process may open, and how many of them may be connections.
//!
//! A log that cannot open its next segment takes its broker down, so connections must leave some: half.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the process may, as Java's runtime does for Kafka. Returns the limit.
pub(super) fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// What `max.connections` of each of several brokers can be at most.
pub(super) fn connections(limit: usize, brokers: usize) -> usize {
    (limit / 2 / brokers).max(1)
}
