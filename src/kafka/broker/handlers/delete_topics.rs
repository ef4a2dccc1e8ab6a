//! DeleteTopics, 1 to 6: by name, or from version 6 on by name or id.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        DeleteTopicsRequest, DeleteTopicsResponse, delete_topics_response::DeletableTopicResult,
    },
    protocol::{StrBytes, VersionRange},
};

use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    controller::Controller,
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 1, max: 6 };
/// An older client does not know TOPIC_DELETION_DISABLED.
const DISABLED_CODE_SINCE: i16 = 3;

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DeleteTopicsRequest = call.request_to_keep()?;
    if !broker.config.config.delete_topics {
        return call.answer(&disabled(request, call.version()));
    }
    let answer = broker.quorum.ask_controller(request, Controller::handle_delete_topics).await;
    call.answer(&answer?)
}

fn disabled(request: DeleteTopicsRequest, version: i16) -> DeleteTopicsResponse {
    let code = if version < DISABLED_CODE_SINCE {
        ResponseError::InvalidRequest
    } else {
        ResponseError::TopicDeletionDisabled
    };
    let refused = DeletableTopicResult::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str("Topic deletion is disabled.")));
    let names = request.topic_names.into_iter().map(|name| refused.clone().with_name(Some(name)));
    let states = request
        .topics
        .into_iter()
        .map(|state| refused.clone().with_name(state.name).with_topic_id(state.topic_id));
    DeleteTopicsResponse::default().with_responses(names.chain(states).collect())
}
