//! What operators ask of the controller, by way of a broker that is not it: the answer, what has changed then, and the
//! errors.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        AllocateProducerIdsRequest, AlterPartitionReassignmentsRequest, AlterPartitionRequest,
        BrokerHeartbeatRequest, BrokerId, BrokerRegistrationRequest, CreatePartitionsRequest,
        DescribeClusterRequest, DescribeQuorumRequest, ElectLeadersRequest, EnvelopeRequest,
        ListPartitionReassignmentsRequest, MetadataRequest, UnregisterBrokerRequest,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
        describe_quorum_request::{PartitionData, TopicData},
        elect_leaders_request::TopicPartitions,
        metadata_response::MetadataResponsePartition,
    },
    protocol::Request,
};

use super::{
    bench::{NodeConfig, Wire, pause},
    cluster::{Shape, machine},
    quorum::{make, quorum, topics},
    replicas::until,
    requests::topic,
};
use crate::{
    env::Env,
    kafka::protocol::{ResponseError, message::encode_request},
};

/// `t-0` lies on brokers 1 and 2, of which 1 is preferred.
const SHAPE: Shape = Shape { brokers: 3, controllers: 0, change: on_two };

fn on_two(node: &mut NodeConfig) {
    let ids = |ids: [i32; 2]| ids.map(crate::kafka::types::BrokerId).to_vec();
    node.topics[0].partitions = vec![ids([1, 2])];
}

/// The controller, and two others.
async fn roles(env: &Env) -> (i32, i32, i32) {
    let (leader, ..) = quorum(&mut Wire::open(env).await).await;
    (leader, leader % 3 + 1, (leader + 1) % 3 + 1)
}

async fn open(env: &Env, id: i32) -> Wire {
    Wire::open_to(env, &machine(id)).await
}

async fn partitions(wire: &mut Wire, name: &str) -> Vec<MetadataResponsePartition> {
    let answer = wire.ask(9, &MetadataRequest::default().with_topics(None)).await;
    let mut topics = answer.topics.into_iter();
    topics.find(|topic| topic.name.as_ref().unwrap().as_str() == name).unwrap().partitions
}

/// Waits until `t-0` is as wanted, as the asked broker goes by it.
async fn t_becomes(
    env: &Env,
    wire: &mut Wire,
    wanted: impl Fn(&MetadataResponsePartition) -> bool,
) {
    let given_up = env.clock.now() + Duration::from_secs(120);
    loop {
        let told = partitions(wire, "t").await.remove(0);
        if wanted(&told) {
            return;
        }
        assert!(env.clock.now() < given_up, "{told:?}");
        pause(env, Duration::from_millis(10)).await;
    }
}

fn elect(kind: i8, name: &'static str, partition: i32) -> ElectLeadersRequest {
    let asked = TopicPartitions::default().with_topic(topic(name)).with_partitions(vec![partition]);
    ElectLeadersRequest::default()
        .with_election_type(kind)
        .with_topic_partitions(Some(vec![asked]))
        .with_timeout_ms(1000)
}

#[test]
fn leadership_is_given_back_on_request_and_what_cannot_be_is_said() {
    SHAPE.run(|world, env| async move {
        let (controller, ..) = roles(&env).await;
        let asked = if controller == 3 { 2 } else { 3 };
        let mut wire = open(&env, asked).await;
        t_becomes(&env, &mut wire, |t| t.leader_id.0 == 1 && t.isr_nodes.len() == 2).await;
        world.kill("b1");
        t_becomes(&env, &mut wire, |t| t.leader_id.0 == 2).await;
        // The controller may have been on the first broker.
        let code = async |wire: &mut Wire, request: ElectLeadersRequest| {
            let answer = wire.ask(2, &request).await;
            let result = answer.replica_election_results.first();
            result.map_or(answer.error_code, |topic| topic.partition_result[0].error_code)
        };
        let refused = ResponseError::PreferredLeaderNotAvailable.code();
        assert_eq!(code(&mut wire, elect(0, "t", 0)).await, refused);
        SHAPE.start(&world, 1);
        t_becomes(&env, &mut wire, |t| t.isr_nodes.len() == 2).await;
        assert_eq!(code(&mut wire, elect(0, "t", 0)).await, 0);
        t_becomes(&env, &mut wire, |t| t.leader_id.0 == 1).await;
        for (request, error) in [
            (elect(0, "t", 0), ResponseError::ElectionNotNeeded),
            (elect(1, "t", 0), ResponseError::ElectionNotNeeded),
            (elect(0, "t", 7), ResponseError::UnknownTopicOrPartition),
            (elect(0, "nowhere", 0), ResponseError::UnknownTopicOrPartition),
            (elect(5, "t", 0), ResponseError::InvalidRequest),
        ] {
            assert_eq!(code(&mut wire, request).await, error.code());
        }
    });
}

