//! Stories and properties of the controller.

mod brokers;
mod directories;
mod driver;
mod partitions;
mod placing;
mod properties;
mod reassigning;
mod show;
mod topics;
