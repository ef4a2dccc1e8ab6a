//! Which version of each request the clients speak, and reading an answer of that version.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::{
    messages::{ApiKey, ApiVersionsResponse},
    protocol::{Decodable, VersionRange},
};

/// The versions one broker offers, by API key.
#[derive(Clone, Default, Debug)]
pub(crate) struct BrokerVersions(BTreeMap<i16, VersionRange>);

impl BrokerVersions {
    pub(crate) fn from_response(response: &ApiVersionsResponse) -> Self {
        let offered = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (api.api_key, VersionRange { min: api.min_version, max: api.max_version })
        };
        BrokerVersions(response.api_keys.iter().map(offered).collect())
    }

    /// The highest version both sides know.
    pub(crate) fn highest_common(&self, api_key: i16, ours: VersionRange) -> Option<i16> {
        let ours = VersionRange { min: ours.min, max: ours.max.min(highest(api_key)) };
        let shared = ours.intersect(self.0.get(&api_key)?);
        (!shared.is_empty()).then_some(shared.max)
    }
}

/// Caps below what the message crate could encode.
///
/// Produce 13 and Fetch 13 name topics by id alone; the versions before carry names and otherwise the
/// same fields, and spare the clients a second key for every partition. OffsetFetch and OffsetCommit 10
/// likewise.
fn highest(api_key: i16) -> i16 {
    match ApiKey::try_from(api_key) {
        Ok(ApiKey::Produce | ApiKey::Fetch) => 12,
        Ok(ApiKey::OffsetFetch | ApiKey::OffsetCommit) => 9,
        _ => i16::MAX,
    }
}

/// Reads the body of an answer. The text of the error is for people.
pub(crate) fn decode<M: Decodable>(mut body: Bytes, version: i16) -> Result<M, String> {
    M::decode(&mut body, version).map_err(|error| format!("unreadable response: {error}"))
}
