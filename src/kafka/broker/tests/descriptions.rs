//! What a broker tells of its cluster, its topics and its logs.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, DescribeClusterRequest, DescribeLogDirsRequest,
        DescribeProducersRequest, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        InitProducerIdRequest, ListConfigResourcesRequest, MetadataRequest,
        OffsetForLeaderEpochRequest, TopicName,
        create_topics_request::CreatableTopic,
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_log_dirs_response::DescribeLogDirsPartition,
        describe_producers_request,
        describe_producers_response::PartitionResponse,
        describe_topic_partitions_request::{self, Cursor},
        metadata_request::MetadataRequestTopic,
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{
    bench::{NodeConfig, Wire, batch, beside_a_broker, beside_a_changed, pause},
    requests::produce,
};
use crate::{
    env::Env,
    kafka::{
        config::{BrokerConfig, Settings, Side},
        protocol::{
            ResponseError,
            batch::{BatchBuilder, BatchOptions, Compression},
        },
        types::{ProducerEpoch, ProducerId, Sequence, Timestamp},
    },
};

const LONG: Duration = Duration::from_secs(3600);
/// Every operation on a topic, and on the cluster, as the Java broker without an authorizer tells them.
const ON_TOPIC: i32 = 0b1101_1111_1000;
const ON_CLUSTER: i32 = 0b1_1111_1010_0000;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

async fn create(wire: &mut Wire, name: &str, partitions: i32) {
    let wanted = CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let answer = wire.ask(7, &CreateTopicsRequest::default().with_topics(vec![wanted])).await;
    assert_eq!(answer.topics[0].error_code, 0);
}

#[test]
fn the_cluster_is_told_in_every_version_and_operations_to_who_asks() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for version in 0..=2 {
            for (asked, operations) in [(false, i32::MIN), (true, ON_CLUSTER)] {
                let request = DescribeClusterRequest::default()
                    .with_endpoint_type(1)
                    .with_include_cluster_authorized_operations(asked);
                let answer = wire.ask(version, &request).await;
                assert_eq!((answer.error_code, &*answer.cluster_id), (0, "test"));
                assert_eq!((answer.controller_id.0, answer.endpoint_type), (1, 1));
                assert_eq!(answer.cluster_authorized_operations, operations);
                let [broker] = &answer.brokers[..] else { panic!("{answer:?}") };
                let address = (broker.broker_id.0, &*broker.host, broker.port, broker.is_fenced);
                assert_eq!(address, (1, "b1", 9092, false));
            }
        }
    });
}

#[test]
fn a_broker_is_no_endpoint_for_controllers() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for (kind, code) in [
            (2, ResponseError::MismatchedEndpointType),
            (9, ResponseError::UnsupportedEndpointType),
        ] {
            let request = DescribeClusterRequest::default().with_endpoint_type(kind);
            let answer = wire.ask(1, &request).await;
            assert_eq!((answer.error_code, answer.brokers.len()), (code.code(), 0));
        }
    });
}

fn page(
    topics: &[&str],
    limit: i32,
    cursor: Option<(&str, i32)>,
) -> DescribeTopicPartitionsRequest {
    let named = |name: &&str| {
        describe_topic_partitions_request::TopicRequest::default().with_name(topic(name))
    };
    let cursor = cursor.map(|(name, partition)| {
        Cursor::default().with_topic_name(topic(name)).with_partition_index(partition)
    });
    DescribeTopicPartitionsRequest::default()
        .with_topics(topics.iter().map(named).collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor)
}

/// Every topic's name, error and partitions, and the cursor.
fn told(answer: &DescribeTopicPartitionsResponse) -> String {
    let mut told = String::new();
    for topic in &answer.topics {
        let partitions: Vec<_> = topic.partitions.iter().map(|p| p.partition_index).collect();
        let name = topic.name.as_ref().unwrap();
        told += &format!("{} {} {partitions:?}; ", name.as_str(), topic.error_code);
    }
    let next = answer.next_cursor.as_ref();
    told + &next.map_or_else(
        || "end".to_owned(),
        |cursor| format!("then {} {}", cursor.topic_name.as_str(), cursor.partition_index),
    )
}

#[test]
fn topics_are_paged_through_by_cursor_and_none_is_told_twice() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        create(&mut wire, "a", 3).await;
        create(&mut wire, "z", 1).await;
        let mut pages = Vec::new();
        let mut next: Option<(String, i32)> = None;
        loop {
            let cursor = next.as_ref().map(|(name, partition)| (name.as_str(), *partition));
            let answer = wire.ask(0, &page(&[], 2, cursor)).await;
            pages.push(told(&answer));
            let Some(cursor) = answer.next_cursor else { break };
            next = Some((cursor.topic_name.to_string(), cursor.partition_index));
        }
        assert_eq!(
            pages,
            ["a 0 [0, 1]; then a 2", "a 0 [2]; t 0 [0]; then t 1", "t 0 [1]; z 0 [0]; end"]
        );
        // A cursor at a topic that is gone goes on with the next, one behind the last partition too.
        let answer = wire.ask(0, &page(&[], 10, Some(("b", 7)))).await;
        assert_eq!(told(&answer), "t 0 [0, 1]; z 0 [0]; end");
        let answer = wire.ask(0, &page(&["a"], 10, Some(("a", 3)))).await;
        assert_eq!(told(&answer), "a 0 []; end");
        let first = &wire.ask(0, &page(&["t"], 1, None)).await.topics[0];
        assert_eq!(first.topic_authorized_operations, ON_TOPIC);
        assert!(!first.topic_id.is_nil());
        let partition = &first.partitions[0];
        assert_eq!((partition.leader_id.0, partition.replica_nodes.len()), (1, 1));
    });
}

