//! Plans written and read again.
