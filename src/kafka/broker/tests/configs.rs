//! Settings of topics and brokers: what they are, where they come from, and how topics' change.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
        alter_configs_request::{AlterConfigsResource, AlterableConfig},
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult},
        incremental_alter_configs_request as incremental,
    },
    protocol::StrBytes,
};

use super::{
    bench::{Wire, beside_a_broker, beside_a_changed, start_broker, start_second, two_brokers},
    replicas::until,
    requests::{find_coordinator, produce},
};
use crate::kafka::protocol::ResponseError;

const LONG: Duration = Duration::from_secs(100_000);
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

async fn described(
    wire: &mut Wire,
    version: i16,
    (kind, name): (i8, &'static str),
    keys: Option<&[&'static str]>,
) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(version >= 3);
    wire.ask(version, &request).await.results.remove(0)
}

async fn one(wire: &mut Wire, key: &'static str) -> DescribeConfigsResourceResult {
    let mut result = described(wire, 4, (TOPIC, "t"), Some(&[key])).await;
    assert_eq!((result.error_code, result.configs.len()), (0, 1));
    result.configs.remove(0)
}

fn value(entry: &DescribeConfigsResourceResult) -> (&str, i8) {
    (entry.value.as_deref().unwrap(), entry.config_source)
}

/// Operations by Kafka's numbers: 0 set, 1 delete, 2 append, 3 subtract.
fn adjust(
    (kind, name): (i8, &'static str),
    changes: &[(&'static str, i8, Option<&'static str>)],
) -> IncrementalAlterConfigsRequest {
    let config = |(name, operation, value): &(&'static str, i8, Option<&'static str>)| {
        incremental::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    };
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.iter().map(config).collect());
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

fn replace(configs: &[(&'static str, Option<&'static str>)]) -> AlterConfigsRequest {
    let config = |(name, value): &(&'static str, Option<&'static str>)| {
        AlterableConfig::default().with_name(text(name)).with_value(value.map(text))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(configs.iter().map(config).collect());
    AlterConfigsRequest::default().with_resources(vec![resource])
}

#[test]
fn every_value_says_where_it_comes_from() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let entry = one(&mut wire, "retention.ms").await;
        assert_eq!(value(&entry), ("604800000", 5));
        assert!(!entry.read_only && entry.documentation.is_some() && entry.config_type == 5);
        let change = adjust((TOPIC, "t"), &[("retention.ms", 0, Some("5"))]);
        assert_eq!(wire.ask(1, &change).await.responses[0].error_code, 0);
        let entry = one(&mut wire, "retention.ms").await;
        assert_eq!(value(&entry), ("5", 1));
        let names: Vec<_> = entry.synonyms.iter().map(|s| (s.name.as_str(), s.source)).collect();
        assert_eq!(names, [("retention.ms", 1), ("log.retention.hours", 5)]);

        let broker = described(&mut wire, 1, (BROKER, "1"), None).await;
        let partitions =
            broker.configs.iter().find(|c| c.name.as_str() == "offsets.topic.num.partitions");
        let partitions = partitions.unwrap();
        assert!(partitions.read_only);
        assert_eq!(value(partitions), ("2", 4));
        let of = |name: &str| {
            let found = broker.configs.iter().find(|c| c.name.as_str() == name).unwrap();
            found.value.as_ref().unwrap().to_string()
        };
        assert_eq!((of("node.id"), of("broker.id")), ("1".into(), "1".into()));
        assert_eq!(of("listeners"), of("advertised.listeners"));
        assert!(of("listeners").starts_with("PLAINTEXT://b1:"));
        assert!(!of("log.dirs").is_empty());
        assert!(described(&mut wire, 4, (BROKER, ""), None).await.configs.is_empty());
    });
}

#[test]
fn what_has_no_settings_is_refused() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let cases = [
            ((TOPIC, "nowhere"), ResponseError::UnknownTopicOrPartition),
            ((TOPIC, "no/topic"), ResponseError::InvalidTopicException),
            ((BROKER, "2"), ResponseError::InvalidRequest),
            ((BROKER, "one"), ResponseError::InvalidRequest),
            ((8, "1"), ResponseError::InvalidRequest),
        ];
        for (resource, code) in cases {
            let result = described(&mut wire, 4, resource, None).await;
            assert_eq!((result.error_code, result.configs.len()), (code.code(), 0), "{resource:?}");
        }
    });
}

