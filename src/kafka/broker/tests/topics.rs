//! Topics that change and go: DeleteTopics, CreatePartitions, and who decides.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, GroupId,
        MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, TopicName,
        create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
        create_topics_request::CreatableTopic,
        delete_topics_request::DeleteTopicState,
        metadata_request::MetadataRequestTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::OffsetFetchRequestTopic,
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{
    bench::{
        Wire, beside_a_broker, beside_a_changed, pause, start_broker, start_second, two_brokers,
    },
    requests::{fetch, produce},
};
use crate::kafka::protocol::ResponseError;

const LONG: Duration = Duration::from_secs(100_000);

fn name(topic: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(topic))
}

/// A topic as DeleteTopics names it.
pub(super) type Named = (Option<&'static str>, Uuid);

/// Code, id and number of partitions.
async fn look(wire: &mut Wire, topic: &'static str) -> (i16, Uuid, usize) {
    let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(false);
    let answer = wire.ask(12, &request).await;
    let topic = &answer.topics[0];
    (topic.error_code, topic.topic_id, topic.partitions.len())
}

pub(super) fn create(topic: &'static str) -> CreateTopicsRequest {
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(2)
        .with_replication_factor(1);
    CreateTopicsRequest::default().with_topics(vec![topic])
}

fn delete(topics: &[Named]) -> DeleteTopicsRequest {
    let state = |(topic, id): &Named| {
        DeleteTopicState::default().with_name(topic.map(name)).with_topic_id(*id)
    };
    DeleteTopicsRequest::default().with_topics(topics.iter().map(state).collect())
}

pub(super) async fn delete_code(wire: &mut Wire, topics: &[Named]) -> Vec<i16> {
    let answer = wire.ask(6, &delete(topics)).await;
    answer.responses.iter().map(|result| result.error_code).collect()
}

async fn produced(wire: &mut Wire, topic: &'static str) -> (i16, i64) {
    let answer = wire.ask(9, &produce(1, topic, "a")).await;
    let result = &answer.responses[0].partition_responses[0];
    (result.error_code, result.base_offset)
}

const UNKNOWN: i16 = ResponseError::UnknownTopicOrPartition.code();

#[test]
fn a_topic_made_again_has_a_new_id_and_none_of_the_old_records() {
    beside_a_broker(LONG, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        assert_eq!(produced(&mut wire, "t").await, (0, 0));
        assert_eq!(produced(&mut wire, "t").await, (0, 1));
        let (_, old, _) = look(&mut wire, "t").await;
        assert_eq!(delete_code(&mut wire, &[(Some("t"), Uuid::nil())]).await, [0]);
        assert_eq!(look(&mut wire, "t").await.0, UNKNOWN);
        assert_eq!(produced(&mut wire, "t").await, (UNKNOWN, -1));
        let answer = wire.ask(7, &create("t")).await;
        assert_eq!(answer.topics[0].error_code, 0);
        assert_ne!(look(&mut wire, "t").await.1, old);
        assert_eq!(produced(&mut wire, "t").await, (0, 0));
        // The old files wait under another name, and go.
        let waiting = || world.disk("b1").files().iter().filter(|f| f.contains("-delete/")).count();
        assert!(waiting() > 0);
        pause(&env, Duration::from_secs(61)).await;
        assert_eq!(waiting(), 0);
        assert_eq!(produced(&mut wire, "t").await, (0, 1));
    });
}

#[test]
fn topics_are_deleted_by_name_or_id_once_each() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let (_, id, _) = look(&mut wire, "t").await;
        let (invalid, nil) = (ResponseError::InvalidRequest.code(), Uuid::nil());
        let cases: [(&[Named], i16); 6] = [
            (&[(None, nil)], invalid),
            (&[(Some("t"), id)], invalid),
            (&[(Some("t"), nil), (Some("t"), nil)], invalid),
            (&[(Some("nowhere"), nil)], UNKNOWN),
            (&[(None, Uuid::from_u128(7))], ResponseError::UnknownTopicId.code()),
            (&[(None, id)], 0),
        ];
        for (topics, code) in cases {
            assert_eq!(delete_code(&mut wire, topics).await, [code], "{topics:?}");
        }
        // An old client names topics in another field.
        let old = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
        assert_eq!(wire.ask(1, &old).await.responses[0].error_code, UNKNOWN);
    });
}

