//! Record batches, version 2: what producers send, logs store and consumers read, byte for byte.
//!
//! A batch is a header of 61 bytes ([`BatchHeader`]) and a payload of records, perhaps compressed. The
//! broker reads and writes headers alone and passes payloads through; producers build batches with
//! [`BatchBuilder`], consumers and the coordinators open them with [`Batch::records`].
//!
//! Written by hand rather than through `kafka-protocol`, whose record type copies every payload and
//! allocates a map per record; its codecs pack payloads, and unpacking has a bound. Formats before
//! version 2 do not exist here, as in Kafka 4.

mod builder;
mod compression;
mod header;
mod records;
mod retain;
#[cfg(test)]
mod tests;
mod varint;

pub use builder::{BatchBuilder, BatchOptions, recompress, set_producer};
pub use compression::Compression;
pub use header::{
    Attributes, Batch, BatchError, BatchHeader, Batches, HEADER_LEN, TimestampType, assign,
    check_crc, set_log_append_time, starts_with_partial, stored_crc,
};
pub use records::{Record, RecordHeader, Records};
pub use retain::{retain, retain_none};
