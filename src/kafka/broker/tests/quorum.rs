//! Three brokers that vote on the metadata: who leads, what outlives the leader, how a broker leaves.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        CreateTopicsRequest, DescribeClusterRequest, DescribeQuorumRequest, MetadataRequest,
        create_topics_request::CreatableTopic,
        describe_quorum_request::{PartitionData, TopicData},
    },
    protocol::StrBytes,
};

use super::{
    bench::{Wire, beside_a_quorum, pause, start_voter},
    cluster::{Shape, set},
    requests::topic,
};
use crate::{env::Env, kafka::metadata::METADATA_TOPIC};

const LONG: Duration = Duration::from_secs(3600);

/// Leader, epoch, high watermark; and of each voter the id and the end of its log.
pub(super) async fn quorum(wire: &mut Wire) -> (i32, i32, i64, Vec<(i32, i64)>) {
    let topic = TopicData::default()
        .with_topic_name(StrBytes::from_static_str(METADATA_TOPIC).into())
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = wire.ask(2, &request).await;
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.nodes.iter().map(|node| node.node_id.0).collect::<Vec<_>>(), [1, 2, 3]);
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let voters = partition.current_voters.iter();
    let voters = voters.map(|voter| (voter.replica_id.0, voter.log_end_offset)).collect();
    (partition.leader_id.0, partition.leader_epoch, partition.high_watermark, voters)
}

pub(super) async fn make(wire: &mut Wire, name: &'static str) -> i16 {
    let wanted = CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]);
    wire.ask(7, &request).await.topics[0].error_code
}

pub(super) async fn topics(wire: &mut Wire) -> Vec<String> {
    let answer = wire.ask(9, &MetadataRequest::default().with_topics(None)).await;
    answer.topics.iter().map(|topic| topic.name.as_ref().unwrap().to_string()).collect()
}

fn machine(id: i32) -> String {
    format!("b{id}")
}

/// A broker that still runs.
fn another(id: i32) -> String {
    machine(id % 3 + 1)
}

async fn open(env: &Env, machine: String) -> Wire {
    Wire::open_to(env, &machine).await
}

#[test]
fn voters_agree_on_a_leader_and_any_broker_tells_of_it() {
    beside_a_quorum(LONG, |_, env| async move {
        let mut told = Vec::new();
        for id in 1..=3 {
            let (leader, epoch, high_watermark, voters) =
                quorum(&mut open(&env, machine(id)).await).await;
            let ids: Vec<_> = voters.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [1, 2, 3]);
            let reached = voters.iter().filter(|(_, end)| *end >= high_watermark).count();
            assert!(reached >= 2, "{high_watermark} {voters:?}");
            told.push((leader, epoch));
        }
        assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
        assert!((1..=3).contains(&told[0].0));
    });
}

#[test]
fn what_was_committed_outlives_the_leader_and_the_next_one_goes_on() {
    beside_a_quorum(LONG, |world, env| async move {
        let (first, epoch, ..) = quorum(&mut open(&env, machine(1)).await).await;
        let mut wire = open(&env, another(first)).await;
        assert_eq!(make(&mut wire, "before").await, 0);
        world.power_loss(&machine(first));
        // The request waits for whoever leads next.
        assert_eq!(make(&mut wire, "after").await, 0);
        let (second, later, ..) = quorum(&mut wire).await;
        assert!(second != first && later > epoch, "{first} {epoch}, {second} {later}");
        assert_eq!(topics(&mut wire).await, ["after", "before", "t"]);
        start_voter(&world, first, LONG);
        let mut wire = open(&env, machine(first)).await;
        assert_eq!(topics(&mut wire).await, ["after", "before", "t"]);
        assert_eq!(quorum(&mut wire).await.0, second);
    });
}