#[test]
fn topics_are_made_and_deleted_in_every_version() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        for version in 2..=7 {
            let answer = wire.ask(version, &create("new")).await;
            assert_eq!(answer.topics[0].error_code, 0, "CreateTopics {version}");
            let request = if version <= 6 {
                DeleteTopicsRequest::default().with_topic_names(vec![name("new")])
            } else {
                DeleteTopicsRequest::default()
            };
            let version = version - 1;
            let request =
                if version == 6 { delete(&[(Some("new"), Uuid::nil())]) } else { request };
            let answer = wire.ask(version, &request).await;
            assert_eq!(answer.responses[0].error_code, 0, "DeleteTopics {version}");
        }
        for version in 0..=3 {
            let answer = wire.ask(version, &more("t", 3 + i32::from(version), None)).await;
            assert_eq!(answer.results[0].error_code, 0, "CreatePartitions {version}");
        }
    });
}

#[test]
fn a_broker_that_forbids_deletion_says_so() {
    let forbid = |node: &mut super::bench::NodeConfig| node.config.delete_topics = false;
    beside_a_changed(LONG, forbid, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let disabled = ResponseError::TopicDeletionDisabled.code();
        assert_eq!(delete_code(&mut wire, &[(Some("t"), Uuid::nil())]).await, [disabled]);
        let old = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
        let code = wire.ask(1, &old).await.responses[0].error_code;
        assert_eq!(code, ResponseError::InvalidRequest.code());
        assert_eq!(look(&mut wire, "t").await.0, 0);
    });
}

#[test]
fn a_fetch_that_waits_learns_at_once_that_its_topic_is_gone() {
    beside_a_broker(LONG, |_, env| async move {
        let (mut wire, mut waiting) = (Wire::open(&env).await, Wire::open(&env).await);
        let asked = waiting.send(12, &fetch(0, 1, Duration::from_secs(60))).await;
        pause(&env, Duration::from_secs(1)).await;
        let start = env.clock.now();
        assert_eq!(delete_code(&mut wire, &[(Some("t"), Uuid::nil())]).await, [0]);
        let answer = waiting.receive::<FetchRequest>(asked, 12).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, UNKNOWN);
        assert!(env.clock.now() - start < Duration::from_secs(5));
    });
}

#[test]
fn a_consumer_that_waits_meets_neither_old_records_nor_old_offsets_in_a_topic_made_again() {
    beside_a_broker(LONG, |_, env| async move {
        let (mut wire, mut waiting) = (Wire::open(&env).await, Wire::open(&env).await);
        produced(&mut wire, "t").await;
        produced(&mut wire, "t").await;
        let (_, old, _) = look(&mut wire, "t").await;
        let by_id = |offset: i64, wait: Duration| {
            let mut request = fetch(offset, 1, wait);
            request.topics[0].topic_id = old;
            request.topics[0].topic = TopicName::default();
            request
        };
        let asked = waiting.send(13, &by_id(2, Duration::from_secs(60))).await;
        pause(&env, Duration::from_secs(1)).await;
        // Both at once: the waiting fetch may look only after the new topic is there.
        wire.send(6, &delete(&[(Some("t"), Uuid::nil())])).await;
        wire.send(7, &create("t")).await;
        let answer = waiting.receive::<FetchRequest>(asked, 13).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, UNKNOWN);
        wire.frame().await.unwrap();
        wire.frame().await.unwrap();
        // Time for the broker to follow.
        pause(&env, Duration::from_secs(1)).await;
        let again = wire.ask(13, &by_id(2, Duration::ZERO)).await;
        let code = again.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::UnknownTopicId.code());
        // Who goes by the name alone finds its place gone.
        let again = wire.ask(12, &fetch(2, 1, Duration::ZERO)).await;
        let code = again.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::OffsetOutOfRange.code());
    });
}

#[test]
fn a_topic_stays_deleted_over_a_power_loss() {
    beside_a_broker(LONG, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        produced(&mut wire, "t").await;
        assert_eq!(delete_code(&mut wire, &[(Some("t"), Uuid::nil())]).await, [0]);
        world.power_loss("b1");
        start_broker(&world, LONG);
        let mut wire = Wire::open(&env).await;
        assert_eq!(look(&mut wire, "t").await.0, UNKNOWN);
        assert_eq!(wire.ask(7, &create("t")).await.topics[0].error_code, 0);
        assert_eq!(produced(&mut wire, "t").await, (0, 0));
        // What was to be removed is removed by the new process.
        pause(&env, Duration::from_secs(61)).await;
        let files = world.disk("b1").files();
        assert!(!files.iter().any(|file| file.contains("-delete/")), "{files:?}");
    });
}