#[test]
fn topics_that_are_not_there_and_cursors_that_cannot_be_are_refused() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let cases = [
            (page(&["t", "s", "no/name", "t"], 10, None), "no/name 17 []; s 3 []; t 0 [0, 1]; end"),
            (page(&["t"], 10, Some(("s", 0))), "t 42 []; end"),
            (page(&["t"], 10, Some(("t", -1))), "t 42 []; end"),
            // At least one partition is told.
            (page(&["t"], 0, None), "t 0 [0]; then t 1"),
        ];
        for (request, expected) in cases {
            assert_eq!(told(&wire.ask(0, &request).await), expected);
        }
    });
}

#[test]
fn the_brokers_own_limit_on_partitions_beats_the_clients() {
    let one = |node: &mut NodeConfig| {
        let pairs = [("max.request.partition.size.limit", "1")];
        let settings = Settings::from_pairs(Side::Broker, pairs).unwrap();
        node.config = BrokerConfig::from_settings(&settings).unwrap();
    };
    beside_a_changed(LONG, one, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let answer = wire.ask(0, &page(&["t"], 100, None)).await;
        assert_eq!(told(&answer), "t 0 [0]; then t 1");
    });
}

#[test]
fn a_log_dir_tells_its_room_and_the_size_of_what_was_asked_for() {
    beside_a_broker(LONG, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        wire.ask(9, &produce(1, "t", "a")).await;
        let bytes = batch("a").len() as i64;
        world.disk("b1").set_capacity(Some(1 << 30));
        for version in 1..=4 {
            let answer =
                wire.ask(version, &DescribeLogDirsRequest::default().with_topics(None)).await;
            let [dir] = &answer.results[..] else { panic!("{answer:?}") };
            assert_eq!((answer.error_code, dir.error_code, &*dir.log_dir), (0, 0, "/data"));
            let sizes = dir.topics.iter().flat_map(|topic| {
                let of = |p: &DescribeLogDirsPartition| (p.partition_index, p.partition_size);
                topic.partitions.iter().map(move |p| (topic.name.to_string(), of(p)))
            });
            let sizes: Vec<_> = sizes.collect();
            assert_eq!(sizes, [("t".to_owned(), (0, bytes)), ("t".to_owned(), (1, 0))]);
            if version == 4 {
                assert_eq!(dir.total_bytes, 1 << 30);
                assert!(dir.usable_bytes < (1 << 30) && dir.usable_bytes > 0);
            }
        }
        let one = DescribableLogDirTopic::default().with_topic(topic("t")).with_partitions(vec![1]);
        let gone =
            DescribableLogDirTopic::default().with_topic(topic("s")).with_partitions(vec![0]);
        let request = DescribeLogDirsRequest::default().with_topics(Some(vec![one, gone]));
        let answer = wire.ask(4, &request).await;
        let told = &answer.results[0].topics;
        assert_eq!((told.len(), told[0].partitions.len()), (1, 1));
        let none = DescribeLogDirsRequest::default().with_topics(Some(Vec::new()));
        assert!(wire.ask(4, &none).await.results[0].topics.is_empty());
    });
}

fn epochs(name: &str, asks: &[(i32, i32, i32)]) -> OffsetForLeaderEpochRequest {
    let ask = |&(partition, current, epoch): &(i32, i32, i32)| {
        OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch)
    };
    let topic = OffsetForLeaderTopic::default()
        .with_topic(topic(name))
        .with_partitions(asks.iter().map(ask).collect());
    OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}

#[test]
fn a_leader_epoch_ends_where_the_log_does_and_stale_clients_are_told() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for _ in 0..3 {
            wire.ask(9, &produce(1, "t", "a")).await;
        }
        for version in 2..=4 {
            let asks = [(0, -1, 0), (0, 0, 0), (1, 0, 0), (0, 0, 5), (0, 0, -1), (0, 1, 0)];
            let answer = wire.ask(version, &epochs("t", &asks)).await;
            let ends = answer.topics[0].partitions.iter();
            let ends: Vec<_> = ends.map(|p| (p.error_code, p.leader_epoch, p.end_offset)).collect();
            let unknown_epoch = ResponseError::UnknownLeaderEpoch.code();
            assert_eq!(
                ends,
                [
                    (0, 0, 3),
                    (0, 0, 3),
                    // The leader of an empty log has begun its epoch.
                    (0, 0, 0),
                    (0, -1, -1),
                    (0, -1, -1),
                    (unknown_epoch, -1, -1)
                ]
            );
        }
        for name in ["nowhere", "__cluster_metadata"] {
            let answer = wire.ask(4, &epochs(name, &[(0, -1, 0)])).await;
            let code = answer.topics[0].partitions[0].error_code;
            assert_eq!(code, ResponseError::UnknownTopicOrPartition.code(), "{name}");
        }
    });
}

