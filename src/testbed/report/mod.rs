//! What people and programs read about trials: values to text, with no clock and no file.
//!
//! | module | shows |
//! |---|---|
//! | `story` | one trial as a table of who did what when |
//! | `ledger` | each partition's log and what became of its records in each group |
//! | `verdicts` | expectations met or not, with the chain of evidence |
//! | `sweep` | many seeds of many scenarios |
//! | `json` | the same as JSON lines |
//! | `by_hand` | a scenario as programs for a real client |
//! | `trace` | everything that happened, to be read and to be replayed |
//!
//! It sees the history, the plan and the trial's judgements, and none of the machinery that made them.

mod by_hand;
mod json;
mod ledger;
mod look;
mod origin;
mod page;
mod sentence;
mod story;
mod sweep;
mod tally;
mod trace;
mod verdicts;
mod words;

pub use by_hand::by_hand;
pub use json::{finished_line, run_lines};
pub use ledger::ledgers;
pub use look::{Look, Signs};
pub use origin::{BASE, Origin, engine};
pub use page::{closing, trial_page};
pub use story::story;
pub use sweep::{sweep_line, sweep_summary};
pub use tally::{Count, Difference, Failure, Tally, as_expected};
pub use trace::{BadTrace, Recording, read_trace, write_trace};
pub use verdicts::{variant_line, verdicts};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::lesson as sample_trial;
