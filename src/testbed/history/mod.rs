//! What happened in a trial: the only thing checkers and reports see.
//!
//! An operation of a client is two events, *invoke* and one of *ok*, *fail* (definitely not done) or
//! *unknown*. Every event names its cause: the step that fired, the call it answers, the delivery that
//! was processed, or, where nothing better is known, the event before it on the same machine. Following
//! causes backwards gives the chain of evidence that a verdict shows.

mod digest;
mod event;
mod ledger;
mod record;
mod recorder;
mod setup;

pub use event::{
    BatchAt, CommitKind, Delivery, ElectionKind, Event, EventId, EventKind, FaultKind, Loss,
    NodeName, OffsetReach, Outcome, Phase,
};
pub use ledger::{Entry, Ledgers};
pub use record::{LoggedRecord, RecordId};
pub use recorder::{History, Recorder, Watcher};
pub use setup::{GroupSetup, ProducerSetup, Setup, TopicSetup};
