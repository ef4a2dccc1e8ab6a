//! Fetch sessions (KIP-227): a client names its partitions once, and from then on only what is new.
//!
//! The broker remembers for each session what the client wants and what it was told last. A request adds,
//! changes and takes away partitions; the answer has only those with news. An epoch that counts the session's
//! requests keeps both sides in step. `session` is one client's memory, `cache` all of them and who has to
//! give way; both are pure. `shared` is what handlers use.
//!
//! A session also keeps which partitions had nothing to tell and how they were then (`Settled`): while they stay like
//! that, a request costs next to nothing for each of them.
//!
//! Departures from Kafka: one cache instead of eight shards; and the cache is bounded in bytes beside its
//! slots, since names of topics that do not exist are remembered too.

mod cache;
mod session;
mod shared;
#[cfg(test)]
mod tests;

pub(super) use cache::{Demand, Turn};
pub(super) use session::next_epoch;
pub(super) use session::{
    Answered, Ask, Asks, Found, Instead, PartitionKey, Read, Reads, Settled, TopicKey,
};
pub(super) use shared::FetchSessions;
