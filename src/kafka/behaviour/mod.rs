//! Every behaviour Kafka once had that can be brought back here, in one list with names for files.
//!
//! The choices themselves are enums beside the code that reads them (`ReplicaPolicy` and its like). This is
//! where they meet: [`Behaviour`] holds one of each, [`switches`] says of each by which key a file sets it,
//! what it may be and what then goes wrong. The scenario loader, `retrial explain` and the documentation
//! read that list (`table.rs`).

mod list;
mod table;
#[cfg(test)]
mod tests;

pub use list::{Behaviour, BehaviourError, Choice, Switch, find, switches};
