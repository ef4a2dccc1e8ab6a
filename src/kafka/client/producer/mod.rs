//! The producer: partitioning, batching, sequence numbers, retries (`KafkaProducer` and its internals).
//!
//! [`Producer`] appends to the accumulator; one task turns batches into requests. All decisions are in
//! types that never wait: the accumulator (what is due), idempotence (which numbers), the sender (what
//! an answer means).

mod accumulator;
mod api;
mod batch;
mod delivery;
mod idempotence;
mod partitioner;
mod record;
mod sender;

#[cfg(test)]
mod tests;

pub use api::Producer;
pub use delivery::{Fate, RecordMetadata, SendError, SendFuture};
pub use partitioner::{murmur2, partition_for_key, to_positive};
pub use record::ProducerRecord;
