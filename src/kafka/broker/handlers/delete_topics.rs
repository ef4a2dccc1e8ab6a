//! DeleteTopics, 1 to 6: by name, or from version 6 on by name or id.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        DeleteTopicsRequest, DeleteTopicsResponse, TopicName as WireTopicName,
        delete_topics_response::DeletableTopicResult,
    },
    protocol::{StrBytes, VersionRange},
};
use uuid::Uuid;

use crate::kafka::{
    broker::{
        controller::Refusal,
        dispatch::{Answer, Call},
        state::Broker,
    },
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 1, max: 6 };
/// An older client does not know TOPIC_DELETION_DISABLED.
const DISABLED_CODE_SINCE: i16 = 3;

/// How the request names a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Named {
    Name(WireTopicName),
    Id(Uuid),
    /// Both, or neither.
    Wrongly(Option<WireTopicName>, Uuid),
}

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DeleteTopicsRequest = call.request()?;
    let mut asked: BTreeMap<Named, usize> = BTreeMap::new();
    for named in named(request) {
        *asked.entry(named).or_default() += 1;
    }
    let mut response = DeleteTopicsResponse::default();
    for (named, times) in asked {
        let refused = if !broker.config.config.delete_topics {
            Some(disabled(call.version()))
        } else if times > 1 {
            Some((ResponseError::InvalidRequest, "Duplicate topic name or id.".into()))
        } else {
            None
        };
        response.responses.push(match refused {
            Some(refusal) => describe(&named, None, Err(refusal)),
            None => delete(broker, &named).await,
        });
    }
    call.answer(&response)
}

fn named(request: DeleteTopicsRequest) -> impl Iterator<Item = Named> {
    let names = request.topic_names.into_iter().map(Named::Name);
    let states = request.topics.into_iter().map(|state| match (state.name, state.topic_id) {
        (Some(name), id) if id.is_nil() => Named::Name(name),
        (None, id) if !id.is_nil() => Named::Id(id),
        (name, id) => Named::Wrongly(name, id),
    });
    names.chain(states)
}

fn disabled(version: i16) -> Refusal {
    let code = if version < DISABLED_CODE_SINCE {
        ResponseError::InvalidRequest
    } else {
        ResponseError::TopicDeletionDisabled
    };
    (code, "Topic deletion is disabled.".into())
}

async fn delete(broker: &Arc<Broker>, named: &Named) -> DeletableTopicResult {
    let image = broker.metadata.image();
    let found = match named {
        Named::Name(name) => image.topic(name).ok_or_else(|| {
            let message = "This server does not host this topic-partition.".into();
            (ResponseError::UnknownTopicOrPartition, message)
        }),
        Named::Id(id) => image.topic_by_id(*id).ok_or_else(|| {
            (ResponseError::UnknownTopicId, "This server does not host this topic ID.".into())
        }),
        Named::Wrongly(..) => {
            let message = "A topic is named by its name or by its id, not by both or neither.";
            Err((ResponseError::InvalidRequest, message.into()))
        }
    };
    match found {
        Err(refusal) => describe(named, None, Err(refusal)),
        Ok(topic) => {
            let known = (topic.name.to_string(), topic.id);
            describe(named, Some(known), broker.delete_topic(topic.id).await)
        }
    }
}

fn describe(
    named: &Named,
    known: Option<(String, Uuid)>,
    deleted: Result<(), Refusal>,
) -> DeletableTopicResult {
    let (name, id) = match (known, named) {
        (Some((name, id)), _) => (Some(WireTopicName(StrBytes::from_string(name))), id),
        (None, Named::Name(name)) => (Some(name.clone()), Uuid::nil()),
        (None, Named::Id(id)) => (None, *id),
        (None, Named::Wrongly(name, id)) => (name.clone(), *id),
    };
    let result = DeletableTopicResult::default().with_name(name).with_topic_id(id);
    match deleted {
        Ok(()) => result,
        Err((code, message)) => result
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(message))),
    }
}