fn reassign(
    name: &'static str,
    partition: i32,
    replicas: Option<&[i32]>,
) -> AlterPartitionReassignmentsRequest {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    let partition = ReassignablePartition::default()
        .with_partition_index(partition)
        .with_replicas(replicas.map(ids));
    let asked =
        ReassignableTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    AlterPartitionReassignmentsRequest::default().with_topics(vec![asked])
}

async fn reassigned(wire: &mut Wire, request: AlterPartitionReassignmentsRequest) -> i16 {
    let answer = wire.ask(0, &request).await;
    assert_eq!(answer.error_code, 0);
    answer.responses[0].partitions[0].error_code
}

type Ongoing = Vec<(Vec<i32>, Vec<i32>, Vec<i32>)>;

/// Replicas, those to be added, those to be removed.
async fn ongoing(wire: &mut Wire) -> Ongoing {
    let request = ListPartitionReassignmentsRequest::default().with_topics(None);
    let answer = wire.ask(0, &request).await;
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|it| (ids(&it.replicas), ids(&it.adding_replicas), ids(&it.removing_replicas)))
        .collect()
}

#[test]
fn a_partition_moves_the_move_can_be_watched_and_called_off() {
    SHAPE.run(|world, env| async move {
        let mut wire = open(&env, 1).await;
        t_becomes(&env, &mut wire, |t| t.isr_nodes.len() == 2).await;
        for (request, error) in [
            (reassign("t", 0, None), ResponseError::NoReassignmentInProgress),
            (reassign("t", 0, Some(&[1, 1])), ResponseError::InvalidReplicaAssignment),
            (reassign("t", 0, Some(&[1, 9])), ResponseError::InvalidReplicaAssignment),
            (reassign("t", 0, Some(&[])), ResponseError::InvalidReplicaAssignment),
            (reassign("t", 4, Some(&[1])), ResponseError::UnknownTopicOrPartition),
            (reassign("nowhere", 0, Some(&[1])), ResponseError::UnknownTopicOrPartition),
        ] {
            assert_eq!(reassigned(&mut wire, request).await, error.code());
        }
        assert_eq!(ongoing(&mut wire).await, []);
        // Nothing can be copied to a broker that is down.
        world.kill("b3");
        assert_eq!(reassigned(&mut wire, reassign("t", 0, Some(&[3, 2]))).await, 0);
        assert_eq!(ongoing(&mut wire).await, [(vec![3, 2, 1], vec![3], vec![1])]);
        assert_eq!(reassigned(&mut wire, reassign("t", 0, None)).await, 0);
        assert_eq!(ongoing(&mut wire).await, []);
        // What is left of the order that was asked for stays, as in Kafka.
        t_becomes(&env, &mut wire, |t| t.replica_nodes == [BrokerId(2), BrokerId(1)]).await;
        assert_eq!(reassigned(&mut wire, reassign("t", 0, Some(&[3, 2]))).await, 0);
        SHAPE.start(&world, 3);
        t_becomes(&env, &mut wire, |t| t.replica_nodes == [BrokerId(3), BrokerId(2)]).await;
        t_becomes(&env, &mut wire, |t| t.isr_nodes.len() == 2).await;
        assert_eq!(ongoing(&mut wire).await, []);
    });
}

