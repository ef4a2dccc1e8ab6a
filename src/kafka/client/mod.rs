//! Producer, consumer and admin client over `env`, behaving as Kafka's Java clients do.
//!
//! Each client has one background task and no others. The decisions are in types without I/O; the tasks
//! move bytes and keep deadlines. Departures from Kafka are declared where they are made.

mod admin;
mod consumer;
mod error;
mod network;
mod observer;
mod producer;
mod retry;

pub use admin::{
    Admin, AdminConfig, BrokerDescription, ElectionType, NewTopic, OffsetSpec,
    PartitionDescription, PartitionResults, TopicResults,
};
pub use consumer::{
    Assignment, Assignor, CommitHandle, Consumer, ConsumerRecord, ConsumerRecords, ListenerFuture,
    MemberSubscription, PartitionRecords, RebalanceListener, WakeupHandle,
};
pub use error::{ClientError, exception_of};
pub use observer::{
    AttemptFailure, BatchAttempt, BatchSequence, ClientEvent, ClientObserver, CommitCause,
    LeaveCause, OffsetsByPartition, ResetTo,
};
pub use producer::{
    Fate, Producer, ProducerRecord, RecordMetadata, SendError, SendFuture, murmur2,
    partition_for_key, to_positive,
};
pub use retry::Backoff;

#[cfg(test)]
mod tests;
