//! The wire: frames, the table of APIs and versions, record batches.

pub mod batch;
