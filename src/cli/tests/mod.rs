//! The command line: arguments, exit codes, and whole commands through `main_from`.

mod arguments;
mod bad_input;
mod commands;
mod exits;
