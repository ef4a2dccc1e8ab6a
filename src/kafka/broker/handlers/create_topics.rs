//! CreateTopics, 2 to 7: the controller makes topics one after the other.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, create_topics_response::CreatableTopicConfigs,
    },
    protocol::{StrBytes, VersionRange},
};

use super::describe_configs::source_code;
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    config::{DescribedSetting, describe_topic},
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 2, max: 7 };

pub(in crate::kafka::broker) async fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: CreateTopicsRequest = call.request_to_keep()?;
    let given: BTreeMap<_, BTreeMap<_, _>> = request
        .topics
        .iter()
        .map(|topic| {
            let values = topic.configs.iter().filter_map(|config| {
                Some((config.name.to_string(), config.value.as_ref()?.to_string()))
            });
            (topic.name.clone(), values.collect())
        })
        .collect();
    let decided = broker.quorum.decide(move |controller, moment, effects| {
        let (now, choices) = (moment.now, moment.choices);
        controller.handle_create_topics(now, moment.request(request), choices, effects);
    });
    let mut response: CreateTopicsResponse = decided.await?;
    for topic in response.topics.iter_mut().filter(|topic| topic.error_code == 0) {
        topic.configs = given.get(&topic.name).map(|given| effective(broker, given));
    }
    call.answer(&response)
}

/// All settings of the topic, with where each value comes from.
fn effective(broker: &Broker, given: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
    let entry = |setting: DescribedSetting| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.row.name))
            .with_config_source(source_code(setting.source()))
            .with_value(setting.value.map(StrBytes::from_string))
    };
    describe_topic(given, &broker.config.config.settings).map(entry).collect()
}
