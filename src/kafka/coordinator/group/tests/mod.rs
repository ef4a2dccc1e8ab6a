//! Tests of the group coordinator: transcripts of what it does, and properties under random use.

mod committing;
mod driver;
mod joining;
mod leaving;
mod properties;
mod rebalancing;
mod restarting;
mod retention;
mod show;
mod static_members;
