//! The one table of APIs this broker serves and in which versions.
//!
//! ApiVersions is answered from it, dispatch refuses what is not in it, and every handler's own range is
//! checked against it.

use kafka_protocol::{messages::ApiKey, protocol::VersionRange};

/// One served API.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Api {
    pub key: ApiKey,
    /// Versions the handler reads.
    pub served: VersionRange,
    /// What ApiVersions says is the lowest. Differs from `served` for Produce alone: Kafka 4.x offers 0
    /// though it reads 3 and up, because librdkafka up to 2.10 sends batches uncompressed to a broker
    /// that offers no Produce below 3.
    pub advertised_min: i16,
}

const fn api(key: ApiKey, min: i16, max: i16) -> Api {
    Api { key, served: VersionRange { min, max }, advertised_min: min }
}

/// By key, ascending.
pub const SERVED: &[Api] = &[
    Api { advertised_min: 0, ..api(ApiKey::Produce, 3, 11) },
    api(ApiKey::Fetch, 4, 17),
    api(ApiKey::ListOffsets, 1, 9),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 2, 9),
    api(ApiKey::OffsetFetch, 1, 9),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::InitProducerId, 0, 4),
    api(ApiKey::AllocateProducerIds, 0, 0),
];

/// `None` for an API that is not served.
pub fn find(key: i16) -> Option<&'static Api> {
    SERVED.iter().find(|api| api.key as i16 == key)
}

impl Api {
    pub fn serves(&self, version: i16) -> bool {
        (self.served.min..=self.served.max).contains(&version)
    }

    /// Whether clients are told of it; the rest is between brokers.
    pub fn is_public(&self) -> bool {
        self.key != ApiKey::AllocateProducerIds
    }
}

#[cfg(test)]
mod tests {
    use super::SERVED;

    #[test]
    fn the_table_is_sorted_and_within_what_the_codec_reads() {
        assert!(SERVED.is_sorted_by_key(|api| api.key as i16));
        for api in SERVED {
            let codec = api.key.valid_versions();
            assert!(codec.min <= api.served.min && api.served.max <= codec.max, "{api:?}");
        }
    }
}
