//! Files good and bad.

mod bad;
mod fixture;
mod good;
mod mutated;
mod roundtrip;
