//! The story of one trial: a table of who did what when, with the author's narration.
//!
//! `tell` folds the history into beats, merging what goes on undisturbed (sends and their
//! acknowledgements, rounds of a consumer's loop) until something worth a line of its own happens;
//! `page` lays the beats out, one column per machine. Heartbeats, empty polls and flushes are not told:
//! a trace has them.

mod beat;
mod doings;
mod page;
mod replicas;
mod stretch;
mod tell;

pub use page::story;
