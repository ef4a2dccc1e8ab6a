//! Searching: a seed becomes a plan, and many plans become a claim.
//!
//! A campaign draws its plans from a proptest strategy, so shrinking is the library's: it edits the plan
//! and never the seed. The drawn settings decide what is claimed: safe ones must hold on every seed. A
//! campaign also names the states it must sometimes reach; one that never does is vacuous and fails.

mod actors;
mod blank;
mod claims;
mod delivery;
mod draw;
mod faults;
mod historical;
mod nemeses;
mod replication;
mod small_clusters;
mod steps;

pub use delivery::DELIVERY;
pub use draw::Campaign;
pub use historical::*;
pub use replication::REPLICATION;
