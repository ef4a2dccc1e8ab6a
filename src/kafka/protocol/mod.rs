//! The wire: frames, messages, record batches.
//!
//! The messages themselves are the `kafka-protocol` crate's, generated from Kafka's own schemas.

pub mod batch;
pub mod fetch_response;
pub mod frame;
mod guarded;
pub mod message;
pub mod unsigned_varint;

pub use kafka_protocol::ResponseError;
