//! Judging: reads a history and says which guarantees held, with evidence.
//!
//! A checker shares no code with what it judges and sees nothing but the history. Every checker is linear
//! in the history's length, has been seen red on a hand-written history, and answers *unknown* rather
//! than *holds* when there was nothing to judge.

mod judge;
mod verdict;

pub use judge::{Judgement, judge};
pub use verdict::{Evidence, Verdict, Violation};