#[test]
fn without_a_majority_nothing_is_decided() {
    beside_a_quorum(LONG, |world, env| async move {
        let (leader, ..) = quorum(&mut open(&env, machine(1)).await).await;
        let mut wire = open(&env, machine(leader)).await;
        let lost: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
        lost.iter().for_each(|id| world.kill(&machine(*id)));
        let asked = wire
            .send(
                7,
                &CreateTopicsRequest::default().with_topics(vec![
                    CreatableTopic::default()
                        .with_name(topic("never"))
                        .with_num_partitions(1)
                        .with_replication_factor(1),
                ]),
            )
            .await;
        pause(&env, Duration::from_secs(20)).await;
        assert_eq!(topics(&mut Wire::connect_to(&env, &machine(leader)).await).await, ["t"]);
        lost.iter().for_each(|id| start_voter(&world, *id, LONG));
        let answer = wire.receive::<CreateTopicsRequest>(asked, 7).await;
        let code = answer.topics[0].error_code;
        // Appended before the majority was lost, it may be there already when the request is repeated.
        assert!([0, 36].contains(&code), "{code}");
        pause(&env, Duration::from_secs(5)).await;
        assert_eq!(topics(&mut wire).await, ["never", "t"]);
    });
}

/// Nobody is fenced for his silence while a test lasts.
const PATIENT: Shape = Shape {
    brokers: 3,
    controllers: 0,
    change: |node| set(node, &[("broker.session.timeout.ms", "600000")]),
};

async fn unfenced(wire: &mut Wire) -> Vec<i32> {
    let cluster = wire.ask(2, &DescribeClusterRequest::default()).await;
    cluster.brokers.iter().map(|broker| broker.broker_id.0).collect()
}

#[test]
fn a_broker_that_stops_in_good_order_is_fenced_before_it_goes() {
    // The last one leaves after a minute.
    let lifetime = |id| if id == 3 { Duration::from_secs(60) } else { LONG };
    PATIENT.run_for(lifetime, |world, env| async move {
        let mut wire = open(&env, machine(1)).await;
        open(&env, machine(3)).await;
        pause(&env, Duration::from_secs(30)).await;
        assert_eq!(unfenced(&mut wire).await, [1, 2, 3]);
        // As soon as its machine is done, the others know; not before it wanted to stop.
        while world.is_running(&machine(3)) {
            pause(&env, Duration::from_millis(10)).await;
        }
        assert!(env.clock.now().since(crate::env::Instant::default()) >= Duration::from_secs(60));
        pause(&env, Duration::from_secs(1)).await;
        assert_eq!(unfenced(&mut wire).await, [1, 2]);
    });
}

#[test]
fn a_broker_that_dies_keeps_its_place_for_as_long_as_its_session() {
    PATIENT.run(|world, env| async move {
        let mut wire = open(&env, machine(1)).await;
        let (leader, ..) = quorum(&mut wire).await;
        let dies = if leader == 3 { 2 } else { 3 };
        open(&env, machine(dies)).await;
        world.kill(&machine(dies));
        pause(&env, Duration::from_secs(595)).await;
        assert_eq!(unfenced(&mut wire).await, [1, 2, 3]);
        pause(&env, Duration::from_secs(10)).await;
        assert_eq!(unfenced(&mut wire).await.len(), 2);
    });
}

#[test]
fn a_broker_whose_former_life_has_its_place_asks_for_it_less_and_less_often() {
    PATIENT.run(|world, env| async move {
        let mut wire = open(&env, machine(1)).await;
        let (leader, ..) = quorum(&mut wire).await;
        let again = if leader == 3 { 2 } else { 3 };
        open(&env, machine(again)).await;
        let said_in_a_minute = async || {
            let before = world.trace().messages();
            pause(&env, Duration::from_secs(60)).await;
            world.trace().messages() - before
        };
        let as_member = said_in_a_minute().await;
        world.kill(&machine(again));
        PATIENT.start(&world, again);
        let as_stranger = said_in_a_minute().await;
        assert!(as_stranger < as_member, "{as_stranger} {as_member}");
        assert_eq!(unfenced(&mut wire).await, [1, 2, 3]);
    });
}
