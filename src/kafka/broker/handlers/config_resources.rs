//! What has settings, as the requests about settings name it.

use kafka_protocol::protocol::StrBytes;

use crate::kafka::{
    controller::{ConfigChange, Refusal},
    protocol::ResponseError,
};

/// `ConfigResource.Type.BROKER`
const BROKER: i8 = 4;

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
            BROKER => Resource::Broker(name.clone()),
            kind => Resource::Other(kind, name.clone()),
        }
    }
}

/// Departure: settings of groups, client metrics and loggers are not served.
pub(super) fn unsupported(kind: i8) -> Refusal {
    (ResponseError::InvalidRequest, format!("Unsupported resource type: {kind}"))
}

/// Why settings of a broker are not the controller's to change; `None` for other resources.
///
/// Departure: no setting of a broker can change while it runs; Kafka has some that can.
fn is_fixed(kind: i8, change: impl FnOnce() -> Result<ConfigChange, Refusal>) -> Option<Refusal> {
    if kind != BROKER {
        return None;
    }
    match change() {
        Ok(change) if change.names().is_empty() => None,
        Ok(change) => {
            let names = change.names();
            let message = format!("Cannot update these configs dynamically: {names:?}");
            Some((ResponseError::InvalidRequest, message))
        }
        Err(refusal) => Some(refusal),
    }
}

/// A resource whose settings are not the controller's to change, where it stands in the request, and why.
pub(super) type Fixed<R> = Vec<(usize, R, Refusal)>;

/// Takes these out of a request, so that the controller gets the others.
pub(super) fn take_fixed<R>(
    resources: &mut Vec<R>,
    kind: impl Fn(&R) -> i8,
    change: impl Fn(&R) -> Result<ConfigChange, Refusal>,
) -> Fixed<R> {
    let mut fixed = Vec::new();
    for (index, asked) in std::mem::take(resources).into_iter().enumerate() {
        match is_fixed(kind(&asked), || change(&asked)) {
            Some(refusal) => fixed.push((index, asked, refusal)),
            None => resources.push(asked),
        }
    }
    fixed
}

/// Puts the answers about them where they belong among the others', in order.
pub(super) fn put_back<R, A>(
    answers: &mut Vec<A>,
    fixed: Fixed<R>,
    refused: impl Fn(R, Refusal) -> A,
) {
    for (index, asked, refusal) in fixed {
        answers.insert(index.min(answers.len()), refused(asked, refusal));
    }
}
