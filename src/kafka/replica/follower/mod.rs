//! A follower of a partition: what it asks its leader, what it makes of the answers.

mod state;
mod truncation;

pub use state::{Answer, Follower, FollowerRequest, Question};
