//! Groups as an administrator meets them: listed, described, deleted, and offsets taken from them.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        DeleteGroupsRequest, DescribeGroupsRequest, GroupId, JoinGroupRequest, LeaveGroupRequest,
        ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
        SyncGroupRequest, TopicName,
        describe_groups_response::DescribedGroup,
        join_group_request::JoinGroupRequestProtocol,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch_request::OffsetFetchRequestTopic,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};

use super::{
    bench::{
        NodeConfig, Wire, beside_a_broker, beside_a_changed, pause, start_broker, start_changed,
        start_second, two_brokers,
    },
    requests::find_coordinator,
};
use crate::{env::Env, kafka::protocol::ResponseError};

const LONG: Duration = Duration::from_secs(100_000);

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn group(name: &'static str) -> GroupId {
    GroupId(text(name))
}

/// Of the consumer protocol, version 0: the topic `t` and nothing else.
fn subscription() -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(&[0, 0, 0, 0, 0, 1, 0, 1, b't']);
    bytes.put_i32(-1);
    bytes.freeze()
}

/// The only member of group `g`, after a whole rebalance.
async fn join(wire: &mut Wire, env: &Env) -> (StrBytes, i32) {
    find_coordinator(wire, env).await;
    let protocol =
        JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription());
    let ask = JoinGroupRequest::default()
        .with_group_id(group("g"))
        .with_session_timeout_ms(60_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let member = wire.ask(5, &ask).await.member_id;
    let joined = wire.ask(5, &ask.with_member_id(member.clone())).await;
    assert_eq!((joined.error_code, &joined.leader), (0, &member));
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(member.clone())
        .with_assignment(Bytes::from_static(b"mine"));
    let sync = SyncGroupRequest::default()
        .with_group_id(group("g"))
        .with_generation_id(joined.generation_id)
        .with_member_id(member.clone())
        .with_assignments(vec![assignment]);
    assert_eq!(wire.ask(3, &sync).await.error_code, 0);
    (member, joined.generation_id)
}

/// Commits offset 7 of `t-0`: as a member, or on nobody's behalf.
async fn commit(wire: &mut Wire, name: &'static str, member: Option<&(StrBytes, i32)>) {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(7);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("t")))
        .with_partitions(vec![partition]);
    let (id, generation) = member.cloned().unwrap_or((StrBytes::default(), -1));
    let request = OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_member_id(id)
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic]);
    assert_eq!(wire.ask(8, &request).await.topics[0].partitions[0].error_code, 0);
}

async fn committed(wire: &mut Wire, name: &'static str) -> i64 {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(TopicName(text("t")))
        .with_partition_indexes(vec![0]);
    let request =
        OffsetFetchRequest::default().with_group_id(group(name)).with_topics(Some(vec![topic]));
    wire.ask(7, &request).await.topics[0].partitions[0].committed_offset
}

async fn list(
    wire: &mut Wire,
    version: i16,
    states: &[&'static str],
    types: &[&'static str],
) -> Vec<String> {
    let texts = |names: &[&'static str]| names.iter().map(|name| text(name)).collect();
    let request = ListGroupsRequest::default()
        .with_states_filter(texts(states))
        .with_types_filter(texts(types));
    let answer = wire.ask(version, &request).await;
    assert_eq!(answer.error_code, 0);
    let mut groups: Vec<_> = answer
        .groups
        .iter()
        .map(|g| format!("{} {} {}", g.group_id.as_str(), g.group_state, g.group_type))
        .collect();
    groups.sort();
    groups
}

async fn describe(wire: &mut Wire, version: i16, name: &'static str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![group(name)])
        .with_include_authorized_operations(version >= 3);
    wire.ask(version, &request).await.groups.remove(0)
}

async fn delete(wire: &mut Wire, version: i16, names: &[&'static str]) -> Vec<(String, i16)> {
    let names = names.iter().map(|name| group(name)).collect();
    let answer = wire.ask(version, &DeleteGroupsRequest::default().with_groups_names(names)).await;
    let mut results: Vec<_> =
        answer.results.iter().map(|r| (r.group_id.to_string(), r.error_code)).collect();
    results.sort();
    results
}

#[test]
fn groups_are_listed_by_state_and_type() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        assert!(list(&mut wire, 5, &[], &[]).await.is_empty());
        join(&mut wire, &env).await;
        commit(&mut wire, "simple", None).await;
        assert_eq!(
            list(&mut wire, 5, &[], &[]).await,
            ["g Stable classic", "simple Empty classic"]
        );
        assert_eq!(list(&mut wire, 5, &["stable"], &["Classic"]).await, ["g Stable classic"]);
        assert!(list(&mut wire, 5, &["Dead"], &[]).await.is_empty());
        assert!(list(&mut wire, 5, &[], &["share"]).await.is_empty());
        // Older versions have no place for the type, nor for the state.
        assert_eq!(list(&mut wire, 4, &["Empty"], &[]).await, ["simple Empty "]);
        assert_eq!(list(&mut wire, 0, &[], &[]).await, ["g  ", "simple  "]);
    });
}

#[test]
fn a_group_is_described_with_its_members_in_every_version() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let (member, _) = join(&mut wire, &env).await;
        for version in 0..=6 {
            let described = describe(&mut wire, version, "g").await;
            assert_eq!((described.error_code, described.group_state.as_str()), (0, "Stable"));
            assert_eq!(described.protocol_type.as_str(), "consumer");
            assert_eq!(described.protocol_data.as_str(), "range");
            let [found] = &described.members[..] else { panic!("{described:?}") };
            assert_eq!((&found.member_id, found.client_id.as_str()), (&member, "wire"));
            assert_eq!(found.member_assignment, "mine");
            assert_eq!(found.member_metadata, subscription());
            assert_eq!(described.authorized_operations != i32::MIN, version >= 3);
        }
        for (version, code) in [(5, 0), (6, ResponseError::GroupIdNotFound.code())] {
            let unknown = describe(&mut wire, version, "nobody").await;
            assert_eq!((unknown.error_code, unknown.group_state.as_str()), (code, "Dead"));
            assert_eq!(unknown.error_message.is_some(), version == 6);
        }
    });
}