fn grow(name: &'static str, count: i32, on: Option<i32>) -> CreatePartitionsRequest {
    let assignment =
        |id: i32| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(id)]);
    let wanted = CreatePartitionsTopic::default()
        .with_name(topic(name))
        .with_count(count)
        .with_assignments(on.map(|id| vec![assignment(id)]));
    CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(1000)
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    SHAPE.run(|_, env| async move {
        let (controller, other, _) = roles(&env).await;
        assert_eq!(make(&mut open(&env, other).await, "x").await, 0);
        // One after the other asks the controller itself, and one who passes the request on.
        for (asked, count) in [(controller, 2), (other, 3)] {
            let mut wire = open(&env, asked).await;
            let try_only = grow("x", count, None).with_validate_only(true);
            for (request, error) in [
                (try_only, 0),
                (grow("x", count - 1, None), ResponseError::InvalidPartitions.code()),
                (grow("x", 0, None), ResponseError::InvalidPartitions.code()),
                (grow("x", count, Some(9)), ResponseError::InvalidReplicaAssignment.code()),
                (grow("nowhere", 5, None), ResponseError::UnknownTopicOrPartition.code()),
            ] {
                assert_eq!(wire.ask(3, &request).await.results[0].error_code, error);
                assert_eq!(partitions(&mut wire, "x").await.len(), count as usize - 1);
            }
            assert_eq!(wire.ask(3, &grow("x", count, Some(3))).await.results[0].error_code, 0);
            until!(env, "it grows", partitions(&mut wire, "x").await.len() == count as usize);
        }
    });
}

#[test]
fn a_request_that_no_controller_answers_in_time_loses_its_connection() {
    SHAPE.run(|world, env| async move {
        let (_, one, other) = roles(&env).await;
        let mut wire = open(&env, one).await;
        let alone = [1, 2, 3].into_iter().filter(|id| *id != one);
        alone.for_each(|id| world.kill(&machine(id)));
        pause(&env, Duration::from_secs(10)).await;
        let asked = env.clock.now();
        wire.send(3, &grow("t", 2, None)).await;
        assert!(wire.is_closed().await);
        assert_eq!((env.clock.now() - asked).as_secs(), 30);
        SHAPE.start(&world, other);
        let mut wire = open(&env, one).await;
        assert_eq!(partitions(&mut wire, "t").await.len(), 1);
    });
}

#[test]
fn the_quorum_is_described_by_its_one_partition_alone() {
    let shape = Shape { brokers: 3, controllers: 1, change: |_| () };
    shape.run(|_, env| async move {
        let mut wire = open(&env, 2).await;
        let ask = |name: &'static str, index: i32| {
            let partition = PartitionData::default().with_partition_index(index);
            let asked =
                TopicData::default().with_topic_name(topic(name)).with_partitions(vec![partition]);
            DescribeQuorumRequest::default().with_topics(vec![asked])
        };
        for (name, index) in [("t", 0), ("__cluster_metadata", 1)] {
            let answer = wire.ask(2, &ask(name, index)).await;
            let code = answer.topics[0].partitions[0].error_code;
            assert_eq!(code, ResponseError::UnknownTopicOrPartition.code());
        }
        let answer = wire.ask(2, &ask("__cluster_metadata", 0)).await;
        let told = &answer.topics[0].partitions[0];
        let ids =
            |replicas: &[kafka_protocol::messages::describe_quorum_response::ReplicaState]| {
                replicas.iter().map(|replica| replica.replica_id.0).collect::<Vec<_>>()
            };
        assert_eq!((told.error_code, told.leader_id.0), (0, 3001));
        assert_eq!((ids(&told.current_voters), ids(&told.observers)), (vec![3001], vec![1, 2, 3]));
        assert!(
            told.observers.iter().all(|it| (1..=told.high_watermark).contains(&it.log_end_offset))
        );
    });
}