#[test]
fn a_changed_setting_counts_at_once_and_after_a_power_loss() {
    beside_a_broker(LONG, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        let produced = async |wire: &mut Wire| {
            let answer = wire.ask(9, &produce(1, "t", "a record of some length")).await;
            answer.responses[0].partition_responses[0].error_code
        };
        assert_eq!(produced(&mut wire).await, 0);
        let change = adjust((TOPIC, "t"), &[("max.message.bytes", 0, Some("20"))]);
        let harmless = change.clone().with_validate_only(true);
        assert_eq!(wire.ask(0, &harmless).await.responses[0].error_code, 0);
        assert_eq!(produced(&mut wire).await, 0);
        assert_eq!(wire.ask(0, &change).await.responses[0].error_code, 0);
        let too_large = ResponseError::MessageTooLarge.code();
        assert_eq!(produced(&mut wire).await, too_large);
        world.power_loss("b1");
        start_broker(&world, LONG);
        let mut wire = Wire::open(&env).await;
        assert_eq!(produced(&mut wire).await, too_large);
        let harmless = replace(&[("flush.ms", Some("9"))]).with_validate_only(true);
        assert_eq!(wire.ask(2, &harmless).await.responses[0].error_code, 0);
        assert_eq!(produced(&mut wire).await, too_large);
        // All settings that are not named go back to their defaults.
        let answer = wire.ask(2, &replace(&[("flush.ms", Some("9"))])).await;
        assert_eq!(answer.responses[0].error_code, 0);
        assert_eq!(produced(&mut wire).await, 0);
        assert_eq!(value(&one(&mut wire, "flush.ms").await), ("9", 1));
    });
}

#[test]
fn a_change_that_cannot_be_made_changes_nothing() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let (config, request) =
            (ResponseError::InvalidConfig.code(), ResponseError::InvalidRequest.code());
        let topic = (TOPIC, "t");
        let cases = [
            (adjust(topic, &[("no.such", 0, Some("1"))]), config),
            (adjust(topic, &[("flush.ms", 0, Some("1")), ("retention.ms", 0, Some("x"))]), config),
            (adjust(topic, &[("flush.ms", 2, Some("1"))]), config),
            (adjust(topic, &[("flush.ms", 0, None)]), request),
            (adjust(topic, &[("flush.ms", 9, Some("1"))]), request),
            (adjust(topic, &[("flush.ms", 0, Some("1")), ("flush.ms", 1, None)]), request),
            (
                adjust((TOPIC, "nowhere"), &[("flush.ms", 0, Some("1"))]),
                ResponseError::UnknownTopicOrPartition.code(),
            ),
            (adjust((BROKER, "1"), &[("log.retention.ms", 0, Some("1"))]), request),
            (adjust((8, "1"), &[("root", 0, Some("INFO"))]), request),
            (
                {
                    let mut twice = adjust(topic, &[("flush.ms", 0, Some("1"))]);
                    twice.resources.push(twice.resources[0].clone());
                    twice
                },
                request,
            ),
        ];
        for (change, code) in cases {
            let answer = wire.ask(1, &change).await;
            assert!(
                answer.responses.iter().all(|r| r.error_code == code),
                "{change:?}: {answer:?}"
            );
        }
        let answer = wire.ask(1, &replace(&[("flush.ms", None)])).await;
        assert_eq!(answer.responses[0].error_code, request);
        assert_eq!(value(&one(&mut wire, "flush.ms").await).1, 5);
    });
}

#[test]
fn what_is_refused_is_told_at_its_place_among_the_rest() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let fixed = adjust((BROKER, "1"), &[("log.retention.ms", 0, Some("1"))]);
        let mut change = adjust((TOPIC, "t"), &[("flush.ms", 0, Some("8"))]);
        let whole_cluster = adjust((BROKER, ""), &[("log.retention.ms", 0, Some("1"))]);
        change.resources.insert(0, fixed.resources[0].clone());
        change.resources.insert(1, whole_cluster.resources[0].clone());
        let answer = wire.ask(1, &change).await;
        let told = answer
            .responses
            .iter()
            .map(|it| (it.resource_type, it.resource_name.to_string(), it.error_code));
        let refused = ResponseError::InvalidRequest.code();
        let expected = [(BROKER, "1", refused), (BROKER, "", refused), (TOPIC, "t", 0)];
        assert_eq!(
            told.collect::<Vec<_>>(),
            expected.map(|(kind, name, code)| (kind, name.to_owned(), code))
        );
        assert_eq!(value(&one(&mut wire, "flush.ms").await), ("8", 1));

        let mut change = replace(&[("flush.ms", Some("9"))]);
        let mut fixed = change.resources[0].clone();
        (fixed.resource_type, fixed.resource_name) = (BROKER, text("1"));
        change.resources.insert(0, fixed);
        let answer = wire.ask(2, &change).await;
        let told = answer.responses.iter().map(|it| (it.resource_type, it.error_code));
        assert_eq!(told.collect::<Vec<_>>(), [(BROKER, refused), (TOPIC, 0)]);
        assert_eq!(value(&one(&mut wire, "flush.ms").await), ("9", 1));
    });
}

#[test]
fn any_broker_changes_and_describes_a_topic() {
    beside_a_changed(LONG, two_brokers, |world, env| async move {
        start_second(&world, LONG);
        let mut second = Wire::open_to(&env, "b2").await;
        find_coordinator(&mut second, &env).await;
        let change = adjust((TOPIC, "t"), &[("flush.ms", 0, Some("7"))]);
        assert_eq!(second.ask(1, &change).await.responses[0].error_code, 0);
        let mut first = Wire::open(&env).await;
        assert_eq!(value(&one(&mut first, "flush.ms").await), ("7", 1));
        // The other broker hears of it a moment later.
        until!(env, "it hears of it", value(&one(&mut second, "flush.ms").await).0 == "7");
    });
}
