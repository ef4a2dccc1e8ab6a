//! What has settings, as the requests about settings name it.

use std::{collections::BTreeSet, sync::Arc};

use kafka_protocol::protocol::StrBytes;

use crate::kafka::{
    broker::{
        controller::{Commitment, Refusal},
        controller_configs::ConfigChange,
        state::Broker,
    },
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

/// Refuses a setting that is named twice.
pub(super) fn duplicates<'a>(
    names: impl Iterator<Item = &'a StrBytes> + Clone,
) -> Result<(), Refusal> {
    let different: BTreeSet<_> = names.clone().collect();
    if different.len() == names.count() {
        return Ok(());
    }
    Err((ResponseError::InvalidRequest, "Error due to duplicate config keys".into()))
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
            let names: Vec<_> = match change {
                ConfigChange::Replace(settings) => settings.keys().collect(),
                ConfigChange::Adjust(adjustments) => adjustments.keys().collect(),
            };
            if names.is_empty() {
                return Ok(());
            }
            let message = format!("Cannot update these configs dynamically: {names:?}");
            Err((ResponseError::InvalidRequest, message))
        }
        Resource::Other(kind, _) => Err(unsupported(*kind)),
    }
}
