//! Tests of replication: a small world of three brokers and a controller, told what to do by texts
//! (transcripts, schedules of old accidents) or at random.

mod controller;
mod elections;
mod fetching;
mod historical;
mod isr_changes;
mod memory_log;
mod reading;
mod script;
mod show;
mod simulation;
mod world;
