//! The `retrial` program: everything is in [`retrial::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    retrial::cli::main().into()
}
