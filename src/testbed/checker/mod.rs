//! Judging: reads a history and says which guarantees held, with evidence.
//!
//! A checker shares no code with what it judges and sees nothing but the history. Every checker is linear
//! in the history's length (lookups aside), has been seen red on a hand-written history, and answers
//! *unknown* rather than *holds* when there was nothing to judge.

mod agreement;
mod commits;
mod coverage;
mod delivery;
mod effects;
mod facts;
mod faults;
mod gaps;
mod index;
mod judge;
mod leadership;
mod liveness;
mod missed;
mod order;
mod owners;
mod polls;
mod processing;
mod replicas;
mod replication;
mod survival;
#[cfg(test)]
mod tests;
mod verdict;

pub use coverage::{Reached, reached};
pub use faults::{Befell, FaultModel};
pub use index::Index;
pub use judge::{Judgement, check, judge, judge_with_invariants};
pub use replicas::{Breach, Invariant};
pub use replication::Broken;
pub use verdict::{Evidence, Verdict, Violation};
