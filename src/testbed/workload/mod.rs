//! The applications of a trial: producers, group members and readers, each a program on its own machine.
//!
//! A program does what its plan's `app` says around a client of `kafka/client`, and writes down every
//! call and its outcome. The order of calls is data, because that order is what people get wrong.

mod actors;
mod audit;
mod cast;
mod consume;
mod control;
mod handle;
mod healing;
mod observe;
mod operator;
mod pace;
mod produce;
mod progress;

pub use actors::Actors;
pub use audit::{Auditor, Findings, audit_program};
pub use cast::cast;
pub use control::Control;
pub use progress::Progress;
