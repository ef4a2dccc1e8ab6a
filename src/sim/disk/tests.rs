//! What the disk promises, fault by fault.
