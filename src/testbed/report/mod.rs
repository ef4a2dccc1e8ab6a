//! What people and programs read about trials: values to text, with no clock and no file.
//!
//! | module | shows |
//! |---|---|
//! | `story` | one trial as a table of who did what when |
//! | `ledger` | each partition's log and what became of its records in each group |
//! | `verdicts` | expectations met or not, with the chain of evidence |
//! | `sweep` | many seeds of many scenarios |
//! | `json` | the same as JSON lines |
//! | `trace` | everything that happened, to be read and to be replayed |
//!
//! It sees the history, the plan and the trial's judgements, and none of the machinery that made them.

mod look;
mod story;
mod words;

pub use look::{Look, Signs};
pub use story::story;
