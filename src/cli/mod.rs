//! The door: reads arguments and files, calls the testbed, prints, and says by its exit code how it went.
//!
//! One file per verb (`run`, `replay`, `list`, `explain`, `lint`, `serve`); `args` is the command line as types,
//! `exit` the exit codes, `scenarios` the reading of files, `sweep` many trials on all cores. Everything
//! that judges or words a result is in `testbed`; what stays here is files, the terminal, the clock on
//! the wall and threads. standard output is the result, standard error is progress and complaints.

mod args;
mod ask;
mod door;
mod exit;
mod explain;
mod interrupt;
mod lint;
mod list;
mod logging;
mod progress;
mod replay;
mod run;
mod scenarios;
mod serve;
mod streams;
mod sweep;
#[cfg(test)]
mod tests;

pub use door::{main, main_from};
pub use exit::Exit;
