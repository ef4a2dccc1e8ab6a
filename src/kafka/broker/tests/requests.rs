//! Produce, Fetch, topics and producer ids as a client meets them.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest,
        InitProducerIdRequest, MetadataRequest, OffsetFetchRequest, ProduceRequest, TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        fetch_request::{FetchPartition, FetchTopic},
        metadata_request::MetadataRequestTopic,
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};

use super::bench::{Wire, batch, beside_a_broker, pause, start_broker};
use crate::{
    env::Env,
    kafka::protocol::{ResponseError, batch::Batches},
};

const LONG: Duration = Duration::from_secs(3600);

pub(super) fn topic(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

pub(super) fn produce(acks: i16, name: &'static str, value: &'static str) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch(value)));
    let topic = TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic])
}

pub(super) fn fetch(from: i64, min_bytes: i32, wait: Duration) -> FetchRequest {
    let partition =
        FetchPartition::default().with_fetch_offset(from).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(topic("t")).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait.as_millis() as i32)
        .with_min_bytes(min_bytes)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

fn values(response: &FetchResponse) -> Vec<String> {
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    let records = Batches::new(records).flat_map(|batch| batch.unwrap().records().unwrap());
    records
        .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap())
        .collect()
}

#[test]
fn what_is_produced_is_fetched_whatever_the_acks() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for (acks, value) in [(1, "a"), (-1, "b")] {
            let answer = wire.ask(9, &produce(acks, "t", value)).await;
            assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        }
        // No answer comes between this one's and the next one's.
        wire.send(9, &produce(0, "t", "c")).await;
        let answer = wire.ask(12, &fetch(0, 1, Duration::ZERO)).await;
        assert_eq!(values(&answer), ["a", "b", "c"]);
    });
}

#[test]
fn produce_refuses_what_kafka_refuses() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let cases = [
            (produce(2, "t", "a"), ResponseError::InvalidRequiredAcks),
            (produce(1, "nowhere", "a"), ResponseError::UnknownTopicOrPartition),
            (produce(1, "__consumer_offsets", "a"), ResponseError::InvalidTopicException),
        ];
        for (request, code) in cases {
            let answer = wire.ask(9, &request).await;
            let result = &answer.responses[0].partition_responses[0];
            assert_eq!((result.error_code, result.base_offset), (code.code(), -1));
        }
        // With acks=0 the only way to tell of an error is to close the connection.
        wire.send(9, &produce(0, "nowhere", "a")).await;
        assert!(wire.is_closed().await);
    });
}

#[test]
fn a_fetch_waits_for_records_and_no_longer_than_it_says() {
    beside_a_broker(LONG, |_, env| async move {
        let wait = Duration::from_secs(5);
        let (mut reader, mut writer) = (Wire::open(&env).await, Wire::open(&env).await);
        let start = env.clock.now();
        assert!(values(&reader.ask(12, &fetch(0, 1, wait)).await).is_empty());
        let waited = env.clock.now() - start;
        assert!(waited >= wait && waited < wait + Duration::from_secs(1), "{waited:?}");

        let start = env.clock.now();
        let asked = reader.send(12, &fetch(0, 1, wait)).await;
        pause(&env, Duration::from_secs(1)).await;
        writer.ask(9, &produce(1, "t", "a")).await;
        let answer = reader.receive::<FetchRequest>(asked, 12).await;
        assert_eq!(values(&answer), ["a"]);
        assert!(env.clock.now() - start < Duration::from_secs(2));

        // Fewer bytes than asked for wait to the end, and come then.
        let start = env.clock.now();
        assert_eq!(values(&reader.ask(12, &fetch(0, 1 << 16, wait)).await), ["a"]);
        assert!(env.clock.now() - start >= wait);
        // An error does not wait.
        let start = env.clock.now();
        let answer = reader.ask(12, &fetch(99, 1, wait)).await;
        let code = answer.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::OffsetOutOfRange.code());
        assert!(env.clock.now() - start < Duration::from_secs(1));
    });
}

fn create(names: &[&'static str], partitions: i32, validate_only: bool) -> CreateTopicsRequest {
    let wanted = |name: &&'static str| {
        CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
    };
    CreateTopicsRequest::default()
        .with_topics(names.iter().map(wanted).collect())
        .with_validate_only(validate_only)
}

#[test]
fn topics_are_made_once_and_by_the_rules() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let cases = [
            (create(&["new"], 3, true), vec![0]),
            (create(&["new"], 3, false), vec![0]),
            (create(&["new"], 3, false), vec![ResponseError::TopicAlreadyExists.code()]),
            (create(&["a", "b", "a"], 1, false), vec![ResponseError::InvalidRequest.code(), 0]),
            (create(&["no spaces"], 1, false), vec![ResponseError::InvalidTopicException.code()]),
            (create(&["none"], 0, false), vec![ResponseError::InvalidPartitions.code()]),
        ];
        for (request, codes) in cases {
            let answer = wire.ask(7, &request).await;
            let got: Vec<_> = answer.topics.iter().map(|topic| topic.error_code).collect();
            assert_eq!(got, codes, "{request:?}");
        }
        let all = wire.ask(12, &MetadataRequest::default().with_topics(None)).await;
        let names: Vec<_> =
            all.topics.iter().map(|t| t.name.as_ref().unwrap().to_string()).collect();
        assert_eq!(names, ["b", "new", "t"]);
    });
}

