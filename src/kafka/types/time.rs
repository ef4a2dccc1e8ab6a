//! Record time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::env::WallTime;

/// Milliseconds since the Unix epoch in a record or batch; -1 where Kafka knows none.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub const NONE: Timestamp = Timestamp(-1);
}

impl From<WallTime> for Timestamp {
    fn from(wall: WallTime) -> Self {
        Timestamp(wall.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
