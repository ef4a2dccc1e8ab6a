//! Who a record is: every record the workload sends carries its own identity, so that payloads testify.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::kafka::types::{Offset, Timestamp, TopicPartition};

/// Provenance, written into a header of the record itself: `shop#17`, or `shop#17.2` when the
/// application sent it a second time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId {
    pub producer: Arc<str>,
    /// Position in the producer's send order, from 0.
    pub number: u64,
    /// Which `send()` of the application for this record, from 1.
    pub attempt: u32,
}

impl RecordId {
    /// Name of the record header that carries it.
    pub const HEADER: &'static str = "retrial";

    /// The same record whatever the attempt.
    pub fn same_record(&self, other: &RecordId) -> bool {
        self.number == other.number && self.producer == other.producer
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.number)?;
        if self.attempt > 1 { write!(f, ".{}", self.attempt) } else { Ok(()) }
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for RecordId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for RecordId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no record identity");
        let (producer, rest) = text.rsplit_once('#').ok_or_else(wrong)?;
        let (number, attempt) = rest.split_once('.').unwrap_or((rest, "1"));
        Ok(RecordId {
            producer: producer.into(),
            number: number.parse().map_err(|_| wrong())?,
            attempt: attempt.parse().map_err(|_| wrong())?,
        })
    }
}

/// One record of a partition's log as it stands after the drain, read back by a client.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct LoggedRecord {
    pub partition: TopicPartition,
    pub offset: Offset,
    /// `None` for a record the workload did not write, or whose header does not parse.
    pub id: Option<RecordId>,
    pub key: Option<Arc<str>>,
    pub timestamp: Timestamp,
}
