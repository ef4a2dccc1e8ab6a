//! From the tree to a plan, section by section, with every mistake noted.

mod actors;
mod behaviour;
mod cluster;
mod expectations;
mod names;
mod operator;
mod plan;
mod references;
mod section;
mod settings;
mod steps;
mod waiting;

pub(super) use plan::plan;
pub(super) use section::{Findings, Section, text, wrong_kind};
