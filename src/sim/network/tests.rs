//! What the network promises, fault by fault.
