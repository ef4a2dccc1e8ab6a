//! Carries out a plan's steps at their moment: faults, cures, and acts of operators and applications.
//!
//! A step fires at the end of the event that made its condition true, before anything else happens:
//! the nemesis hears events from the recorder and acts within the call. Steps that hang on time are
//! carried out by one task that sleeps until the next of them.

mod act;
mod board;
mod cast;
mod faults;
mod matching;
mod roles;
#[cfg(test)]
mod tests;
mod timed;

pub use act::Nemesis;
pub use matching::Watch;
