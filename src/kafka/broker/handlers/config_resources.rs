//! What has settings, as the requests about settings name it.

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use crate::kafka::{
    broker::{
        controller::{Commitment, Refusal},
        state::Broker,
    },
    controller::ConfigChange,
    protocol::ResponseError,
};

/// By the numbers of `ConfigResource.Type`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Resource {
    Topic(StrBytes),
    /// By id; empty for what all brokers share.
    Broker(StrBytes),
    Other(i8, StrBytes),
}

impl Resource {
    pub fn new(kind: i8, name: &StrBytes) -> Self {
        match kind {
            2 => Resource::Topic(name.clone()),
            4 => Resource::Broker(name.clone()),
            kind => Resource::Other(kind, name.clone()),
        }
    }
}

/// Departure: settings of groups, client metrics and loggers are not served.
pub(super) fn unsupported(kind: i8) -> Refusal {
    (ResponseError::InvalidRequest, format!("Unsupported resource type: {kind}"))
}

/// Whether the request names the resource more than once.
pub(super) fn is_repeated(resource: &Resource, all: &[Resource]) -> bool {
    all.iter().filter(|other| *other == resource).count() > 1
}

pub(super) fn repeated() -> Refusal {
    (ResponseError::InvalidRequest, "Each resource must appear at most once.".into())
}

/// Changes the settings of a resource, on the controller.
pub(super) async fn alter(
    broker: &Arc<Broker>,
    resource: &Resource,
    change: &ConfigChange,
    commitment: Commitment,
) -> Result<(), Refusal> {
    match resource {
        Resource::Topic(name) => broker.alter_topic_config(name, change, commitment).await,
        Resource::Broker(_) => {
            let names = change.names();
            if names.is_empty() {
                return Ok(());
            }
            let message = format!("Cannot update these configs dynamically: {names:?}");
            Err((ResponseError::InvalidRequest, message))
        }
        Resource::Other(kind, _) => Err(unsupported(*kind)),
    }
}
