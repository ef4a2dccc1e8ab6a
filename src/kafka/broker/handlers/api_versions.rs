//! ApiVersions, 0 to 4: what this node serves, in its roles.
//!
//! A version that is not known is answered in version 0 with UNSUPPORTED_VERSION and the range of
//! ApiVersions itself, so that the client can ask again (KIP-511). Features are left out: tagged fields at
//! their defaults are not written, and old librdkafka cannot skip them.

use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion,
    },
    protocol::VersionRange,
};

use super::served;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

pub(in crate::kafka::broker) fn handle(broker: &Broker, call: &Call<'_>) -> Answer {
    let version = call.version();
    if !(VERSIONS.min..=VERSIONS.max).contains(&version) {
        let own = offered(ApiKey::ApiVersions);
        let response = ApiVersionsResponse::default()
            .with_error_code(ResponseError::UnsupportedVersion.code())
            .with_api_keys(own.collect());
        return call.answer_in(0, &response);
    }
    let mut response = ApiVersionsResponse::default();
    match call.request::<ApiVersionsRequest>() {
        Ok(request) if version >= 3 && !is_legal(&request) => {
            response.error_code = ResponseError::InvalidRequest.code();
        }
        Ok(_) => {
            let public = served::SERVED.iter().filter(|api| api.is_told_by(&broker.config));
            response.api_keys = public.flat_map(|api| offered(api.key)).collect();
        }
        Err(error) => return Err(error),
    }
    call.answer(&response)
}

fn offered(key: ApiKey) -> impl Iterator<Item = ApiVersion> {
    served::find(key as i16).into_iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.advertised_min)
            .with_max_version(api.served.max)
    })
}

/// `ApiVersionsRequest.isValid`: software name and version are words of letters, digits, dots and dashes.
fn is_legal(request: &ApiVersionsRequest) -> bool {
    let legal = |text: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(inner)
    };
    legal(&request.client_software_name) && legal(&request.client_software_version)
}
