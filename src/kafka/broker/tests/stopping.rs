//! The end of a broker, and what a later one finds.

use std::time::Duration;

use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeTopicPartitionsRequest,
    describe_topic_partitions_request::TopicRequest,
};

use super::{
    bench::{NodeConfig, Wire, beside_a_broker, pause, start_broker},
    cluster::{Shape, set},
    replicas::{isr, send, until},
    requests::{fetch, produce, topic},
};
use crate::{kafka::types::BrokerId, sim::LinkControl};

const LIFETIME: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_waiting_fetch_is_let_go_when_the_broker_stops() {
    beside_a_broker(LIFETIME, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let start = env.clock.now();
        wire.send(12, &fetch(0, 1, LONG)).await;
        wire.frame().await;
        assert!(wire.is_closed().await);
        let waited = env.clock.now() - start;
        assert!(waited < LIFETIME + Duration::from_secs(1), "{waited:?}");
    });
}

#[test]
fn everything_acked_before_an_orderly_stop_survives_a_power_loss_after_it() {
    beside_a_broker(LIFETIME, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        let mut acked = 0;
        // Sends into the stop, so that some requests meet a broker that is closing.
        loop {
            wire.send(9, &produce(1, "t", "a")).await;
            let Some(answer) = wire.frame().await else { break };
            let answer = crate::kafka::protocol::message::decode_response::<
                kafka_protocol::messages::ProduceResponse,
            >(answer, acked + 1, 9)
            .unwrap();
            if answer.responses[0].partition_responses[0].error_code != 0 {
                break;
            }
            acked += 1;
            pause(&env, Duration::from_millis(20)).await;
        }
        world.ended("b1").await;
        world.power_loss("b1");
        start_broker(&world, LONG);
        let mut wire = Wire::open(&env).await;
        let answer = wire.ask(12, &fetch(0, 1, Duration::ZERO)).await;
        let end = answer.responses[0].partitions[0].high_watermark;
        assert!(acked > 100);
        assert_eq!(end, i64::from(acked));
    });
}

/// `t` is on both brokers, and takes both to commit anything.
fn on_both(node: &mut NodeConfig) {
    node.topics[0].partitions = vec![vec![BrokerId(1), BrokerId(2)]];
    node.topics[0].config = vec![("min.insync.replicas".into(), "2".into())];
}

/// ISR and eligible replicas of `t`, once a second broker is one of the cluster.
async fn standing(wire: &mut Wire) -> (Vec<i32>, Vec<i32>) {
    while wire.ask(1, &DescribeClusterRequest::default()).await.brokers.len() < 2 {}
    let asked = TopicRequest::default().with_name(topic("t"));
    let request = DescribeTopicPartitionsRequest::default().with_topics(vec![asked]);
    let partition = wire.ask(0, &request).await.topics[0].partitions[0].clone();
    let numbers = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect();
    let eligible = partition.eligible_leader_replicas.unwrap_or_default();
    (numbers(&partition.isr_nodes), numbers(&eligible))
}

/// The mark of a clean shutdown has the epoch of that life, which the next registration names (KIP-966).
#[test]
fn a_broker_stays_eligible_after_an_orderly_stop_and_not_after_a_kill() {
    let shape = Shape { brokers: 2, controllers: 1, change: on_both };
    let lifetime = |id| if id == 2 { LIFETIME } else { LONG };
    shape.run_for(lifetime, move |world, env| async move {
        let mut wire = Wire::open(&env).await;
        assert_eq!(standing(&mut wire).await, (vec![1, 2], vec![]));
        world.ended("b2").await;
        // So that it does not get back into the ISR.
        world.links("b1", "b2").iter().for_each(LinkControl::sever);
        shape.start(&world, 2);
        assert_eq!(standing(&mut wire).await, (vec![1], vec![2]));
        world.kill("b2");
        pause(&env, Duration::from_secs(5)).await;
        shape.start(&world, 2);
        assert_eq!(standing(&mut wire).await, (vec![1], vec![]));
    });
}

/// A life that hears of nobody does not register, and opens no log.
#[test]
fn a_life_that_never_came_to_its_logs_leaves_what_was_known_of_them() {
    let shape = Shape { brokers: 2, controllers: 1, change: on_both };
    let lifetime = |id| if id == 2 { LIFETIME } else { LONG };
    shape.run_for(lifetime, move |world, env| async move {
        let mut wire = Wire::open(&env).await;
        assert_eq!(standing(&mut wire).await, (vec![1, 2], vec![]));
        assert_eq!(send(&mut wire, -1, "a").await, 0);
        world.ended("b2").await;
        let mark = ".kafka_cleanshutdown";
        let files = ["recovery-point-offset-checkpoint", "replication-offset-checkpoint", mark];
        let left = || files.map(|name| world.disk("b2").read(name).unwrap());
        let before = left();
        assert!(str::from_utf8(&before[1]).unwrap().contains("t 0 1"));
        let alone = |others: &[&str]| {
            for other in others {
                world.links("b2", other).iter().for_each(LinkControl::sever);
            }
        };
        alone(&["b1", "k1"]);
        shape.start_for(&world, 2, LIFETIME);
        world.ended("b2").await;
        assert_eq!(left(), before);
        shape.start(&world, 2);
        pause(&env, Duration::from_secs(1)).await;
        world.kill("b2");
        // Not with b1, so that it does not get back into the ISR.
        world.links("b2", "k1").iter().for_each(LinkControl::heal);
        shape.start(&world, 2);
        assert_eq!(standing(&mut wire).await, (vec![1], vec![2]), "killed before it opened any");
        world.kill("b2");
        alone(&["k1"]);
        shape.start_for(&world, 2, LIFETIME);
        world.ended("b2").await;
        assert!(world.disk("b2").read(mark).is_err(), "its logs have not been recovered");
    });
}

/// `t` is on all three brokers, `b2` leads it, and nobody is fenced for his silence.
fn on_three(node: &mut NodeConfig) {
    node.topics[0].partitions = vec![vec![BrokerId(2), BrokerId(1), BrokerId(3)]];
    set(node, &[("broker.session.timeout.ms", "600000")]);
}

/// It would be read for nothing, and must not get back into the ISR that it left to go.
#[test]
fn a_broker_that_leaves_fetches_no_more_once_it_is_out_of_the_isr() {
    let shape = Shape { brokers: 3, controllers: 1, change: on_three };
    let lifetime = |id| if id == 2 { LIFETIME } else { LONG };
    shape.run_for(lifetime, |world, env| async move {
        let mut wire = Wire::open_to(&env, "b1").await;
        until!(env, "all are in sync", isr(&mut wire).await == [1, 2, 3]);
        // b2 is not let go as long as b3 has not read that others lead.
        world.links("b3", "k1").iter().for_each(LinkControl::sever);
        until!(env, "b2 is out", isr(&mut wire).await == [1, 3]);
        let log = |machine| world.disk(machine).read("t-0/00000000000000000000.log").unwrap();
        assert_eq!(send(&mut wire, 1, "a").await, 0);
        pause(&env, Duration::from_secs(5)).await;
        assert!(world.is_running("b2"));
        assert_eq!((log("b2").len(), log("b1").is_empty()), (0, false));
        world.heal_all();
        world.ended("b2").await;
    });
}
