//! Drives and judges: from a scenario file or a seed to a verdict with its evidence.
//!
//! The way of one trial: `scenario` or `campaign` makes a [`plan::Plan`]; `runner` builds the simulated
//! `cluster`, starts the `workload` and lets the `nemesis` carry out the plan's steps; everything that
//! happens is recorded in a [`history::History`]; `checker` reads it (and nothing else) and gives
//! verdicts; `report` shows them.

pub mod campaign;
pub mod checker;
pub mod cluster;
pub mod history;
pub mod nemesis;
pub mod plan;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod workload;