#[test]
fn only_empty_groups_are_deleted_and_they_stay_so() {
    beside_a_broker(LONG, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        let (member, generation) = join(&mut wire, &env).await;
        commit(&mut wire, "g", Some(&(member.clone(), generation))).await;
        commit(&mut wire, "simple", None).await;
        let (not_empty, unknown) =
            (ResponseError::NonEmptyGroup.code(), ResponseError::GroupIdNotFound.code());
        let results = delete(&mut wire, 2, &["g", "nobody", "simple", "simple"]).await;
        let expected = [("g", not_empty), ("nobody", unknown), ("simple", 0)];
        assert_eq!(results, expected.map(|(name, code)| (name.to_owned(), code)));
        let leave = LeaveGroupRequest::default().with_group_id(group("g")).with_member_id(member);
        assert_eq!(wire.ask(1, &leave).await.error_code, 0);
        assert_eq!(committed(&mut wire, "g").await, 7);
        assert_eq!(delete(&mut wire, 0, &["g"]).await, [("g".to_owned(), 0)]);
        assert_eq!(committed(&mut wire, "g").await, -1);
        world.kill("b1");
        start_broker(&world, LONG);
        let mut wire = Wire::open(&env).await;
        assert!(list(&mut wire, 5, &[], &[]).await.is_empty());
        assert_eq!(committed(&mut wire, "g").await, -1);
    });
}

/// The request's code, or that of its only partition.
async fn forget(wire: &mut Wire, name: &'static str, topic: &'static str, partition: i32) -> i16 {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![partition]);
    let request =
        OffsetDeleteRequest::default().with_group_id(group(name)).with_topics(vec![topic]);
    let answer = wire.ask(0, &request).await;
    answer.topics.first().map_or(answer.error_code, |topic| topic.partitions[0].error_code)
}

#[test]
fn offsets_are_forgotten_unless_somebody_reads_the_topic() {
    beside_a_broker(LONG, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let member = join(&mut wire, &env).await;
        commit(&mut wire, "g", Some(&member)).await;
        commit(&mut wire, "simple", None).await;
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        let cases = [
            ("g", "t", 0, ResponseError::GroupSubscribedToTopic.code()),
            ("nobody", "t", 0, ResponseError::GroupIdNotFound.code()),
            ("simple", "t", 9, unknown),
            ("simple", "nowhere", 0, unknown),
            ("simple", "t", 0, 0),
        ];
        for (name, topic, partition, code) in cases {
            assert_eq!(forget(&mut wire, name, topic, partition).await, code, "{name} {topic}");
        }
        assert_eq!(
            (committed(&mut wire, "g").await, committed(&mut wire, "simple").await),
            (7, -1)
        );
    });
}

#[test]
fn a_broker_that_does_not_coordinate_a_group_says_so() {
    beside_a_changed(LONG, two_brokers, |world, env| async move {
        start_second(&world, LONG);
        let mut wires = [Wire::open(&env).await, Wire::open_to(&env, "b2").await];
        for wire in &mut wires {
            find_coordinator(wire, &env).await;
        }
        let not_here = ResponseError::NotCoordinator.code();
        let mut refused = 0;
        for wire in &mut wires {
            let described = describe(wire, 6, "g").await.error_code;
            let deleted = delete(wire, 2, &["g"]).await[0].1;
            let forgotten = forget(wire, "g", "t", 0).await;
            let codes = [described, deleted, forgotten].map(|code| code == not_here);
            assert!(codes == [true; 3] || codes == [false; 3], "{codes:?}");
            refused += usize::from(codes[0]);
        }
        assert_eq!(refused, 1);
    });
}

#[test]
fn offsets_of_a_group_nobody_uses_expire_and_do_not_come_back() {
    let soon = |node: &mut NodeConfig| {
        node.config.offsets_retention = Duration::from_secs(3600);
        node.config.offsets_retention_check_interval = Duration::from_secs(600);
    };
    beside_a_changed(LONG, soon, move |world, env| async move {
        let mut wire = Wire::open(&env).await;
        let member = join(&mut wire, &env).await;
        commit(&mut wire, "g", Some(&member)).await;
        commit(&mut wire, "simple", None).await;
        // The member of `g` is dead after a minute; retention counts from then.
        pause(&env, Duration::from_secs(3500)).await;
        let mut wire = Wire::open(&env).await; // the idle one was closed long ago
        let offsets = (committed(&mut wire, "g").await, committed(&mut wire, "simple").await);
        assert_eq!(offsets, (7, 7));
        pause(&env, Duration::from_secs(1000)).await;
        let mut wire = Wire::open(&env).await;
        let offsets = (committed(&mut wire, "g").await, committed(&mut wire, "simple").await);
        assert_eq!(offsets, (-1, -1));
        assert!(list(&mut wire, 5, &[], &[]).await.is_empty());
        world.kill("b1");
        start_changed(&world, LONG, soon);
        let mut wire = Wire::open(&env).await;
        find_coordinator(&mut wire, &env).await;
        let offsets = (committed(&mut wire, "g").await, committed(&mut wire, "simple").await);
        assert_eq!(offsets, (-1, -1));
    });
}