#[test]
fn a_new_topic_is_told_with_all_its_settings() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let mut request = create(&["new"], 1, false);
        let given = |value: Option<&'static str>| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_static_str("retention.ms"))
                .with_value(value.map(StrBytes::from_static_str))
        };
        request.topics[0].configs = vec![given(None)];
        let refused = wire.ask(7, &request).await.topics[0].error_code;
        assert_eq!(refused, ResponseError::InvalidConfig.code());
        request.topics[0].configs = vec![given(Some("5"))];
        let answer = wire.ask(5, &request).await;
        let configs = answer.topics[0].configs.as_ref().unwrap();
        let told = |name: &str| {
            let config = configs.iter().find(|config| &*config.name == name).unwrap();
            (config.value.as_ref().unwrap().to_string(), config.config_source, config.read_only)
        };
        assert_eq!(told("retention.ms"), ("5".to_owned(), 1, false));
        assert_eq!(told("cleanup.policy"), ("delete".to_owned(), 5, false));
        assert_eq!(answer.topics[0].num_partitions, 1);
        assert_eq!(answer.topics[0].error_message, None);
    });
}

#[test]
fn asking_for_a_topic_makes_it_unless_its_name_is_illegal() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let ask = |name| {
            let topic = MetadataRequestTopic::default().with_name(Some(topic(name)));
            MetadataRequest::default()
                .with_topics(Some(vec![topic]))
                .with_allow_auto_topic_creation(true)
        };
        let first = wire.ask(9, &ask("wanted")).await.topics[0].error_code;
        assert_eq!(first, ResponseError::UnknownTopicOrPartition.code());
        pause(&env, Duration::from_secs(1)).await;
        assert_eq!(wire.ask(9, &ask("wanted")).await.topics[0].error_code, 0);
        let illegal = wire.ask(9, &ask("il/legal")).await.topics[0].error_code;
        assert_eq!(illegal, ResponseError::InvalidTopicException.code());
    });
}

/// Waits until there is a coordinator for group `g`.
pub(super) async fn find_coordinator(wire: &mut Wire, env: &Env) {
    let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
    while wire.ask(3, &find).await.error_code != 0 {
        pause(env, Duration::from_millis(100)).await;
    }
}

#[test]
fn an_unknown_group_has_committed_nothing_which_is_no_error() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        find_coordinator(&mut wire, &env).await;
        let asked = OffsetFetchRequestTopic::default()
            .with_name(topic("t"))
            .with_partition_indexes(vec![0, 1]);
        let request = OffsetFetchRequest::default()
            .with_group_id(StrBytes::from_static_str("g").into())
            .with_topics(Some(vec![asked]));
        for version in 1..=7 {
            let answer = wire.ask(version, &request).await;
            let found = &answer.topics[0].partitions;
            assert_eq!((answer.error_code, found.len()), (0, 2));
            assert!(
                found.iter().all(|p| (p.committed_offset, p.error_code) == (-1, 0)),
                "{found:?}"
            );
        }
        let asked = OffsetFetchRequestTopics::default()
            .with_name(topic("t"))
            .with_partition_indexes(vec![0, 1]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(StrBytes::from_static_str("g").into())
            .with_topics(Some(vec![asked]));
        for version in 8..=9 {
            let request = OffsetFetchRequest::default().with_groups(vec![group.clone()]);
            let answer = wire.ask(version, &request).await;
            let found = &answer.groups[0].topics[0].partitions;
            assert_eq!((answer.groups[0].error_code, found.len()), (0, 2));
            assert!(
                found.iter().all(|p| (p.committed_offset, p.error_code) == (-1, 0)),
                "{found:?}"
            );
        }
    });
}

async fn producer_id(env: &Env, wire: &mut Wire) -> i64 {
    loop {
        let answer =
            wire.ask(4, &InitProducerIdRequest::default().with_transactional_id(None)).await;
        if answer.error_code == 0 {
            return answer.producer_id.0;
        }
        assert_eq!(answer.error_code, ResponseError::CoordinatorLoadInProgress.code());
        pause(env, Duration::from_millis(50)).await;
    }
}

#[test]
fn producer_ids_are_never_given_twice_not_even_after_a_kill() {
    beside_a_broker(LONG, |world, env| async move {
        let mut ids = Vec::new();
        for _ in 0..3 {
            let mut wire = Wire::open(&env).await;
            for _ in 0..3 {
                ids.push(producer_id(&env, &mut wire).await);
            }
            world.kill("b1");
            start_broker(&world, LONG);
        }
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
    });
}