#[test]
fn a_broker_that_is_gone_is_forgotten_on_request() {
    SHAPE.run(|world, env| async move {
        let (_, one, gone) = roles(&env).await;
        let mut wire = open(&env, one).await;
        let ids = async |wire: &mut Wire, fenced: bool| {
            let request = DescribeClusterRequest::default().with_include_fenced_brokers(fenced);
            let told = wire.ask(2, &request).await.brokers;
            told.iter().map(|it| (it.broker_id.0, it.is_fenced)).collect::<Vec<_>>()
        };
        world.kill(&machine(gone));
        until!(env, "it is fenced", ids(&mut wire, false).await.len() == 2);
        assert!(ids(&mut wire, true).await.contains(&(gone, true)));
        let forget = |id: i32| UnregisterBrokerRequest::default().with_broker_id(BrokerId(id));
        assert_eq!(wire.ask(0, &forget(gone)).await.error_code, 0);
        until!(env, "it is forgotten", ids(&mut wire, true).await.len() == 2);
        for id in [gone, 77] {
            let code = wire.ask(0, &forget(id)).await.error_code;
            assert_eq!(code, ResponseError::BrokerIdNotRegistered.code());
        }
        // It comes back as a new one.
        SHAPE.start(&world, gone);
        open(&env, gone).await;
        assert_eq!(ids(&mut wire, false).await.len(), 3);
    });
}

#[test]
fn whoever_is_not_the_controller_says_so_to_brokers_that_take_it_for_that() {
    SHAPE.run(|_, env| async move {
        let (_, one, other) = roles(&env).await;
        let not_controller = ResponseError::NotController.code();
        for id in [one, other] {
            let mut wire = open(&env, id).await;
            let answer = wire.ask(4, &BrokerRegistrationRequest::default()).await;
            assert_eq!((answer.error_code, answer.broker_epoch), (not_controller, -1));
            let code = wire.ask(1, &BrokerHeartbeatRequest::default()).await.error_code;
            assert_eq!(code, not_controller);
            let code = wire.ask(3, &AlterPartitionRequest::default()).await.error_code;
            assert_eq!(code, not_controller);
            let code = wire.ask(0, &AllocateProducerIdsRequest::default()).await.error_code;
            assert_eq!(code, not_controller);
        }
    });
}

/// A request as an Envelope holds it.
fn enclosed<R: Request>(version: i16, request: &R) -> Bytes {
    encode_request(5, "wire", version, request).unwrap().freeze().slice(4..)
}

fn envelope(content: Bytes) -> EnvelopeRequest {
    EnvelopeRequest::default().with_request_data(content).with_request_principal(None)
}

#[test]
fn an_envelope_with_anything_but_a_request_for_the_controller_is_refused_and_harms_nobody() {
    SHAPE.run(|_, env| async move {
        let (controller, other, _) = roles(&env).await;
        let mut wire = open(&env, controller).await;
        let wanted = enclosed(3, &grow("t", 2, None));
        let mut absurd = BytesMut::from(&wanted[..]);
        // The number of topics, behind the header with its client id and tags.
        absurd.truncate(8 + 2 + 4 + 1);
        absurd.put_slice(&[255, 255, 255, 255, 7]);
        let contents = [
            Bytes::new(),
            Bytes::from_static(&[0, 3]),
            Bytes::from(vec![255; 1 << 20]),
            wanted.slice(..wanted.len() - 3),
            absurd.freeze(),
            enclosed(9, &MetadataRequest::default()),
            enclosed(0, &envelope(wanted.clone())),
        ];
        for content in contents {
            let answer = wire.ask(0, &envelope(content.clone())).await;
            let (code, expected) = (answer.error_code, ResponseError::InvalidRequest.code());
            assert_eq!((code, answer.response_data), (expected, None), "{:?}", content.get(..20));
        }
        let answer = open(&env, other).await.ask(0, &envelope(wanted.clone())).await;
        assert_eq!(answer.error_code, ResponseError::NotController.code());
        // One that is larger than any request may be ends its connection before it has come.
        let mut huge = open(&env, controller).await;
        huge.send_bytes(&(200_i32 << 20).to_be_bytes()).await;
        assert!(huge.is_closed().await);
        let answer = wire.ask(0, &envelope(wanted)).await;
        assert_eq!(answer.error_code, 0);
        until!(env, "it grows", partitions(&mut wire, "t").await.len() == 2);
        assert_eq!(topics(&mut wire).await, ["t"]);
    });
}