async fn producer_id(env: &Env, wire: &mut Wire) -> i64 {
    loop {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let answer = wire.ask(4, &request).await;
        if answer.error_code == 0 {
            return answer.producer_id.0;
        }
        pause(env, Duration::from_millis(50)).await;
    }
}

async fn producers(wire: &mut Wire, name: &str, partitions: Vec<i32>) -> Vec<PartitionResponse> {
    let asked = describe_producers_request::TopicRequest::default()
        .with_name(topic(name))
        .with_partition_indexes(partitions);
    let answer = wire.ask(0, &DescribeProducersRequest::default().with_topics(vec![asked])).await;
    answer.topics[0].partitions.clone()
}

#[test]
fn a_partition_knows_its_idempotent_producers_and_no_others() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        wire.ask(9, &produce(1, "t", "plain")).await;
        let id = producer_id(&env, &mut wire).await;
        let mut batch = BatchBuilder::new(Compression::None, 1 << 16);
        let now = env.clock.wall_time().0;
        for value in ["a", "b", "c"] {
            batch.append(Timestamp(now), None, Some(value.as_bytes()), &[]);
        }
        let options = BatchOptions {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(0),
            ..BatchOptions::default()
        };
        let mut request = produce(1, "t", "a");
        request.topic_data[0].partition_data[0].records = Some(batch.build(&options));
        let answer = wire.ask(9, &request).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);

        let told = producers(&mut wire, "t", vec![0, 1, 2]).await;
        let codes: Vec<_> = told.iter().map(|partition| partition.error_code).collect();
        assert_eq!(codes, [0, 0, ResponseError::UnknownTopicOrPartition.code()]);
        let [producer] = &told[0].active_producers[..] else { panic!("{told:?}") };
        assert_eq!((producer.producer_id.0, producer.producer_epoch), (id, 0));
        assert_eq!((producer.last_sequence, producer.last_timestamp), (2, now));
        assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
        assert!(told[1].active_producers.is_empty());

        let illegal = producers(&mut wire, "il/legal", vec![0]).await;
        assert_eq!(illegal[0].error_code, ResponseError::InvalidTopicException.code());
        assert!(illegal[0].error_message.is_some());
    });
}

#[test]
fn resources_with_settings_are_topics_and_brokers() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let cases = [
            (1, vec![], 0, "2t 41"),
            (1, vec![4], 0, "41"),
            (1, vec![2, 32], 0, "2t"),
            (1, vec![3], ResponseError::UnsupportedVersion.code(), ""),
            // Version 0 speaks of client metrics alone, and there are none.
            (0, vec![], 0, ""),
        ];
        for (version, kinds, code, expected) in cases {
            let request = ListConfigResourcesRequest::default().with_resource_types(kinds);
            let answer = wire.ask(version, &request).await;
            let listed = answer.config_resources.iter();
            let listed: Vec<_> =
                listed.map(|r| format!("{}{}", r.resource_type, &*r.resource_name)).collect();
            assert_eq!((answer.error_code, &*listed.join(" ")), (code, expected));
        }
    });
}

#[test]
fn metadata_tells_operations_to_who_asks() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for (asked, topics, cluster) in [(false, i32::MIN, i32::MIN), (true, ON_TOPIC, ON_CLUSTER)]
        {
            let request = MetadataRequest::default()
                .with_topics(None)
                .with_include_topic_authorized_operations(asked)
                .with_include_cluster_authorized_operations(asked);
            let answer = wire.ask(9, &request).await;
            assert_eq!(answer.cluster_authorized_operations, cluster);
            assert_eq!(answer.topics[0].topic_authorized_operations, topics);
        }
    });
}

#[test]
fn metadata_finds_topics_by_id_in_versions_that_have_ids() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let all = wire.ask(12, &MetadataRequest::default().with_topics(None)).await;
        let id = all.topics[0].topic_id;
        let by_id = |id| {
            let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
            MetadataRequest::default().with_topics(Some(vec![topic]))
        };
        let found = &wire.ask(12, &by_id(id)).await.topics[0];
        assert_eq!((found.error_code, found.name.as_ref().unwrap().as_str()), (0, "t"));
        let unknown = &wire.ask(13, &by_id(Uuid::from_u128(7))).await.topics[0];
        assert_eq!(unknown.error_code, ResponseError::UnknownTopicId.code());
        assert_eq!(unknown.name, None);
        for version in [10, 11] {
            let refused = &wire.ask(version, &by_id(id)).await.topics[0];
            assert_eq!(refused.error_code, ResponseError::InvalidRequest.code());
        }
    });
}