async fn committed(wire: &mut Wire) -> i64 {
    let topic =
        OffsetFetchRequestTopic::default().with_name(name("t")).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("g")))
        .with_topics(Some(vec![topic]));
    wire.ask(7, &request).await.topics[0].partitions[0].committed_offset
}

#[test]
fn offsets_of_a_deleted_topic_are_forgotten() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        produced(&mut wire, "t").await;
        super::requests::find_coordinator(&mut wire, &env).await;
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let commit = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        assert_eq!(wire.ask(8, &commit).await.topics[0].partitions[0].error_code, 0);
        assert_eq!(committed(&mut wire).await, 1);
        assert_eq!(delete_code(&mut wire, &[(Some("t"), Uuid::nil())]).await, [0]);
        assert_eq!(committed(&mut wire).await, -1);
    });
}

fn more(topic: &'static str, count: i32, brokers: Option<&[&[i32]]>) -> CreatePartitionsRequest {
    let assignment = |ids: &&[i32]| {
        let ids = ids.iter().map(|id| kafka_protocol::messages::BrokerId(*id)).collect();
        CreatePartitionsAssignment::default().with_broker_ids(ids)
    };
    let topic = CreatePartitionsTopic::default()
        .with_name(name(topic))
        .with_count(count)
        .with_assignments(brokers.map(|brokers| brokers.iter().map(assignment).collect()));
    CreatePartitionsRequest::default().with_topics(vec![topic])
}

#[test]
fn a_topic_gets_more_partitions_and_never_fewer() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let (counts, placement) =
            (ResponseError::InvalidPartitions, ResponseError::InvalidReplicaAssignment);
        let twice = {
            let mut request = more("t", 3, None);
            request.topics.push(request.topics[0].clone());
            request
        };
        let cases = [
            (more("t", 2, None), counts.code()),
            (more("t", 1, None), counts.code()),
            (more("t", i32::MAX, None), counts.code()),
            (more("t", i32::MIN, None), counts.code()),
            (more("nowhere", 5, None), UNKNOWN),
            (more("t", 4, Some(&[&[1]])), placement.code()),
            (more("t", 3, Some(&[&[9]])), placement.code()),
            (more("t", 3, Some(&[&[]])), placement.code()),
            (twice, ResponseError::InvalidRequest.code()),
            (more("t", 3, None).with_validate_only(true), 0),
        ];
        for (request, code) in cases {
            assert_eq!(wire.ask(3, &request).await.results[0].error_code, code, "{request:?}");
        }
        assert_eq!(look(&mut wire, "t").await.2, 2);
        assert_eq!(wire.ask(0, &more("t", 3, Some(&[&[1]]))).await.results[0].error_code, 0);
        assert_eq!(wire.ask(3, &more("t", 5, None)).await.results[0].error_code, 0);
        assert_eq!(look(&mut wire, "t").await.2, 5);
        let mut request = produce(1, "t", "a");
        request.topic_data[0].partition_data[0].index = 4;
        let answer = wire.ask(9, &request).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    });
}

#[test]
fn any_broker_takes_what_the_controller_decides() {
    beside_a_changed(LONG, two_brokers, |world, env| async move {
        start_second(&world, LONG);
        let mut second = Wire::open_to(&env, "b2").await;
        for version in [2, 7] {
            let topic = if version == 2 { "old" } else { "new" };
            let answer = second.ask(version, &create(topic)).await;
            assert_eq!(answer.topics[0].error_code, 0);
        }
        let answer = second.ask(3, &more("new", 3, None)).await;
        assert_eq!(answer.results[0].error_code, 0);
        assert_eq!(delete_code(&mut second, &[(Some("old"), Uuid::nil())]).await, [0]);
        let mut first = Wire::open(&env).await;
        assert_eq!(look(&mut first, "new").await.2, 3);
        assert_eq!(look(&mut first, "old").await.0, UNKNOWN);
        // Without a controller nobody decides, and the client is told to try elsewhere.
        world.kill("b1");
        second.send(7, &create("more")).await;
        assert!(second.is_closed().await);
    });
}
