//! The command line: arguments, exit codes, and whole commands through `main_from`.

mod arguments;
mod commands;
mod exits;
