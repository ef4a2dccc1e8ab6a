//! What reports look like, as snapshots of trials written by hand.

mod crowd;
mod data;
mod pages;
mod replicas;
mod sample;
mod sums;

pub use sample::lesson;
