//! DescribeConfigs, 1 to 4: settings of topics and of this broker, with where each value comes from.

use std::sync::Arc;

use kafka_protocol::{
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
    },
    protocol::{StrBytes, VersionRange},
};

use super::config_resources::{Resource, unsupported};
use crate::kafka::{
    broker::{
        dispatch::{Answer, Call},
        state::Broker,
    },
    config::{ConfigSource, DescribedSetting, Kind, Settings, describe_broker, describe_topic},
    controller::{Refusal, check_topic_name},
    protocol::ResponseError,
};

pub(in crate::kafka::broker) const VERSIONS: VersionRange = VersionRange { min: 1, max: 4 };

pub(in crate::kafka::broker) fn handle(broker: &Arc<Broker>, call: &Call<'_>) -> Answer {
    let request: DescribeConfigsRequest = call.request()?;
    let results = request.resources.iter().map(|asked| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match settings(broker, asked) {
            Ok(settings) => {
                let wanted = settings.into_iter().filter(|setting| is_wanted(asked, setting));
                let entries = wanted.map(|setting| entry(&request, asked, setting));
                result.with_error_message(None).with_configs(entries.collect())
            }
            Err((code, message)) => result
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(message))),
        }
    });
    call.answer(&DescribeConfigsResponse::default().with_results(results.collect()))
}

fn settings(
    broker: &Broker,
    asked: &DescribeConfigsResource,
) -> Result<Vec<DescribedSetting>, Refusal> {
    let given = &broker.config.config.settings;
    match Resource::new(asked.resource_type, &asked.resource_name) {
        Resource::Topic(name) => {
            check_topic_name(&name)?;
            let image = broker.metadata.image();
            let topic = image.topic(&name).ok_or_else(|| {
                let message = format!("The topic '{name}' does not exist.");
                (ResponseError::UnknownTopicOrPartition, message)
            })?;
            Ok(describe_topic(&topic.config, given).collect())
        }
        // What all brokers were told while they ran: nothing.
        Resource::Broker(id) if id.is_empty() => Ok(Vec::new()),
        Resource::Broker(id) if id.parse() == Ok(broker.id().0) => {
            Ok(describe_broker(&with_place(broker)).collect())
        }
        Resource::Broker(id) => {
            let message = format!(
                "Unexpected broker id, expected {} or empty string, but received {id}",
                broker.id()
            );
            Err((ResponseError::InvalidRequest, message))
        }
        Resource::Other(kind, _) => Err(unsupported(kind)),
    }
}

/// The broker's settings with those that say who and where it is, which it is told in another way.
fn with_place(broker: &Broker) -> Settings {
    let node = &broker.config;
    let mut settings = node.config.settings.clone();
    let id = node.broker_id.to_string();
    let here = node.brokers.iter().find(|broker| broker.id == node.broker_id);
    let place = [
        ("node.id", Some(id.clone())),
        ("broker.id", Some(id)),
        ("broker.rack", here.and_then(|here| here.rack.clone())),
        ("listeners", Some(format!("PLAINTEXT://{}", node.listen))),
        ("advertised.listeners", here.map(|here| format!("PLAINTEXT://{}", here.advertised))),
        ("log.dirs", Some(broker.env.disk.location())),
    ];
    for (name, value) in place {
        let Some(value) = value else { continue };
        settings.set(name, &value).expect("the table has it, and a node cannot have a wrong one");
    }
    settings
}

fn is_wanted(asked: &DescribeConfigsResource, setting: &DescribedSetting) -> bool {
    match asked.configuration_keys.as_deref() {
        None | Some([]) => true,
        Some(names) => names.iter().any(|name| name.as_str() == setting.row.name),
    }
}

fn entry(
    request: &DescribeConfigsRequest,
    asked: &DescribeConfigsResource,
    setting: DescribedSetting,
) -> DescribeConfigsResourceResult {
    let is_topic =
        matches!(Resource::new(asked.resource_type, &asked.resource_name), Resource::Topic(_));
    let source = source_code(setting.source());
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let documentation = request.include_documentation.then(|| text(setting.row.meaning));
    let synonyms = setting.sources.iter().filter(|_| request.include_synonyms).map(|sourced| {
        DescribeConfigsSynonym::default()
            .with_name(text(sourced.name))
            .with_value(Some(text(&sourced.value)))
            .with_source(source_code(sourced.source))
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.row.name))
        .with_synonyms(synonyms.collect())
        .with_config_source(source)
        .with_config_type(type_code(setting.row.kind))
        .with_documentation(documentation)
        .with_value(setting.value.map(StrBytes::from_string))
        // No broker's setting can change while it runs.
        .with_read_only(!is_topic)
}

/// `DescribeConfigsResponse.ConfigSource`.
pub(super) fn source_code(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::Broker => 4,
        ConfigSource::Default => 5,
    }
}

/// `DescribeConfigsResponse.ConfigType`.
fn type_code(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text | Kind::OneOf(_) => 2,
        Kind::Int { .. } => 3,
        Kind::Long { .. } => 5,
        Kind::Double { .. } => 6,
        Kind::List(_) => 7,
    }
}
