//! The wire: to be written.
